"""publish: the tables of the README and of the docs and the page of leaderboards, from stored results.

`qubopress publish` writes them; with `--add STORE` it first publishes a store's cells below results/data.
Each table stands between `<!-- NAME table: begin -->` and `<!-- end -->`, and is made of a CSV file that
`--add` wrote or that `qubopress leaderboard --suite SUITE --by PARAMETER --format csv` printed. The README
has the short ones, over all networks; the docs' page of results has every network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...problems import InputError
from ...results.markdown import markdown_table
from .pictures import draw
from .suite_files import PAGE, Added, add, page

__all__ = ["BLOCKS", "Block", "Listing", "listed", "publish", "published", "short", "table"]

RESULTS = "docs/results.md"


@dataclass(frozen=True)
class Block:
    """A table: a row a network and method, a column a value of a problem's parameter.

    Attributes:
        name: in the opening marker.
        source: CSV file of `results.by_parameter`, below the repository's root.
        across: the parameter, whose values head the columns, the largest first.
        head: of such a column, with {} for the value.
        rows: columns of the file that name a row; the first one's float metric is told.
        page: file that the table stands in, below the root.
        brief: one row a method, over all networks.
    """

    name: str
    source: str
    across: str
    head: str
    rows: tuple[str, ...] = ("network", "solver")
    page: str = RESULTS
    brief: bool = False


@dataclass(frozen=True)
class Listing:
    """A table as its file has it, line by line.

    Attributes:
        name: in the opening marker.
        source: CSV file, below the repository's root.
        columns: those of the file that are shown, each with its head.
        cure: command that writes the file.
        page: file that the table stands in, below the root.
    """

    name: str
    source: str
    columns: dict[str, str]
    cure: str
    page: str = RESULTS


LARGE, MEASURED = "results/data/analog-large", "qubopress experiment large-generators"

JUDGED_IMAGES = {
    "distance": "distance",
    "ratio": "over the floor",
    "low": "from",
    "high": "to",
    "coverage": "classes covered",
    "confidence": "confidence",
}
"""Columns of a table of generators."""

ROUNDING = "results/data/rounding/by-bits.csv"
CLAIM = {
    "claim": "claim",
    "network": "network",
    "metric": "metric",
    "worse": "the other",
    "better": "the first",
    "difference": "difference",
    "low": "from",
    "high": "to",
    "pairs": "pairs",
    "verdict": "verdict",
}

CORRELATION = {
    "problem": "formulation",
    "metric_name": "metric",
    "rho": "ρ",
    "rho_low": "from",
    "rho_high": "to",
    "instances": "instances",
    "solutions": "networks",
}

EXPORT = "results/data/export-formats/formats.csv"

LAYERS = ("Linear, 256 inputs", "Linear, 144 inputs", "Conv2d", "grouped Conv2d", "depthwise Conv2d")

BLOCKS = (
    Block("rounding in short", ROUNDING, "bits", "int{}", page="README.md", brief=True),
    Block("rounding", ROUNDING, "bits", "int{}"),
    Block(
        "real rounding",
        "results/data/real-rounding/by-bits.csv",
        "bits",
        "int{}",
        rows=("network", "variant", "solver"),
    ),
    Listing(
        "rounding methods",
        "results/data/rounding-methods/methods.csv",
        {
            "bits": "bits",
            "method": "method",
            "draws": "draws",
            "loss": "loss",
            "held-out loss": "held-out",
            "time": "time",
            "layers above nearest": "layers above nearest",
            "cosine": "cosine",
            "cosine from": "from",
            "cosine to": "to",
            "rank correlation": "rank correlation",
            "top-10 overlap": "top-10 overlap",
            "top-10 overlap from": "from",
            "top-10 overlap to": "to",
        },
        "qubopress experiment rounding-methods",
    ),
    Listing(
        "bit budgets",
        "results/data/bit-budgets/budgets.csv",
        {
            "average": "bits on average",
            "choice": "choice",
            "draws": "draws",
            "predicted": "predicted error",
            "cosine": "cosine",
            "cosine from": "from",
            "cosine to": "to",
            "rank correlation": "rank correlation",
            "top-10 overlap": "top-10 overlap",
            "top-10 overlap from": "from",
            "top-10 overlap to": "to",
        },
        "qubopress experiment bit-budgets",
    ),
    Listing(
        "large layers",
        "results/data/large-layers/every-level.csv",
        {
            "neurons": "neurons",
            "inputs": "inputs",
            "bits": "bits",
            "solver": "solver",
            "loss ratio": "loss of nearest's",
            "choleskys": "Cholesky factorisations",
            "grams": "Gram matrices",
        },
        "qubopress experiment large-layers --every-level",
    ),
    Listing(
        "sign and magnitude claims",
        "results/data/sign-magnitude/claims.csv",
        CLAIM,
        "qubopress experiment sign-magnitude",
    ),
    Block(
        "pruning",
        "results/data/pruning/by-keep.csv",
        "keep",
        "{} kept",
        rows=("network", "problem", "solver"),
    ),
    Listing(
        "pruning correlation",
        "results/data/pruning/correlations.csv",
        CORRELATION,
        "qubopress publish --add STORE",
    ),
    Block(
        "real pruning",
        "results/data/real-pruning/by-keep.csv",
        "keep",
        "{} kept",
        rows=("network", "problem", "solver"),
    ),
    Listing(
        "real pruning correlation",
        "results/data/real-pruning/correlations.csv",
        CORRELATION,
        "qubopress publish --add STORE",
    ),
    Block(
        "formulations",
        "results/data/pruning-formulations/by-keep.csv",
        "keep",
        "{} kept",
        rows=("network", "problem", "solver"),
    ),
    Listing(
        "formulations correlation",
        "results/data/pruning-formulations/correlations.csv",
        CORRELATION,
        "qubopress publish --add STORE",
    ),
    Listing(
        "pruning claims",
        "results/data/pruning-claims/claims.csv",
        CLAIM,
        "qubopress experiment pruning-claims STORE --out FILE",
    ),
    Listing(
        "pruning readings",
        "results/data/pruning-readings/means.csv",
        {
            "network": "network",
            "method": "who chooses",
            "as chosen": "as chosen",
            "fine-tuned": "fine-tuned",
            "refitted": "refitted",
            "held out": "on held-out samples",
            "judged": "masks judged",
            "seconds": "seconds to choose",
        },
        "qubopress experiment pruning-readings",
        page="docs/pruning.md",
    ),
    Listing(
        "pruning verdicts",
        "results/data/pruning-readings/claims.csv",
        {"claim": "claim", "reading": "reading", "network": "network", "stage": "stage"}
        | {name: told for name, told in CLAIM.items() if name not in ("claim", "network", "metric")},
        "qubopress experiment pruning-readings",
        page="docs/pruning.md",
    ),
    Listing(
        "refinement claims",
        "results/data/refinement/claims.csv",
        CLAIM,
        "qubopress experiment pruning-claims STORE --out FILE",
    ),
    Block(
        "refinement",
        "results/data/refinement/by-refine.csv",
        "refine",
        "{} refined",
        rows=("network", "solver"),
    ),
    Listing(
        "compressed",
        "results/data/analog/compressed.csv",
        {
            "network": "network",
            "share": "couplings kept",
            "bits": "bits",
            "solver": "solver",
            "cells": "draws",
            "distance": "distance",
            "over floor": "over the floor",
            "against baseline": "less round to nearest's",
            "low": "from",
            "high": "to",
            "nJ an image": "nJ an image",
        },
        "qubopress experiment compressed-generators STORE",
        page="docs/analog.md",
    ),
    Listing(
        "generators",
        "results/data/analog/generators.csv",
        {
            "generator": "images of",
            "parameters": "parameters",
            "seeds": "seeds",
            **JUDGED_IMAGES,
        },
        "qubopress experiment trained-generators",
        page="docs/analog.md",
    ),
    Listing(
        "large-steps",
        f"{LARGE}/steps.csv",
        {
            "steps a segment": "steps a segment",
            "run (s)": "s",
            "stepwise (s)": "s, reference",
            "ratio": "times as fast",
            "run (MB)": "MB",
            "stepwise (MB)": "MB, reference",
            "apart": "apart",
        },
        f"{MEASURED} --part steps",
        page="docs/analog.md",
    ),
    Listing(
        "large-search",
        f"{LARGE}/search.csv",
        {
            "passes": "passes",
            "layers": "hidden layers",
            "latent": "random inputs",
            "width": "width",
            "parameters": "parameters",
            "rate": "learning rate",
            "distance": "distance",
        },
        f"{MEASURED} --part search",
        page="docs/analog.md",
    ),
    Listing(
        "large-images",
        f"{LARGE}/images.csv",
        {
            "images": "images of",
            "parameters": "parameters",
            "draws": "draws",
            **JUDGED_IMAGES,
        },
        f"{MEASURED} --part images",
        page="docs/analog.md",
    ),
    Listing(
        "large-forms",
        f"{LARGE}/forms.csv",
        {
            "decided": "problem",
            "solver": "solver",
            "bits": "bits",
            "keep": "couplings kept",
            "tile": "tile",
            "mixtures": "mixtures",
            "error": "error",
            "distance": "distance",
        },
        f"{MEASURED} --part forms",
        page="docs/analog.md",
    ),
    Listing(
        "large-levels",
        f"{LARGE}/levels.csv",
        {
            "problem": "problem",
            "bits": "bits",
            "kept": "couplings kept",
            "solver": "solver",
            "sequential": "rows make up",
            "error": "error",
            "distance": "distance",
            "ratio": "over the floor",
            "low": "from",
            "high": "to",
            "coverage": "classes covered",
        },
        f"{MEASURED} --part levels",
        page="docs/analog.md",
    ),
    Listing(
        "export formats",
        EXPORT,
        {name: name for name in ("format", "groups of", *LAYERS)},
        "qubopress experiment export-formats",
        page="docs/export.md",
    ),
    Listing(
        "export sizes",
        "results/data/export-formats/sizes.csv",
        {
            "network": "network",
            "format": "format",
            "bytes": "bytes",
            "share": "of the float ONNX file",
            "rounded matrices": "of the rounded matrices",
            "cosine": "least cosine to ours",
            "time": "time of the float one",
        },
        "qubopress experiment export-sizes",
        page="docs/export.md",
    ),
)


def published(text: str, root: Path, *, blocks: tuple[Block | Listing, ...] = BLOCKS) -> str:
    """A page's `text` with every block's table made anew from its file below `root`.

    Raises:
        InputError: a block has no markers, or a file is missing or lacks a column.
    """
    for block in blocks:
        begin, end = f"<!-- {block.name} table: begin -->\n", "<!-- end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
        made = f"{begin}\n{_made(block, root)}\n\n{end}"
        text, found = pattern.subn(lambda _, made=made: made, text)  # type: ignore[misc]
        if found != 1:
            raise InputError(f"{block.page} must hold {begin.strip()} … {end} once, got it {found} times")
    return text


def _made(block: Block | Listing, root: Path) -> str:
    if isinstance(block, Listing):
        return listed(
            block, _frame(block.source, tuple(block.columns), root, cure=f"write it with `{block.cure}`")
        )
    return (short if block.brief else table)(block, _read(block, root))


def listed(listing: Listing, frame: pd.DataFrame) -> str:
    """A listing's table in Markdown, real numbers to four digits and to the right."""
    real = {name for name in listing.columns if pd.api.types.is_numeric_dtype(frame[name])}
    lines = [list(listing.columns.values()), ["---:" if name in real else "---" for name in listing.columns]]
    for row in frame.to_dict("records"):
        lines.append([_shown(row[name]) for name in listing.columns])
    return markdown_table(lines)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.4g}"
    return str(value).replace("|", "\\|")


def table(block: Block, frame: pd.DataFrame) -> str:
    """A block's table in Markdown, its numbers to the right.

    A cell is the network's metric after compression, shares in per cent, and in brackets the loss in units of
    the baseline's. The best metric of a network in a column is bold; ties all are.
    """
    values = sorted(frame[block.across].unique(), reverse=True)
    heads = [*block.rows, *(block.head.format(value) for value in values)]
    lines = [heads, [*("---" for _ in block.rows), *("---:" for _ in values)]]
    for network, cells in frame.groupby(block.rows[0], sort=True):
        label = f"{network} ({_metric(cells['float_metric'].iloc[0])})"
        for names, own in _by_row(block, cells, frame):
            lines.append([label, *names, *(_cell(block, own, cells, value) for value in values)])
            label = ""  # told once, so that the eye finds where a network begins
    return markdown_table(lines)


def short(block: Block, frame: pd.DataFrame) -> str:
    """A block's table over all networks, in the order of the ratios' mean.

    A cell is the geometric mean over the networks of the loss in units of the baseline's, and the mean of the
    metric less the float network's, in points; the best of each in a column is bold. A method that failed on
    a network has none.
    """
    values, names = sorted(frame[block.across].unique(), reverse=True), list(block.rows[1:])
    ratio, points = _means(block, frame)
    order = ratio.mean(axis=1).sort_values(kind="stable", na_position="last").index
    lines = [
        [*names, *(block.head.format(value) for value in values)],
        [*("---" for _ in names), *("---:" for _ in values)],
    ]
    for key in order:
        cells = (
            f"{_bold(ratio[value], key, 'min', '.3f')}, {_bold(points[value], key, 'max', '+.1f')}"
            for value in values
        )
        lines.append([*_names(key), *cells])
    return markdown_table(lines)


def _means(block: Block, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Geometric mean of the ratios and mean points, a row a method, a column a value."""
    named = frame.assign(
        log=np.log(frame["ratio"].where(frame["imputed"] == 0)),
        points=100 * (frame["metric"] - frame["float_metric"]).where(frame["imputed"] == 0),
    )
    groups = named.groupby([*block.rows[1:], block.across])
    whole = groups[["log", "points"]].agg(lambda column: column.mean(skipna=False))
    found = whole.unstack(block.across)
    return np.exp(found["log"]), found["points"]


def _bold(column: pd.Series[float], key: Any, best: str, form: str) -> str:
    """A number of a column, bold where no other one that is shown so is better."""
    text = "–" if pd.isna(column[key]) else format(column[key], form)
    return f"**{text}**" if text == format(getattr(column, best)(), form) else text


def _by_row(
    block: Block, cells: pd.DataFrame, frame: pd.DataFrame
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The rows of a network with their cells, in the order of their mean ratio over all networks."""
    rest = list(block.rows[1:])
    places = frame.groupby(rest)["ratio"].mean().sort_values(kind="stable", na_position="last").index
    found = {_names(key): own for key, own in cells.groupby(rest)}
    yield from ((_names(key), found[_names(key)]) for key in places if _names(key) in found)


def _names(key: Any) -> tuple[str, ...]:
    return tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)


def _cell(block: Block, own: pd.DataFrame, cells: pd.DataFrame, value: Any) -> str:
    """What one method reached at one value; "failed" where no run of it counts, "–" where none was judged."""
    here = own[own[block.across] == value]
    if here.empty:
        return "–"
    (row,) = here.to_dict("records")
    if row["imputed"] == row["cells"]:
        return "failed"
    if pd.isna(row["metric"]):
        return "–"
    shown, best = (
        _metric(one) for one in (row["metric"], cells[cells[block.across] == value]["metric"].max())
    )
    text = f"**{shown}**" if shown == best else shown
    text += f" ({row['ratio']:.2f})" if pd.notna(row["ratio"]) else ""
    return f"{text}, {row['imputed']} of {row['cells']} failed" if row["imputed"] else text


def _metric(value: float) -> str:
    """A share in per cent, other metrics as they are."""
    return f"{100 * value:.1f}" if 0 <= value <= 1 else f"{value:.2f}"


def _read(block: Block, root: Path) -> pd.DataFrame:
    wanted = (*block.rows, block.across, "metric", "ratio", "float_metric", "cells", "imputed")
    cure = f"write it with `qubopress leaderboard --by {block.across} --format csv`"
    frame = _frame(block.source, wanted, root, cure=cure)
    if frame.duplicated([*block.rows, block.across]).any():
        raise InputError(f"{block.source} must have one line a {', '.join(block.rows)} and {block.across}")
    return frame


def _frame(source: str, wanted: tuple[str, ...], root: Path, *, cure: str) -> pd.DataFrame:
    """A stored table that has all columns wanted."""
    try:
        frame = pd.read_csv(root / source)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{source} must be a CSV file, got {reason}; {cure}") from None
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise InputError(f"{source} must have the column {missing[0]}, got none; {cure}")
    return frame


def publish(root: Path, *, stores: Sequence[Path] = ()) -> Iterator[str]:
    """Publish stores if some are named, then write the pages' tables and the leaderboards; a line for each.

    Raises:
        InputError: a page, or a file that a table is made of, is missing or wrong.
        StoreError: a store cannot be read.
    """
    data = root / "results/data"
    for one in add(stores, data) if stores else ():
        yield from _told(one)
    for name in dict.fromkeys(block.page for block in BLOCKS):
        own = tuple(block for block in BLOCKS if block.page == name)
        yield _written(root / name, published(_text(root / name), root, blocks=own))
    yield _written(data / PAGE, page(data))
    for picture in draw(root):
        yield f"wrote {picture}"


def _text(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{page} must be a page of the repository, got {reason}; set --root") from None


def _told(one: Added) -> Iterator[str]:
    bits = f"{one.rejudgeable} with their bits, so that anyone can rejudge them"
    yield f"{one.suite}: {one.cells} cells, {bits}"
    if one.changed:
        changed = f"{one.changed} cells are of a checkout with changes of its own"
        yield f"{one.suite}: {changed}; publish a commit's"


def _written(path: Path, text: str) -> str:
    """Write a file if it is another one now, and say so."""
    same = path.exists() and path.read_text(encoding="utf-8") == text
    if not same:
        path.write_text(text, encoding="utf-8")
    return f"{path}: {'unchanged' if same else 'written'}"
