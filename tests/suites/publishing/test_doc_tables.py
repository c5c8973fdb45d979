"""The tables of the README and the docs say what the stored results say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from repository import ROOT

from qubopress.problems import InputError
from qubopress.suites import cli
from qubopress.suites.publishing.doc_tables import BLOCKS, Block, Listing, listed, published, short, table

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in {block.page for block in BLOCKS}}
FULL = [block for block in BLOCKS if isinstance(block, Block) and not block.brief]
BITS = Block("rounding", "by-bits.csv", "bits", "int{}")


def row(**given: Any) -> dict[str, Any]:
    defaults = {"network": "net", "solver": "beam", "bits": 4, "metric": 0.9, "ratio": 0.25}
    return defaults | {"float_metric": 0.95, "cells": 1, "imputed": 0} | given


def cells_of(text: str) -> list[list[str]]:
    """The table's lines below its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_tables_of_a_page_are_those_of_the_stored_results(page: str) -> None:
    own = tuple(block for block in BLOCKS if block.page == page)
    made = published(PAGES[page], ROOT, blocks=own)
    assert made == PAGES[page], "run `make publish` and commit the pages with the results"


@pytest.mark.parametrize("block", FULL, ids=lambda block: block.name)
def test_every_stored_number_of_a_table_stands_in_its_page(block: Block) -> None:
    stored = pd.read_csv(ROOT / block.source)
    part = PAGES[block.page].split(f"<!-- {block.name} table: begin -->")[1].split("<!-- end -->")[0]
    assert set(stored["solver"]) <= {cell for cells in cells_of(part.strip()) for cell in cells}
    for ratio in stored["ratio"].dropna():
        assert f"({ratio:.2f})" in part


def test_a_changed_result_changes_the_pages(tmp_path: Path) -> None:
    for page in PAGES:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    for block in BLOCKS:
        (tmp_path / block.source).parent.mkdir(parents=True, exist_ok=True)
        frame = pd.read_csv(ROOT / block.source)
        if isinstance(block, Block):
            frame = frame.assign(ratio=0.1234)
        frame.to_csv(tmp_path / block.source, index=False)
    assert cli.call(["publish", "--root", str(tmp_path)]) == 0
    after = {page: (tmp_path / page).read_text(encoding="utf-8") for page in PAGES}
    assert "(0.12)" in after["docs/results.md"]
    assert "**0.123**" in after["README.md"]
    for page, text in after.items():
        assert text.split("table: begin -->")[0] == PAGES[page].split("table: begin -->")[0]


def test_a_short_table_has_geometric_means_of_losses_and_mean_points_the_best_bold() -> None:
    frame = pd.DataFrame(
        [
            row(solver="a", ratio=0.1, metric=0.94),
            row(solver="a", ratio=0.4, metric=0.92, network="other"),
            row(solver="b", ratio=0.3, metric=0.95),
            row(solver="b", ratio=0.3, metric=0.95, network="other"),
        ]
    )
    found = cells_of(short(replace(BITS, brief=True), frame))
    assert found == [["a", "**0.200**, -2.0"], ["b", "0.300, **+0.0**"]]


def test_a_listing_shows_its_columns_in_order_numbers_to_the_right_and_a_bar_as_text() -> None:
    frame = pd.DataFrame({"b": ["x|y", "z"], "a": [0.123456, None], "c": [3, 4], "d": [0, 0]})
    listing = Listing("any", "any.csv", {"a": "A", "b": "B", "c": "C"}, "any")
    assert listed(listing, frame).splitlines() == [
        "| A | B | C |",
        "| ---: | --- | ---: |",
        "| 0.1235 | x\\|y | 3 |",
        "| – | z | 4 |",
    ]


def test_a_method_that_failed_on_a_network_has_no_mean() -> None:
    frame = pd.DataFrame([row(solver="a"), row(solver="b"), row(solver="b", network="other", imputed=1)])
    found = dict(cells_of(short(replace(BITS, brief=True), frame)))
    assert found == {"a": "**0.250**, **-5.0**", "b": "–, –"}


def test_a_network_has_a_row_a_method_and_a_column_a_width_the_widest_first() -> None:
    frame = pd.DataFrame([row(bits=2, metric=0.5, ratio=0.5), row(), row(network="other", ratio=None)])
    text = table(BITS, frame)
    assert text.splitlines()[:2] == ["| network | solver | int4 | int2 |", "| --- | --- | ---: | ---: |"]
    assert cells_of(text) == [
        ["net (95.0)", "beam", "**90.0** (0.25)", "**50.0** (0.50)"],
        ["other (95.0)", "beam", "**90.0**", "–"],
    ]


def test_methods_come_by_their_mean_ratio_and_the_network_is_told_once() -> None:
    frame = pd.DataFrame([row(solver="a", ratio=0.9), row(solver="b", ratio=0.1), row(solver="c", ratio=0.5)])
    assert [cells[:2] for cells in cells_of(table(BITS, frame))] == [
        ["net (95.0)", "b"],
        ["", "c"],
        ["", "a"],
    ]


def test_the_best_of_a_network_in_a_column_is_bold_and_so_is_a_tie() -> None:
    frame = pd.DataFrame(
        [
            row(solver="a", metric=0.9001),
            row(solver="b", metric=0.9004),
            row(solver="c", metric=0.8),
            row(solver="c", metric=0.99, network="other"),
        ]
    )
    shown = {(cells[1], cells[2]) for cells in cells_of(table(BITS, frame))}
    bold = {("a", "**90.0** (0.25)"), ("b", "**90.0** (0.25)"), ("c", "**99.0** (0.25)")}
    assert shown == bold | {("c", "80.0 (0.25)")}


def test_failures_are_shown_as_such() -> None:
    frame = pd.DataFrame(
        [
            row(solver="a", metric=None, ratio=None, cells=2, imputed=2),
            row(solver="b", cells=3, imputed=1),
            row(solver="c", metric=None, ratio=0.5),
        ]
    )
    shown = {cells[1]: cells[2] for cells in cells_of(table(BITS, frame))}
    assert shown == {"a": "failed", "b": "**90.0** (0.25), 1 of 3 failed", "c": "–"}


def test_another_table_has_rows_columns_and_a_metric_of_its_own() -> None:
    pruning = Block("pruning", "by-keep.csv", "keep", "{} kept", rows=("network", "problem", "solver"))
    rows = [
        row(problem=name, keep=keep, metric=metric, float_metric=31.456)
        for name, keep, metric in (("taylor", 0.64, 30.0), ("hybrid", 0.64, 30.5), ("hybrid", 0.5, 29.123))
    ]
    text = table(pruning, pd.DataFrame(rows))
    assert text.splitlines()[0] == "| network | problem | solver | 0.64 kept | 0.5 kept |"
    assert ["", "taylor", "beam", "30.00 (0.25)", "–"] in cells_of(text)
    assert ["net (31.46)", "hybrid", "beam", "**30.50** (0.25)", "**29.12** (0.25)"] in cells_of(text)


def test_two_blocks_are_written_each_between_its_own_markers(tmp_path: Path) -> None:
    pd.DataFrame([row()]).to_csv(tmp_path / "by-bits.csv", index=False)
    other = Block("other", "by-bits.csv", "bits", "{} bits")
    text = (
        "a\n<!-- other table: begin -->\nold\n<!-- end -->\nb\n<!-- rounding table: begin -->\n<!-- end -->c"
    )
    made = published(text, tmp_path, blocks=(BITS, other))
    assert made.index("4 bits") < made.index("\nb\n") < made.index("int4")
    assert (made[:2], made[-1], "old" in made) == ("a\n", "c", False)


MARKED = "<!-- rounding table: begin -->\n<!-- end -->"


@pytest.mark.parametrize(
    ("text", "frame", "message"),
    [
        (
            "no markers",
            [row()],
            "results.md must hold <!-- rounding table: begin --> … <!-- end --> once",
        ),
        (2 * MARKED, [row()], r"once, got it 2 times"),
        (
            MARKED,
            None,
            "by-bits.csv must be a CSV file, got .*; write it with `qubopress leaderboard --by bits",
        ),
        (MARKED, [{"network": "net"}], "by-bits.csv must have the column solver, got none; write it with"),
        (MARKED, [row(), row()], "by-bits.csv must have one line a network, solver and bits"),
    ],
)
def test_what_cannot_be_published_is_refused_in_one_line(
    tmp_path: Path, text: str, frame: list[dict[str, Any]] | None, message: str
) -> None:
    if frame is not None:
        pd.DataFrame(frame).to_csv(tmp_path / "by-bits.csv", index=False)
    with pytest.raises(InputError, match=message) as caught:
        published(text, tmp_path, blocks=(BITS,))
    assert "\n" not in str(caught.value)


def test_the_command_ends_in_one_line_where_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for page in PAGES:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text("no markers", encoding="utf-8")
    assert cli.call(["publish", "--root", str(tmp_path)]) == 2
    assert "by-bits.csv must be a CSV file" in capsys.readouterr().err


def test_a_folder_without_the_pages_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.call(["publish", "--root", str(tmp_path)]) == 2
    assert "README.md must be a page of the repository, got [Errno 2]" in capsys.readouterr().err
