"""Pictures of README and docs, drawn from published results: SVG that needs no script and no network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.io import imread

from ...problems import Rounding
from ...results import leaderboard
from ...results.storage.cells_csv import read_cells
from ...results.storage.whole_files import write_whole
from .pruning_pictures import energies
from .svg import COLOURS, FAINT, GRID, INK, PAPER, line, svg, text

__all__ = ["FOLDER", "draw", "pictures"]

FOLDER = Path("docs", "pictures")

ENERGIES = ("masks", "terms", "layers")
"""Tables of the experiment pruning-energies."""

SHOWN = ("beam", "nearest-plane", "relaxation", "coordinate-descent", "round-to-nearest")
"""Solvers whose lines are drawn over bits."""


def draw(root: Path) -> list[Path]:
    """Write every picture below the folder of the docs."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return [write_whole(folder / name, drawn) for name, drawn in pictures(root / "results" / "data").items()]


def pictures(data: Path) -> dict[str, str]:
    """The pictures by the name of their file, from the folder of published results."""
    made = {"way.svg": way()}
    cells, table = data / "rounding" / "records.csv", data / "rounding" / "by-bits.csv"
    if cells.is_file():
        made["board.svg"] = board(leaderboard(read_cells(cells), suite="rounding", do_nothing=True))
    if table.is_file():
        made["accuracy.svg"] = accuracy(pd.read_csv(table))
    if (images := data / "analog" / "digits-generator.png").is_file():
        made["digits.svg"] = digits(imread(images))
    if (folder := data / "pruning-energies").is_dir():
        made["pruning-energies.svg"] = energies(*(pd.read_csv(folder / f"{name}.csv") for name in ENERGIES))
    return made


# ---- digits that a generator makes with fewer and fewer bits

ROWS = ("real digits", "float", "8 bits", "6 bits", "4 bits", "3 bits", "2 bits")
"""Of the picture that the experiment compressed-generators writes."""

TILE, SCALE, COLUMNS, GREYS, SIDE = 9, 4, 12, 7, 4.0
"""Of that picture: pixels of a tile, and how often each is repeated. Of ours: tiles a row, shades, pixels."""


def digits(picture: npt.NDArray[np.uint8]) -> str:
    """The first tiles of each row of a stored picture (height, width) in shades of ink, each row named."""
    small = picture[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE][:, : COLUMNS * TILE]
    shades = np.rint(small / 255 * GREYS).astype(int)
    left, top = 100.0, 16.0
    marks = [
        text(left - 14, top + (i + 0.6) * TILE * SIDE, name, anchor="end", colour=INK if i else FAINT)
        for i, name in enumerate(ROWS)
    ]
    for shade in range(1, GREYS + 1):
        places = np.argwhere(shades == shade)
        squares = "".join(f"M{left + SIDE * x:g} {top + SIDE * y:g}h4v4h-4z" for y, x in places)
        marks.append(f'<path d="{squares}" fill="{INK}" fill-opacity="{shade / GREYS:.2f}"/>')
    label = "Real digits, then those of digits-generator in float and at 8, 6, 4, 3 and 2 bits, by beam"
    return svg(left + SIDE * shades.shape[1] + 16, top + SIDE * shades.shape[0] + 12, label, marks)


# ---- how a neuron's rounding becomes a QUBO and comes back


def way() -> str:
    """Four weights between the steps of their grid, the QUBO of which step each takes, and the weights after.

    All numbers are computed: the Gram matrix is that of four drawn, correlated inputs, the bits are the best.
    """
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(200, 4))
    weights = np.array([0.45, 1.4, -0.55, 0.62])
    floor = np.floor(weights)
    layer = Rounding(inputs.T @ inputs / 200, [weights - floor])
    points = [np.array([bits]) for bits in itertools.product((0, 1), repeat=4)]
    best = min(points, key=layer.loss)
    nearest = layer.nearest()
    Q = np.asarray(layer.row(0).qubo.Q, dtype=float)
    marks = [
        *_weights(30, weights, floor, None),
        *_arrow(222),
        *_matrix(262, Q),
        *_arrow(478),
        *_weights(520, weights, floor, best[0]),
        text(115, 28, "a neuron's weights", weight="bold", anchor="middle"),
        text(115, 46, "each between two steps", colour=FAINT, anchor="middle"),
        text(355, 28, "its QUBO", weight="bold", anchor="middle"),
        text(355, 46, "x = 1 rounds up; couplings from the data", colour=FAINT, anchor="middle"),
        text(615, 28, "the network back", weight="bold", anchor="middle"),
        text(615, 46, f"bits {' '.join(map(str, best[0]))}", colour=FAINT, anchor="middle"),
        text(
            360,
            252,
            f"error of the outputs: {layer.loss(nearest):.3f} by rounding to nearest, "
            f"{layer.loss(best):.3f} by the QUBO's best bits",
            anchor="middle",
        ),
    ]
    return svg(720, 270, "A neuron's rounding becomes a QUBO, and its solution the rounded weights", marks)


def _weights(left: float, weights: np.ndarray, floor: np.ndarray, bits: np.ndarray | None) -> Iterator[str]:
    """A column a weight: its two steps, where it lies, and where it went."""
    for i, (weight, low) in enumerate(zip(weights, floor, strict=True)):
        x = left + 25 + 45 * i
        low_y, high_y = 210.0, 90.0
        yield line(x, low_y, x, high_y, GRID, 2)
        for y, step in ((low_y, low), (high_y, low + 1)):
            yield line(x - 12, y, x + 12, y, FAINT, 2)
            yield text(x, y + (20 if y == low_y else -13), f"{step:.0f}", colour=FAINT, anchor="middle")
        y = low_y + (high_y - low_y) * (weight - low)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{PAPER if bits is not None else COLOURS[0]}" '
        yield f'stroke="{COLOURS[0]}" stroke-width="2"/>'
        if bits is not None:
            to = high_y if bits[i] else low_y
            yield line(x, y, x, to, COLOURS[1], 2)
            yield f'<circle cx="{x:.1f}" cy="{to:.1f}" r="6" fill="{COLOURS[1]}"/>'


def _matrix(left: float, Q: np.ndarray) -> Iterator[str]:
    """Squares, the fuller the larger: blue where two weights should not both round up, else orange."""
    most, side = float(np.abs(Q).max()), 38.0
    for (i, j), value in np.ndenumerate(Q):
        x, y = left + 20 + side * j, 70 + side * i
        colour = COLOURS[0] if value > 0 else COLOURS[1]
        share = 0.12 + 0.88 * abs(float(value)) / most
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{side - 3}" height="{side - 3}" rx="3" '
        yield f'fill="{colour}" fill-opacity="{share:.2f}"/>'


def _arrow(x: float) -> Iterator[str]:
    yield line(x, 150, x + 32, 150, INK, 2)
    yield f'<path d="M{x + 32} 144l10 6l-10 6z" fill="{INK}"/>'


# ---- a leaderboard


def board(rows: pd.DataFrame) -> str:
    """A row a solver: its median excess and the interval, nothing to the left of the best known."""
    rows = rows[rows["excess"].notna()]
    left, width, top = 200.0, 420.0, 70.0
    scale = max(1.1, min(1.6, float(rows["excess_high"].max())))
    marks = [text(20, 30, "Rounding to 2, 3 and 4 bits: excess of each solver", weight="bold")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + width * tick / scale
        marks += [line(x, top - 12, x, top + 26 * len(rows), INK if tick == 1 else GRID, 1)]
        name = {0.0: "0 best known", 1.0: "1 do nothing"}.get(tick, f"{tick:g}")
        marks += [text(x, top - 18, name, colour=FAINT, anchor="middle")]
    for place, row in enumerate(rows.itertuples()):
        y = top + 13 + 26 * place
        low, at, high = (
            left + width * min(float(value), scale) / scale
            for value in (row.excess_low, row.excess, row.excess_high)
        )
        marks += [
            text(left - 12, y + 4, str(row.solver), anchor="end"),
            line(low, y, high, y, COLOURS[0], 4, opacity=0.35) if low == low else "",
            f'<circle cx="{at:.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[0]}"/>',
            text(left + width + 14, y + 4, f"{row.excess:.3f}", colour=FAINT),
        ]
    label = "Median normalised excess of each solver of the suite rounding, with 95 % intervals"
    return svg(720, top + 26 * len(rows) + 24, label, marks)


# ---- accuracy over bits


def accuracy(table: pd.DataFrame) -> str:
    """What is left of the accuracy at each width, the mean over the networks that every solver has."""
    means = table.groupby(["solver", "bits"])["metric"].mean().unstack("bits")
    means = means.loc[[name for name in SHOWN if name in means.index]]
    whole = float(table.groupby("network")["float_metric"].first().mean())
    widths = sorted(int(bits) for bits in means.columns)
    low = float(np.floor(10 * float(means.min(axis=None))) / 10)
    left, top, width, height = 70.0, 60.0, 430.0, 220.0

    def place(bits: int, value: float) -> tuple[float, float]:
        across = (bits - widths[0]) / (widths[-1] - widths[0])
        return left + width * across, top + height * (1 - (value - low) / (1 - low))

    marks = [text(20, 30, "Accuracy against bits, mean over six networks", weight="bold")]
    for tick in np.arange(low, 1.01, 0.1):
        y = place(widths[0], float(tick))[1]
        marks += [line(left, y, left + width, y, GRID, 1)]
        marks += [text(left - 10, y + 4, f"{tick:.0%}", colour=FAINT, anchor="end")]
    for bits in widths:
        marks += [text(place(bits, low)[0], top + height + 22, f"{bits} bits", colour=FAINT, anchor="middle")]
    y = place(widths[0], whole)[1]
    marks += [line(left, y, left + width, y, INK, 1, dashed=True)]
    marks += [text(left + width + 12, y - 8, f"float {whole:.1%}", colour=FAINT)]
    marks += list(_curves(means, widths, place))
    label = "Test accuracy of rounded networks at 2, 3 and 4 bits by solver, beside the float networks'"
    return svg(720, top + height + 44, label, marks)


def _curves(means: pd.DataFrame, widths: Sequence[int], place: object) -> Iterator[str]:
    assert callable(place)
    for number, (solver, row) in enumerate(means.iterrows()):
        colour, points = COLOURS[number], [place(bits, float(row[bits])) for bits in widths]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in points)
        y = 110 + 24 * number
        yield line(520, y, 540, y, colour, 3)
        yield text(548, y + 4, str(solver))
