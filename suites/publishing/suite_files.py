"""Publication: the cells of stores as files that a repository keeps, a folder a suite."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...problems import InputError
from ...results import InstanceInfo, Record, Store, by_parameter, correlations, merge
from ...results.page.published_page import published_page
from ...results.storage.cells_csv import REJUDGEABLE, read_cells, write_cells
from ...results.storage.names import unfit
from ...results.storage.rows import light_rows
from ...results.storage.whole_files import write_whole
from ..network_costs import with_costs
from ..suite import load, suite_names

__all__ = ["CELLS", "CORRELATIONS", "PAGE", "ROWS", "Added", "add", "cells_of", "page"]

CELLS, ROWS, PAGE = "records.csv", "rows.jsonl", "leaderboard.html"
"""Files of a suite: all cells without bits, and those whose bits are small; and the page of all suites."""

CORRELATIONS = "correlations.csv"
"""File of a suite that has several solutions an instance: whether a lower loss was a better network."""

SMALL = 4096
"""Bytes of a solution up to which it is published."""

MOST = 1_000_000
"""Characters of published rows in a suite; those of the first seeds and with the fewest bits come first."""


@dataclass(frozen=True)
class Added:
    """What was published of a suite: its cells, those with bits, and those of a changed checkout."""

    suite: str
    cells: int
    rejudgeable: int
    changed: int


def add(stores: Iterable[str | Path], data: Path) -> list[Added]:
    """Write each suite of the stores into a folder of its name below `data`; what it had is replaced.

    Raises:
        InputError: no store was named, or a suite is named so that its folder would lie elsewhere.
        StoreError: a store cannot be read, or the folder not written.
    """
    stores = list(stores)
    if not stores:
        raise InputError("publishing takes a store at least; name one")
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(stores[0])
        if len(stores) > 1:
            whole = Path(folder, "all.db")
            merge(stores, whole)
        with Store(whole) as kept:
            frame, infos, records = kept.frame(), kept.instances(), list(kept.records())
    for name in frame["suite"].unique():
        if fault := unfit(str(name)):
            raise InputError(f"the name of a suite {fault}; run it again under another name")
    return [
        _add_suite(data / str(name), str(name), cells, infos, [one for one in records if one.suite == name])
        for name, cells in frame.groupby("suite")
    ]


def _add_suite(
    folder: Path, name: str, cells: pd.DataFrame, infos: list[InstanceInfo], records: list[Record]
) -> Added:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _small(records)
    light_rows(infos, chosen, folder / ROWS)
    keys = {one.cell for one in chosen}
    cells = cells.assign(**{REJUDGEABLE: cells["cell"].isin(keys)})
    order = ["instance", "solver", "parameters", "seed", "cell"]
    write_cells(cells.sort_values(order, kind="stable"), folder / CELLS)
    stored = read_cells(folder / CELLS)
    told = correlations(stored).replace({"problem": {"": "all"}})
    if len(told):
        write_whole(folder / CORRELATIONS, told.to_csv(index=False, lineterminator="\n"))
    by = load(name).by if name in suite_names() else ""
    if by:
        table = by_parameter(stored, by)
        text = (with_costs(table) if by == "bits" else table).to_csv(index=False, lineterminator="\n")
        write_whole(folder / f"by-{by}.csv", text)
    changed = int(cells["commit"].str.endswith("+").sum())
    return Added(name, len(cells), len(chosen), changed)


def _small(records: list[Record]) -> list[Record]:
    """The records whose solutions are small, as many as a file may hold."""
    sizes = {one.cell: sum(len(stage.bits or b"") for stage in one.stages) for one in records}
    found, length = [], 0
    for record in sorted(records, key=lambda one: (one.seed, sizes[one.cell], one.cell)):
        if record.loss is None or sizes[record.cell] > SMALL:
            continue
        length += len(record.without_trace().to_json())
        if length > MOST:
            break
        found.append(record)
    return found


def cells_of(data: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every published suite with its cells.

    Raises:
        StoreError: a file of cells is none.
    """
    for path in sorted(data.glob(f"*/{CELLS}")):
        yield path.parent.name, read_cells(path)


def page(data: Path) -> str:
    """The leaderboards of all that is published below `data`, as one page."""
    return published_page(dict(cells_of(data)))
