"""What the commands share: formats, options that exclude each other, the word on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from qubopress.suites.terminal import tables
from qubopress.suites.terminal.console import FORMATS, CallError, check_format, exclude, nothing_in


def test_the_formats_that_may_be_asked_for_are_those_of_tables() -> None:
    assert FORMATS == tables.FORMATS
    for name in FORMATS:
        check_format(name)
    with pytest.raises(CallError, match="--format must be one of table, csv, json, markdown, got 'xml'"):
        check_format("xml")


def test_of_options_that_exclude_each_other_one_may_be_given() -> None:
    exclude({"--by": True, "--family": False})
    with pytest.raises(CallError, match="--by and --family exclude each other, got both; leave one out"):
        exclude({"--by": True, "--family": True})


def test_an_empty_store_is_told_in_one_line_and_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit, match="3") as ended:
        nothing_in(Path("r.db"))
    assert ended.value.exit_code == 3
    told = "qubopress: no cell in r.db matches; see `qubopress leaderboard --store r.db` for what is there\n"
    assert capsys.readouterr().err == told
