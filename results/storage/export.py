"""All cells of a store as one file: CSV, JSON or Parquet for other programs, or a store, by its ending."""

from __future__ import annotations

import importlib.util
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import StoreError
from .store import Store
from .whole_files import write_whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["export"]


def export(store: str | Path, out: str | Path) -> int:
    """Write every cell with every column of `load` and its `versions`; give the number of cells.

    Numbers keep all their digits. In JSON, a list of objects, an absent value is null and an infinite one the
    text inf or -inf, as in records. What ends in .db is a copy of the store as it is now, traces and bits
    included: the file alone would lack what a run that goes on has in its -wal.

    Raises:
        StoreError: the ending is none of these, Parquet is asked for without pyarrow, a copy is there
            already, the store cannot be read or the file not written.
    """
    out = Path(out)
    if out.suffix not in (*WRITERS, COPY):
        raise StoreError(f"{out} must end in {', '.join((*WRITERS, COPY))}; name such a file")
    if out.suffix == COPY and out.exists():
        raise StoreError(f"{out} must not exist yet, so that no store is lost; name another file")
    if out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise StoreError(f"{out} takes pyarrow, which is not installed: pip install pyarrow, or name a .csv")
    with Store(store) as opened:
        if out.suffix == COPY:
            write_whole(out, opened.snapshot())
            return len(opened.statuses())
        frame = opened.frame(versions=True)
    write_whole(out, WRITERS[out.suffix](frame))
    return len(frame)


def _csv(frame: pd.DataFrame) -> bytes:
    text: str = frame.to_csv(index=False)
    return text.encode()


def _json(frame: pd.DataFrame) -> bytes:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    lines = [json.dumps({str(name): _plain(value) for name, value in row.items()}) for row in rows]
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def _plain(value: Any) -> Any:
    """A value that strict JSON knows."""
    value = value.item() if hasattr(value, "item") else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


WRITERS = {".csv": _csv, ".parquet": _parquet, ".json": _json}

COPY = ".db"
