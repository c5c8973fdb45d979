"""Pictures of pruning: the hybrid energy beside the metric, by masks, by its terms and by layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from .svg import COLOURS, FAINT, GRID, INK, dot, line, svg, text

__all__ = ["energies"]

KINDS = {
    "random": (COLOURS[5], 3.0, "random"),
    "random, the optimum's numbers": (COLOURS[4], 3.0, "random, as many of each layer as the optimum"),
    "exchanged": (COLOURS[0], 3.0, "the optimum after some exchanges"),
    "best, equal shares": (COLOURS[2], 6.0, "least energy, the same share of each layer"),
    "Taylor": (COLOURS[3], 6.0, "Taylor's choice"),
    "optimum": (COLOURS[1], 6.0, "the optimum"),
}
"""Colour, size and words of each kind of mask."""

TOP, HEIGHT = 70.0, 240.0


def energies(masks: pd.DataFrame, terms: pd.DataFrame, layers: pd.DataFrame) -> str:
    """Three panels: masks by energy, optima by the weight of the similarity, layers pruned alone."""
    marks = [*_masks(masks), *_terms(terms), *_layers(layers)]
    label = "PSNR of a pruned denoiser by the hybrid energy, by the weight of its similarity, and by layers"
    return svg(1080, 460, label, marks)


Place = Callable[[float], float]


def _scale(values: np.ndarray, low: float, high: float) -> Place:
    """Where a value lies between two ends, with room on both sides."""
    least, most = float(values.min()), float(values.max())
    margin = 0.06 * ((most - least) or 1.0)
    return lambda value: low + (high - low) * (value - least + margin) / (most - least + 2 * margin)


def _frame(left: float, width: float, title: str, across: str, values: np.ndarray, y: Place) -> Iterator[str]:
    """A panel's head, its grid in whole decibels and the words below."""
    yield text(left, 28, title, weight="bold")
    for tick in range(int(np.ceil(values.min())), int(np.floor(values.max())) + 1):
        yield line(left, y(tick), left + width, y(tick), GRID, 1)
        yield text(left - 8, y(tick) + 4, f"{tick}", colour=FAINT, anchor="end")
    yield text(left, 50, "PSNR (dB)", colour=FAINT)
    yield text(left + width / 2, TOP + HEIGHT + 24, across, colour=FAINT, anchor="middle")


def _masks(table: pd.DataFrame) -> Iterator[str]:
    left, width = 50.0, 300.0
    metric, energy = table["metric"].to_numpy(), table["energy"].to_numpy()
    x, y = _scale(energy, left, left + width), _scale(metric, TOP + HEIGHT, TOP)
    yield from _frame(left, width, "Masks", "energy, lower to the left", metric, y)
    for place, (kind, (colour, size, words)) in enumerate(KINDS.items()):
        for row in table[table["kind"] == kind].itertuples():
            yield dot(x(row.energy), y(row.metric), colour, size, opacity=0.6 if size < 5 else 1.0)
        yield dot(left + 6, TOP + HEIGHT + 48 + 18 * place, colour, size)
        yield text(left + 20, TOP + HEIGHT + 52 + 18 * place, words)


def _terms(table: pd.DataFrame) -> Iterator[str]:
    left, width = 410.0, 260.0
    betas, metric = sorted(table["beta"].unique()), table["metric"].to_numpy()
    y = _scale(metric, TOP + HEIGHT, TOP)
    step = width / (len(betas) - 1)
    yield from _frame(left, width, "Optima by the weight of the similarity", "", metric, y)
    for place, beta in enumerate(betas):
        yield text(left + step * place, TOP + HEIGHT + 24, f"{beta:g}", colour=FAINT, anchor="middle")
    yield text(left + width / 2, TOP + HEIGHT + 44, "β; at 0 Taylor alone", colour=FAINT, anchor="middle")
    for number, (over, rows) in enumerate(table.groupby("normalise", sort=False)):
        colour, ordered = COLOURS[1 - number], rows.sort_values("beta")["metric"]
        points = [(left + step * place, y(value)) for place, value in enumerate(ordered)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield from (dot(a, b, colour, 4) for a, b in points)
        yield line(
            left, TOP + HEIGHT + 70 + 20 * number, left + 18, TOP + HEIGHT + 70 + 20 * number, colour, 3
        )
        words = "over all channels" if over == "global" else "over each layer"
        yield text(left + 26, TOP + HEIGHT + 74 + 20 * number, f"importances over the mean {words}")


def _layers(table: pd.DataFrame) -> Iterator[str]:
    left, width = 800.0, 250.0
    whole = float(table["whole"].iloc[0])
    lost = {"by the optimum": whole - table["metric"], "as many at random": whole - table["random"]}
    most = max(float(one.max()) for one in lost.values())
    high = HEIGHT / len(table)
    yield text(left - 110, 28, "One layer pruned alone: dB lost", weight="bold")
    yield text(left - 110, 50, "kept by Taylor | by the optimum, of all", colour=FAINT)
    for place, row in enumerate(table.itertuples(index=False)):
        y = TOP + high * place
        name = str(row.layer).replace("encoders.", "scale ").replace(".conv", " conv ")
        yield text(left - 10, y + high / 2 - 3, name, anchor="end")
        kept = f"{row[2]} | {row[3]} of {row.channels}"
        yield text(left - 10, y + high / 2 + 12, kept, colour=FAINT, anchor="end")
        for number, values in enumerate(lost.values()):
            colour, value = (COLOURS[1], COLOURS[5])[number], float(values.iloc[place])
            end = left + width * max(value, 0.0) / most
            at = y + high * (0.3 + 0.34 * number)
            yield line(left, at, end, at, colour, 8)
            yield text(min(end + 8, left + width - 4), at + 4, f"{value:.2f}", colour=INK if value else FAINT)
    for number, words in enumerate(lost):
        colour = (COLOURS[1], COLOURS[5])[number]
        yield line(
            left, TOP + HEIGHT + 70 + 20 * number, left + 18, TOP + HEIGHT + 70 + 20 * number, colour, 8
        )
        yield text(left + 30, TOP + HEIGHT + 74 + 20 * number, words)
