"""The page's raw data as links that hold it: CSV always, Parquet where pyarrow is installed."""

import base64
import gzip
import importlib.util
import io

import pandas as pd

PLAIN_BYTES = 1_000_000
"""A CSV larger than this is compressed, so that a page of many cells stays light."""


def links(frame: pd.DataFrame) -> str:
    """A paragraph of download links for the cells of a scored table."""
    parts = [_link("cells.csv.gz" if gz else "cells.csv", kind, data) for gz, kind, data in [_csv(frame)]]
    if importlib.util.find_spec("pyarrow"):
        parts.append(_link("cells.parquet", "application/vnd.apache.parquet", _parquet(frame)))
        note = ""
    else:
        note = " Parquet is here where pyarrow was installed when the page was made."
    return f'<p class="downloads">{" ".join(parts)}<span class="note"> One row a cell.{note}</span></p>'


def _csv(frame: pd.DataFrame) -> tuple[bool, str, bytes]:
    """Whether it is compressed, its media type and its bytes; the same cells give the same bytes."""
    data = frame.to_csv(index=False).encode()
    if len(data) <= PLAIN_BYTES:
        return False, "text/csv", data
    return True, "application/gzip", gzip.compress(data, mtime=0)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _link(name: str, kind: str, data: bytes) -> str:
    size = f"{len(data) / 1e6:.1f} MB" if len(data) >= 1e5 else f"{len(data) / 1e3:.0f} kB"
    address = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<a class="download" download="{name}" href="{address}">{name} ({size})</a>'
