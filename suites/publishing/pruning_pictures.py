"""Pictures of pruning: the hybrid energy beside the metric, by masks, by its terms and by layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .svg import COLOURS, FAINT, GRID, dot, line, svg, text

__all__ = ["energies"]

KINDS = {
    "random": (COLOURS[5], 3.0, "random channels"),
    "random, the optimum's numbers": (COLOURS[4], 3.0, "random, as many of each layer as the optimum keeps"),
    "exchanged": (COLOURS[0], 3.0, "the optimum after 1 to 32 exchanges"),
    "best, equal shares": (COLOURS[2], 6.0, "the least energy with the same share of each layer"),
    "Taylor": (COLOURS[3], 6.0, "Taylor's choice"),
    "optimum": (COLOURS[1], 6.0, "the optimum"),
}
"""Colour, size and words of each kind of mask."""

STATISTICS = {"metric": "re-estimated", "as trained": "as trained"}
"""The statistics of BatchNorms, by the column of the metric."""

HEIGHT = 230.0

Place = Callable[[float], float]


def energies(masks: pd.DataFrame, terms: pd.DataFrame, layers: pd.DataFrame) -> str:
    """Masks by energy under both statistics; optima by the similarity's weight; layers pruned alone."""
    both = _scale(masks[[*STATISTICS]].to_numpy())
    marks = [
        *_masks(_Panel(60, 60, 440, both), masks, "metric"),
        *_masks(_Panel(600, 60, 440, both), masks, "as trained"),
        *_key(60, 350),
        *_terms(_Panel(60, 490, 380, _scale(terms[[*STATISTICS]].to_numpy())), terms),
        *_layers(_Panel(720, 490, 250, _scale(np.zeros(1))), layers),
    ]
    label = "PSNR of a pruned denoiser by the hybrid energy, by the weight of its similarity, and by layers"
    return svg(1080, 860, label, marks)


@dataclass(frozen=True)
class _Panel:
    """A place on the paper and what its height stands for."""

    left: float
    top: float
    width: float
    scale: Place

    def y(self, value: float) -> float:
        return self.top + HEIGHT * (1 - self.scale(value))

    def x(self, share: float) -> float:
        return self.left + self.width * share

    def frame(self, title: str, across: str, values: np.ndarray) -> Iterator[str]:
        """The head, a grid of whole decibels, and the words below."""
        yield text(self.left, self.top - 28, title, weight="bold")
        yield text(self.left, self.top - 8, "PSNR (dB)", colour=FAINT)
        for tick in range(int(np.ceil(values.min())), int(np.floor(values.max())) + 1):
            y = self.y(tick)
            yield line(self.left, y, self.x(1), y, GRID, 1)
            yield text(self.left - 8, y + 4, f"{tick}", colour=FAINT, anchor="end")
        yield text(self.x(0.5), self.top + HEIGHT + 22, across, colour=FAINT, anchor="middle")


def _scale(values: np.ndarray) -> Place:
    """Values as shares of their range, with some room on both sides."""
    least, most = float(values.min()), float(values.max())
    margin = 0.06 * ((most - least) or 1.0)
    return lambda value: (value - least + margin) / (most - least + 2 * margin)


def _masks(panel: _Panel, table: pd.DataFrame, column: str) -> Iterator[str]:
    across = _scale(table["energy"].to_numpy())
    title = f"Masks, statistics {STATISTICS[column]}"
    yield from panel.frame(title, "energy, lower to the left", table[[*STATISTICS]].to_numpy())
    for kind, (colour, size, _) in KINDS.items():
        for _, row in table[table["kind"] == kind].iterrows():
            shown = 0.55 if size < 5 else 1.0
            yield dot(panel.x(across(row["energy"])), panel.y(row[column]), colour, size, opacity=shown)


def _key(left: float, top: float) -> Iterator[str]:
    for place, (colour, size, words) in enumerate(KINDS.values()):
        x, y = left + 540 * (place % 2), top + 22 * (place // 2)
        yield dot(x, y - 4, colour, size)
        yield text(x + 14, y, words)


def _terms(panel: _Panel, table: pd.DataFrame) -> Iterator[str]:
    betas = sorted(table["beta"].unique())
    across = "β, the weight of the similarity; 0 is Taylor alone"
    yield from panel.frame("Which term: optima by weight", "", table[[*STATISTICS]].to_numpy())
    for place, beta in enumerate(betas):
        x = panel.x(place / (len(betas) - 1))
        yield text(x, panel.top + HEIGHT + 20, f"{beta:g}", colour=FAINT, anchor="middle")
    yield text(panel.x(0.5), panel.top + HEIGHT + 40, across, colour=FAINT, anchor="middle")
    lines = [(over, column) for over in ("global", "layer") for column in STATISTICS]
    for number, (over, column) in enumerate(lines):
        rows = table[table["normalise"] == over].sort_values("beta")
        points = [
            (panel.x(place / (len(betas) - 1)), panel.y(value)) for place, value in enumerate(rows[column])
        ]
        path, colour = " ".join(f"{x:.1f},{y:.1f}" for x, y in points), COLOURS[number]
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield from (dot(x, y, colour, 3.5) for x, y in points)
        x, y = panel.left, panel.top + HEIGHT + 64 + 20 * number
        yield line(x, y - 4, x + 16, y - 4, colour, 3)
        mean = "all channels'" if over == "global" else "each layer's"
        yield text(x + 22, y, f"over {mean} mean, {STATISTICS[column]}")


BARS = (
    ("metric", COLOURS[1], "the optimum's channels, statistics re-estimated"),
    ("random metric", COLOURS[5], "as many at random, re-estimated"),
    ("as trained", COLOURS[0], "the optimum's channels, as trained"),
)


TOLD = 0.3
"""Least loss (dB) whose number is told."""


def _layers(panel: _Panel, table: pd.DataFrame) -> Iterator[str]:
    whole, high = float(table["whole"].iloc[0]), HEIGHT / len(table)
    most = max(float((whole - table[column]).max()) for column, _, _ in BARS)
    yield text(panel.left - 170, panel.top - 28, "Which layers: dB lost with one pruned alone", weight="bold")
    told = "kept by the optimum; spread left to a BatchNorm behind"
    yield text(panel.left - 170, panel.top - 8, told, colour=FAINT)
    for place, (_, row) in enumerate(table.iterrows()):
        y = panel.top + high * place
        name = str(row["layer"]).replace("encoders.", "scale ").replace(".conv", ", conv ")
        yield text(panel.left - 12, y + high / 2 - 3, name, anchor="end")
        kept = f"{row['optimum keeps']} of {row['channels']}; {row['spread']:.0%}"
        yield text(panel.left - 12, y + high / 2 + 12, kept, colour=FAINT, anchor="end")
        for number, (column, colour, _) in enumerate(BARS):
            lost = whole - float(row[column])
            at, end = y + high * (0.22 + 0.28 * number), panel.x(max(lost, 0.0) / most)
            yield line(panel.left, at, end, at, colour, 6)
            yield text(end + 8, at + 4, f"{lost:.2f}", colour=FAINT) if lost >= TOLD else ""
    for number, (_, colour, words) in enumerate(BARS):
        y = panel.top + HEIGHT + 24 + 20 * number
        yield line(panel.left - 170, y - 4, panel.left - 154, y - 4, colour, 6)
        yield text(panel.left - 146, y, words)
