"""Calls of the command line, and what they print."""

from __future__ import annotations

import io
import json
import re

import pandas as pd
import pytest

from qubopress.suites import cli

EMPTY = '{"version": 0, "date": "2026-01-01", "instances": []}'
"""A registry of references that holds none."""


def call(*arguments: object) -> int:
    """The exit code of a call."""
    return cli.call([str(one) for one in arguments])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which a call ends that is wrong."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"qubopress: [^\n]+\n", err), err
    return err


def table_of(out: str, form: str) -> pd.DataFrame:
    """What was printed as csv, json or markdown."""
    if form == "csv":
        return pd.read_csv(io.StringIO(out))
    if form == "json":
        return pd.DataFrame(json.loads(out))
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    return pd.DataFrame(rows, columns=head)
