"""The files of a gate's baseline and the times in them, for which nothing slow is imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ...results.storage.errors import StoreError

__all__ = ["ROWS", "TIMES", "Timed", "Times", "read_times"]

ROWS, TIMES = "rows.jsonl", "times.json"
"""Files of a baseline: its records as text, and the times of each solver and instance in calibrations."""

Times = dict[str, dict[str, float]]
"""Calibrations that a solver's fixed work takes, by solver and instance."""


@dataclass(frozen=True)
class Timed:
    """A baseline's times and the processor that had them."""

    processor: str
    times: Times


def read_times(path: Path) -> Timed:
    """The times of a baseline; StoreError where the file holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        times = {name: {k: float(v) for k, v in one.items()} for name, one in content["times"].items()}
        return Timed(str(content["processor"]), times)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} must be a baseline's times; make one by --renew: {error}") from None
