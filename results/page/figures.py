"""The report's pictures as plain plotly data: anytime curves, distributions, ranks, loss against metric.

Names in a picture are escaped here, because plotly reads some HTML in its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..scoring.anytime import (
    Shares,
    Traces,
    excess_curves,
    improvements,
    performance_profile,
    target_ecdf,
    time_grid,
)
from ..scoring.correlation import within
from ..scoring.own_work import OwnWork
from ..scoring.ranks import CriticalDifference, critical_difference
from ..scoring.scores import PAR_TARGET, TARGETS

__all__ = [
    "Figure",
    "Styles",
    "anytime_panels",
    "correlation",
    "distribution_panels",
    "metric_panels",
    "size_panels",
    "styles",
]

FLOOR = 1e-3
"""Excess below this is drawn at the foot of a logarithmic axis."""

CEILING = 10.0
PANELS = 12
"""Panels of single instances a family shows at most; the rest is in its summary panel."""

QUANTILES = (0.25, 0.5, 0.75)
"""The band and the line of an anytime curve."""

WIDEST_RATIO = 1e4
"""A performance profile ends here at the latest."""

MARKS = 1_000
"""Marks of one solver in a picture of loss and metric at most: more hide one another."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
"""Okabe and Ito's palette, which colour-blind readers tell apart, without black and yellow."""

DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")

Styles = Mapping[str, tuple[str, str]]
"""Colour and dash of each solver's label, the same all over the report."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A picture, its caption (plain text), a note under it (plain text) and its height in pixels.

    `over_work` is the data and the layout of the same picture over the solvers' own work, where it has one.
    """

    caption: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 240
    over_work: dict[str, Any] | None = None


def styles(solvers: list[str]) -> dict[str, tuple[str, str]]:
    """Give each solver a colour, then a dash when the colours have run out."""
    count = len(COLOURS)
    return {name: (COLOURS[i % count], DASHES[i // count % len(DASHES)]) for i, name in enumerate(solvers)}


def anytime_panels(
    frame: pd.DataFrame, traces: Traces, looks: Styles, work: OwnWork | None = None
) -> Iterator[Figure]:
    """Draw a family: its quantiles over all cells, then one panel an instance (the largest first).

    With counts of work each panel has them as a second axis.
    """
    work = work or OwnWork()
    names = frame.groupby("instance_key")["instance"].first()
    sizes = frame.groupby("instance_key")["variables"].first().astype("float64").fillna(0)
    keys = sizes.sort_values(ascending=False, kind="stable").index if len(traces) else []
    if len(keys) > 1:
        shown = f"; the {PANELS} largest follow" if len(keys) > PANELS else ""
        yield _panel(
            f"All {len(keys)} instances", f"over instances and seeds{shown}", frame, traces, looks, work
        )
    for key in keys[:PANELS]:
        cells = frame[frame["instance_key"] == key]
        size = f"{sizes[key]:,.0f} variables" if sizes[key] else ""
        yield _panel(str(names[key]), size, cells, traces, looks, work)


def distribution_panels(frame: pd.DataFrame, looks: Styles) -> Iterator[Figure]:
    """Draw a family's targets reached over time, its performance profile and its average ranks."""
    ecdf, profile = target_ecdf(frame), performance_profile(frame)
    targets = ", ".join(f"{target:g}" for target in TARGETS.values())
    if any(len(times) for times, _ in ecdf.values()):
        note = f"share of pairs of a cell and a target (excess {targets}) by time"
        yield _distribution("Targets reached", note, ecdf, looks, "seconds")
    if any(len(ratios) for ratios, _ in profile.values()):
        note = f"share of instances and budgets solved to excess {TARGETS[PAR_TARGET]:g} within a factor"
        yield _distribution("Performance profile", note, profile, looks, "time / quickest solver's")
    ranks = critical_difference(frame)
    if ranks is not None:
        first = frame.drop_duplicates("setting")
        yield _ranks(ranks, {one.setting: looks[one.label] for one in first.itertuples()})


def metric_panels(frame: pd.DataFrame, looks: Styles) -> Iterator[Figure]:
    """Draw loss against the network's metric: one panel a network and metric of the family."""
    known = frame[frame["ranked"] & np.isfinite(frame["metric"]) & np.isfinite(frame["excess"])]
    for (network, metric), cells in known.groupby(["network", "metric_name"]):
        data = _marks(cells.assign(at=_short(cells["excess"].clip(FLOOR, CEILING))), looks, _HOVER_METRIC)
        yield Figure(str(network) or "network", correlation(cells), data, _metric_layout(cells, str(metric)))


def size_panels(frame: pd.DataFrame, looks: Styles) -> Iterator[Figure]:
    """Draw the network's metric against its bytes as stored: one panel a network that has several sizes."""
    known = frame[frame["ranked"] & np.isfinite(frame["metric"]) & np.isfinite(frame["stored_bytes"])]
    for (network, metric), cells in known.groupby(["network", "metric_name"]):
        if cells["stored_bytes"].nunique() < 2:
            continue
        front = frontier(cells)
        marks = _marks(cells.assign(at=cells["stored_bytes"]), looks, _HOVER_SIZE)
        note = f"{len(front)} of {cells['stored_bytes'].nunique()} sizes are on the line"
        layout = _metric_layout(cells, str(metric)) | {"xaxis": _size_axis(cells["stored_bytes"])}
        yield Figure(str(network) or "network", note, [_front(front), *marks], layout)


def frontier(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells than which none is both as small and better, the smallest first, one a size."""
    up = cells["higher_is_better"].astype(bool)
    good = cells["metric"].where(up, -cells["metric"])
    order = cells.assign(good=good).sort_values(["stored_bytes", "good"], ascending=[True, False])
    best_before = order["good"].cummax().shift(fill_value=-np.inf)
    return order[order["good"] > best_before]


def _front(cells: pd.DataFrame) -> dict[str, Any]:
    """A step line: what is best at a size is so until a better one comes."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so small",
        "showlegend": False,
        "hoverinfo": "skip",
        "x": cells["stored_bytes"].tolist(),
        "y": _short(cells["metric"]),
        "line": {"color": "#8c8c8c", "width": 1.5, "shape": "hv"},
    }


def _size_axis(sizes: pd.Series[float]) -> dict[str, Any]:
    """Bytes, on a logarithmic axis where they span a decade, whose ticks would be too few otherwise."""
    kind = "log" if sizes.max() >= 10 * sizes.min() else "linear"
    return {"type": kind, "title": {"text": "bytes as stored"}, "tickformat": "~s", "nticks": 6}


def correlation(cells: pd.DataFrame) -> str:
    """Say how the ranks of loss and metric drop agree: Spearman's ρ, the median over instances."""
    values = within(cells)["rho"]
    if values.empty:
        return "no rank correlation: too few different solutions"
    several = f", median of {len(values)} instances" if len(values) > 1 else ""
    return f"rank correlation of loss and drop {values.median():+.2f}{several}"


def _panel(
    caption: str, note: str, frame: pd.DataFrame, traces: Traces, looks: Styles, work: OwnWork
) -> Figure:
    cells = frame[np.isfinite(frame["baseline_loss"])]
    data, times = _curves(cells, traces, looks, dict.fromkeys(looks, "s"))
    over_work = _over_work(cells, looks, work) if work.units else None
    return Figure(caption, note, data, _anytime_layout(_log_axis(times, "seconds")), over_work=over_work)


def _over_work(cells: pd.DataFrame, looks: Styles, work: OwnWork) -> dict[str, Any]:
    """The panel with the solvers' own work in place of seconds; a remark where no cell of it has any."""
    drawn = work.drawn(cells)
    data, counts = _curves(drawn, work.traces, looks, dict.fromkeys(looks, "") | work.unit(drawn))
    layout = _anytime_layout(_work_axis(counts))
    return {"data": data, "layout": layout if data else layout | {"annotations": [_REMARK]}}


def _curves(
    cells: pd.DataFrame, traces: Traces, looks: Styles, units: Mapping[str, str]
) -> tuple[list[dict[str, Any]], Floats]:
    """Bands and lines of each solver, and the places on the axis at which they may change."""
    table = improvements(cells, traces)
    times = time_grid(table)
    curves = excess_curves(cells, table, times)
    labels = cells["label"].to_numpy()
    started = table.groupby(labels[table["row"]])["seconds"].agg(["min", "max"])
    bands: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for name, look in looks.items():
        if name in started.index:
            first, last = started.loc[name]
            start = max(int(np.searchsorted(times, first, side="right")) - 1, 0)
            stop = max(int(np.searchsorted(times, last * (1 + 1e-9), side="right")), start + 1)
            part = np.quantile(curves[labels == name][:, start:stop], QUANTILES, axis=0)
            hover = _HOVER_WORK.format(unit=escape(units[name])) if units[name] != "s" else _HOVER_TIME
            band, line = _curve(name, times[start:stop], np.clip(part, FLOOR, CEILING), look, hover)
            bands, lines = bands + band, lines + line
    return bands + lines, times


def _curve(
    name: str, x: Floats, quantiles: Floats, look: tuple[str, str], hover: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The band between two step lines; the median's step line and a dot at its end."""
    colour, dash = look
    low, middle, high = quantiles
    common = {"name": escape(name), "showlegend": False, "type": "scatter", "mode": "lines"}
    edge = common | {"hoverinfo": "skip", "line": {"width": 0, "shape": "hv"}}
    fill = {"fill": "tonexty", "fillcolor": _faint(colour)}
    band = [edge | _steps(x, low), edge | _steps(x, high) | fill] if (high > low).any() else []
    line = {
        "line": {"color": colour, "dash": dash, "shape": "hv", "width": 1.8},
        "hovertemplate": hover,
    }
    dot = {"mode": "markers", "marker": {"color": colour, "size": 6}, "hovertemplate": hover}
    end = {"x": _short(x[-1:]), "y": _short(middle[-1:])}
    return band, [common | line | _steps(x, middle), common | dot | end]


def _faint(colour: str) -> str:
    """The colour of a band: a #rrggbb one, mostly transparent."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"


def _steps(x: Floats, y: Floats) -> dict[str, Any]:
    """The points at which a step line changes, and its ends."""
    kept = np.append([True], y[1:] != y[:-1])
    kept[-1] = True
    return {"x": _short(x[kept]), "y": _short(y[kept])}


def _distribution(caption: str, note: str, shares: Shares, looks: Styles, unit: str) -> Figure:
    """Empirical distributions of the solvers as step lines over a logarithmic axis."""
    found = np.concatenate([values for values, _ in shares.values()])
    first = max(float(found.min()), FLOOR / 10)
    grid = np.geomspace(first, min(max(float(found.max()), first * 10), first * WIDEST_RATIO * 100), 160)
    lines = []
    for name, (colour, dash) in looks.items():
        if name in shares:
            values, count = shares[name]
            y = np.searchsorted(values, grid * (1 + 1e-9), side="right") / count
            line = {"color": colour, "dash": dash, "shape": "hv", "width": 1.8}
            common = {"name": escape(name), "showlegend": False, "type": "scatter", "mode": "lines"}
            lines.append(common | {"line": line, "hovertemplate": _HOVER_SHARE} | _steps(grid, y))
    axis = _log_axis(grid, unit)
    y_axis = {"range": [-0.02, 1.02], "title": {"text": "share"}, "tickformat": "~g"}
    return Figure(caption, note, lines, {"xaxis": axis, "yaxis": y_axis}, 270)


def _ranks(found: CriticalDifference, looks: Styles) -> Figure:
    """Average ranks as dots, a row a solver; bars join those that are not told apart."""
    names, count = list(found.ranks), len(found.ranks)
    rows = {name: count - place for place, name in enumerate(names)}
    last = max(found.ranks.values())
    dots = [
        {"type": "scatter", "mode": "markers", "name": escape(name), "showlegend": False, "x": _short([rank]),
         "y": [rows[name]], "marker": {"color": looks[name][0], "size": 9}, "hovertemplate": _HOVER_RANK}
        for name, rank in found.ranks.items()
    ]  # fmt: skip
    bars = [
        _bar(last + 0.35 + 0.25 * place, rows[clique[-1]] - 0.3, rows[clique[0]] + 0.3)
        for place, clique in enumerate(found.cliques())
    ]
    ticks = {"tickvals": list(rows.values()), "ticktext": [escape(_clipped(name)) for name in names]}
    y = {"range": [0.3, count + 0.7], **ticks, "title": {"text": ""}}
    x = {
        "title": {"text": f"average rank over {found.matches} matches"},
        "range": [0.8, last + 0.6 + 0.25 * len(bars)],
    }
    left = f"; without {len(found.left_out)} that missed a match" if found.left_out else ""
    p = "< 0.001" if found.p < 0.001 else f"= {found.p:.3f}"
    note = f"Friedman p {p}; bars join solvers within the critical difference {found.difference:.2f}{left}"
    return Figure(
        "Average ranks", note, dots, {"xaxis": x, "yaxis": y, "shapes": bars}, max(270, 70 + 21 * count)
    )


def _bar(x: float, low: float, high: float) -> dict[str, Any]:
    """A vertical bar beside the rows it joins."""
    return {"type": "line", "x0": x, "x1": x, "y0": low, "y1": high, "line": {"color": "#8c8c8c", "width": 4}}


def _clipped(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _marks(cells: pd.DataFrame, looks: Styles, hover: str) -> list[dict[str, Any]]:
    """The marks of each solver, in the order of the legend."""
    parts = sorted(cells.groupby("label"), key=lambda item: list(looks).index(item[0]))
    return [_points(name, part.head(MARKS), looks[name], hover) for name, part in parts]


def _points(name: str, cells: pd.DataFrame, look: tuple[str, str], hover: str) -> dict[str, Any]:
    """A mark a cell, at its column `at` and its metric."""
    symbol = SYMBOLS[DASHES.index(look[1])]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        "showlegend": False,
        "x": cells["at"].tolist(),
        "y": _short(cells["metric"]),
        "text": [escape(str(text)) for text in cells["instance"]],
        "hovertemplate": hover,
        "marker": {"color": look[0], "symbol": symbol, "size": 8, "opacity": 0.75, "line": {"width": 0}},
    }


def _anytime_layout(axis: dict[str, Any]) -> dict[str, Any]:
    return {"xaxis": axis, "yaxis": _excess_axis(), "shapes": [_rule(1.0)]}


def _work_axis(counts: Floats) -> dict[str, Any]:
    """Counts up to billions: thousands as k, and every second power of ten where there are many."""
    axis = _log_axis(counts, "own work, in each solver's unit")
    return axis | {"tickformat": "~s", "dtick": 2 if counts[-1] > 1e5 * counts[0] else axis["dtick"]}


def _log_axis(grid: Floats, title: str) -> dict[str, Any]:
    """Powers of ten, and 2 and 5 between them where these alone would be too few to read."""
    ends = [float(np.log10(grid[0])), float(np.log10(grid[-1])) + 0.06]
    ticks = 1 if ends[1] - ends[0] > 2 else "D2"
    return {"type": "log", "range": ends, "title": {"text": title}, "dtick": ticks, "tickformat": "~g"}


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


def _short(values: Any) -> list[float]:
    """Four digits are more than a picture shows, and keep the page small."""
    return [float(f"{value:.4g}") for value in values]


_REMARK = {
    "text": "no counts of work here",
    "showarrow": False,
    "xref": "paper",
    "yref": "paper",
    "x": 0.5,
    "y": 0.5,
}

_HOVER_TIME = "%{y:.3g} after %{x:.3g} s<extra>%{fullData.name}</extra>"
_HOVER_WORK = "%{{y:.3g}} after %{{x:.3s}} {unit}<extra>%{{fullData.name}}</extra>"
_HOVER_SHARE = "%{y:.0%} at %{x:.3g}<extra>%{fullData.name}</extra>"
_HOVER_RANK = "%{x:.2f}<extra>%{fullData.name}</extra>"
_HOVER_METRIC = "%{text}<br>excess %{x:.3g}, metric %{y:.4g}<extra>%{fullData.name}</extra>"
_HOVER_SIZE = "%{text}<br>%{x:,} bytes, metric %{y:.4g}<extra>%{fullData.name}</extra>"
