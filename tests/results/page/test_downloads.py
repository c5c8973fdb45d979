from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.results.page import downloads


def test_many_cells_come_compressed(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(300_000)})
    (link,) = re.findall('download="([^"]*)" href="data:[^,]*,([^"]*)"', downloads.links(frame))
    assert link[0] == "cells.csv.gz"
    assert gzip.decompress(base64.b64decode(link[1])).startswith(b"x\n0\n1\n")
    assert downloads.links(frame) == downloads.links(frame)


def test_parquet_comes_with_the_page_where_it_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"x": [1]})
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda _, buffer, index: buffer.write(b"PAR1"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pyarrow")
    assert 'download="cells.parquet"' in downloads.links(frame)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "cells.parquet" not in downloads.links(frame)
    assert "Parquet is here where pyarrow was installed" in downloads.links(frame)
