"""The report's pictures as plain plotly data: anytime panels and loss against metric.

Names in a picture are escaped here, because plotly reads some HTML in its labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from .anytime import Traces, excess_curves, time_grid

FLOOR = 1e-3
"""Excess below this is drawn at the foot of a logarithmic axis."""

CEILING = 10.0
PANELS = 12
"""Panels of single instances a family shows at most; the rest is in its summary panel."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
"""Okabe and Ito's palette, which colour-blind readers tell apart, without black and yellow."""

DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")

Styles = Mapping[str, tuple[str, str]]
"""Colour and dash of each solver's label, the same all over the report."""


@dataclass(frozen=True)
class Figure:
    """A picture, its caption (plain text) and a note under it (plain text)."""

    caption: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def styles(solvers: list[str]) -> dict[str, tuple[str, str]]:
    """Give each solver a colour, then a dash when the colours have run out."""
    count = len(COLOURS)
    return {name: (COLOURS[i % count], DASHES[i // count % len(DASHES)]) for i, name in enumerate(solvers)}


def anytime_panels(frame: pd.DataFrame, traces: Traces, looks: Styles) -> Iterator[Figure]:
    """Draw a family: its median over all cells, then one panel an instance (the largest first)."""
    names = frame.groupby("instance_key")["instance"].first()
    sizes = frame.groupby("instance_key")["variables"].first().astype("float64").fillna(0)
    keys = sizes.sort_values(ascending=False, kind="stable").index
    if len(keys) > 1:
        shown = f"; the {PANELS} largest follow" if len(keys) > PANELS else ""
        yield _panel(
            f"All {len(keys)} instances", f"median over instances and seeds{shown}", frame, traces, looks
        )
    for key in keys[:PANELS]:
        cells = frame[frame["instance_key"] == key]
        size = f"{sizes[key]:,.0f} variables" if sizes[key] else ""
        yield _panel(str(names[key]), size, cells, traces, looks)


def metric_panels(frame: pd.DataFrame, looks: Styles) -> Iterator[Figure]:
    """Draw loss against the network's metric: one panel a network and metric of the family."""
    known = frame[frame["ranked"] & np.isfinite(frame["metric"]) & np.isfinite(frame["excess"])]
    for (network, metric), cells in known.groupby(["network", "metric_name"]):
        data = [
            _points(name, part, looks[name])
            for name, part in sorted(cells.groupby("label"), key=lambda item: list(looks).index(item[0]))
        ]
        yield Figure(str(network) or "network", correlation(cells), data, _metric_layout(cells, str(metric)))


def correlation(cells: pd.DataFrame) -> str:
    """Say how the ranks of loss and metric drop agree: Spearman's ρ, the median over instances."""
    values = []
    for _, part in cells.groupby("instance_key"):
        loss, drop = part["loss"].rank(), part["drop"].rank()
        if loss.nunique() > 1 and drop.nunique() > 1:
            values.append(loss.corr(drop))
    if not values:
        return "no rank correlation: too few different cells"
    several = f", median of {len(values)} instances" if len(values) > 1 else ""
    return f"rank correlation of loss and drop {np.median(values):+.2f}{several}"


def _panel(caption: str, note: str, frame: pd.DataFrame, traces: Traces, looks: Styles) -> Figure:
    times = time_grid(frame, traces)
    lines: list[dict[str, Any]] = []
    for name in looks:
        cells = frame[(frame["label"] == name) & np.isfinite(frame["baseline_loss"])]
        if cells["ranked"].any():
            lines += _curve(name, cells, traces, times, looks[name])
    return Figure(caption, note, lines, _anytime_layout(times))


def _curve(
    name: str, cells: pd.DataFrame, traces: Traces, times: "np.ndarray[Any, Any]", look: tuple[str, str]
) -> list[dict[str, Any]]:
    """A step line from the solver's first solution to its last end, and a dot there."""
    firsts = [traces[cell][:, 0].min() for cell in cells["cell"] if len(traces.get(cell, ()))]
    ends = cells.loc[cells["ranked"], "seconds"]
    start = int(np.searchsorted(times, min([*firsts, *ends], default=times[0]), side="right"))
    stop = int(np.searchsorted(times, ends.max() * (1 + 1e-9), side="right"))
    part = slice(max(min(start, stop) - 1, 0), max(stop, 1))
    y = np.clip(np.median(excess_curves(cells, traces, times[part]), axis=0), FLOOR, CEILING)
    colour, dash = look
    common = {"name": escape(name), "hovertemplate": _HOVER_TIME, "showlegend": False, "type": "scatter"}
    line = {"color": colour, "dash": dash, "shape": "hv", "width": 1.8}
    x = times[part]
    return [
        common | {"x": _short(x), "y": _short(y), "mode": "lines", "line": line},
        common | {"x": _short(x[-1:]), "y": _short(y[-1:]), "mode": "markers", "marker": _dot(colour)},
    ]


def _points(name: str, cells: pd.DataFrame, look: tuple[str, str]) -> dict[str, Any]:
    symbol = SYMBOLS[DASHES.index(look[1])]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        "showlegend": False,
        "x": _short(cells["excess"].clip(FLOOR, CEILING)),
        "y": _short(cells["metric"]),
        "text": [escape(str(text)) for text in cells["instance"]],
        "hovertemplate": _HOVER_METRIC,
        "marker": {"color": look[0], "symbol": symbol, "size": 8, "opacity": 0.75, "line": {"width": 0}},
    }


def _anytime_layout(times: "np.ndarray[Any, Any]") -> dict[str, Any]:
    ends = [float(np.log10(times[0])), float(np.log10(times[-1])) + 0.06]
    x = {"type": "log", "range": ends, "title": {"text": "seconds"}, "dtick": 1, "tickformat": "~g"}
    rule = _rule(1.0)
    return {"xaxis": x, "yaxis": _excess_axis(), "shapes": [rule]}


def _metric_layout(cells: pd.DataFrame, metric: str) -> dict[str, Any]:
    whole = cells["float_metric"].dropna().unique()
    y = {"title": {"text": escape(metric) or "metric"}}
    shapes = [_rule(float(value)) for value in whole[:1] if np.isfinite(value)]
    return {"xaxis": _excess_axis(), "yaxis": y, "shapes": shapes}


def _excess_axis() -> dict[str, Any]:
    ticks = {"tickvals": [FLOOR, 0.01, 0.1, 1, CEILING], "ticktext": ["≤.001", ".01", ".1", "1", "≥10"]}
    return {"type": "log", "range": [-3.12, 1.06], "title": {"text": "excess"}, **ticks}


def _rule(y: float) -> dict[str, Any]:
    """A dashed line across the panel: the baseline, or the uncompressed network."""
    line = {"color": "#8c8c8c", "width": 1, "dash": "dot"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": line,
        "layer": "below",
    }


def _dot(colour: str) -> dict[str, Any]:
    return {"color": colour, "size": 6}


def _short(values: Any) -> list[float]:
    """Four digits are more than a picture shows, and keep the page small."""
    return [float(f"{value:.4g}") for value in values]


_HOVER_TIME = "%{y:.3g} after %{x:.3g} s<extra>%{fullData.name}</extra>"
_HOVER_METRIC = "%{text}<br>excess %{x:.3g}, metric %{y:.4g}<extra>%{fullData.name}</extra>"
