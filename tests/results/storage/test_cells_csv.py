from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from records import make_benchmark

from qubopress.results import StoreError, load
from qubopress.results.storage.cells_csv import REJUDGEABLE, read_cells, write_cells


def test_published_cells_come_back_with_their_types_and_digits(tmp_path: Path) -> None:
    frame = load(make_benchmark(tmp_path / "s.db", seeds=1)).assign(**{REJUDGEABLE: True})
    frame = frame.astype({REJUDGEABLE: "boolean"})
    pd.testing.assert_frame_equal(read_cells(write_cells(frame, tmp_path / "c.csv")), frame)


def test_a_file_without_the_columns_of_cells_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("suite,loss\nsmoke,1\n")
    with pytest.raises(
        StoreError, match="must have the column instance_key, got none; publish its store again"
    ):
        read_cells(tmp_path / "c.csv")
