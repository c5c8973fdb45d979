"""publish: the README's tables and the page of leaderboards, written from stored results.

Run by `make publish`; `--add STORE…` first publishes the cells of stores below results/data. Each table
stands between `<!-- NAME table: begin -->` and `<!-- end -->`, and is made of a CSV file that `--add` wrote
or that `qubopress leaderboard --suite SUITE --by PARAMETER --format csv` printed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..problems import InputError
from ..results import StoreError
from .publication import PAGE, Added, add, page

__all__ = ["BLOCKS", "Block", "main", "published", "table"]


@dataclass(frozen=True)
class Block:
    """A table of the README: a row a network and method, a column a value of a problem's parameter.

    Attributes:
        name: in the opening marker.
        source: CSV file of `results.by_parameter`, below the repository's root.
        across: the parameter, whose values head the columns, the largest first.
        head: of such a column, with {} for the value.
        rows: columns of the file that name a row; the first one's float metric is told.
    """

    name: str
    source: str
    across: str
    head: str
    rows: tuple[str, ...] = ("network", "solver")


BLOCKS = (Block("rounding", "results/data/rounding/by-bits.csv", "bits", "int{}"),)


def published(text: str, root: Path, *, blocks: tuple[Block, ...] = BLOCKS) -> str:
    """The README's `text` with every block's table made anew from its file below `root`.

    Raises:
        InputError: a block has no markers, or a file is missing or lacks a column.
    """
    for block in blocks:
        begin, end = f"<!-- {block.name} table: begin -->\n", "<!-- end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
        made = f"{begin}\n{table(block, _read(block, root))}\n\n{end}"
        text, found = pattern.subn(lambda _, made=made: made, text)  # type: ignore[misc]
        if found != 1:
            raise InputError(f"the README must hold {begin.strip()} … {end} once, got it {found} times")
    return text


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
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
    path = root / block.source
    cure = f"write it with `qubopress leaderboard --by {block.across} --format csv`"
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{block.source} must be a CSV file, got {reason}; {cure}") from None
    wanted = (*block.rows, block.across, "metric", "ratio", "float_metric", "cells", "imputed")
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise InputError(f"{block.source} must have the column {missing[0]}, got none; {cure}")
    if frame.duplicated([*block.rows, block.across]).any():
        raise InputError(f"{block.source} must have one line a {', '.join(block.rows)} and {block.across}")
    return frame


def main(arguments: list[str] | None = None) -> None:
    """Publish stores if some are named, then write the README's tables and the page."""
    parser = argparse.ArgumentParser(description="Write the README's tables and the page of leaderboards.")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of the README and the results")
    parser.add_argument("--add", type=Path, nargs="+", default=[], help="stores to publish first")
    options = parser.parse_args(arguments)
    root, data = options.root, options.root / "results/data"
    try:
        for one in add(options.add, data) if options.add else ():
            _tell(one)
        readme = root / "README.md"
        _write(readme, published(readme.read_text(encoding="utf-8"), root))
        _write(data / PAGE, page(data))
    except (InputError, StoreError) as error:
        parser.error(str(error))


def _tell(one: Added) -> None:
    print(
        f"{one.suite}: {one.cells} cells, {one.rejudgeable} with their bits, so that anyone can rejudge them"
    )
    if one.changed:
        print(
            f"{one.suite}: {one.changed} cells are of a checkout with changes of its own; publish a commit's"
        )


def _write(path: Path, text: str) -> None:
    """Write a file if it is another one now."""
    same = path.exists() and path.read_text(encoding="utf-8") == text
    if not same:
        path.write_text(text, encoding="utf-8")
    print(f"{path}: {'unchanged' if same else 'written'}")


if __name__ == "__main__":
    main()
