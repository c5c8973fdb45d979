"""The page's raw data as links that hold it: CSV always, Parquet where pyarrow is installed."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import io
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from .frame import render

__all__ = ["links"]

PLAIN_BYTES = 1_000_000
"""A CSV larger than this is compressed, so that a page of many cells stays light."""


@dataclass(frozen=True)
class Download:
    """A file in a link: its name, its size in words, and the address that holds it."""

    name: str
    size: str
    address: str


def links(frame: pd.DataFrame, *, parquet: bool = True) -> Markup:
    """A paragraph of download links for the cells of a scored table.

    Without `parquet` CSV alone, for a page that is to be the same wherever it is made.
    """
    files, installed = [_csv(frame)], importlib.util.find_spec("pyarrow") is not None
    if parquet and installed:
        files.append(_parquet(frame))
    return render("downloads.html", files=files, missed=parquet and not installed)


def _csv(frame: pd.DataFrame) -> Download:
    """Compressed if it is long; the same cells give the same bytes."""
    data = frame.to_csv(index=False).encode()
    if len(data) <= PLAIN_BYTES:
        return _download("cells.csv", "text/csv", data)
    packed = gzip.compress(data, compresslevel=6, mtime=0)  # 9 takes half as long again for 3 % less
    return _download("cells.csv.gz", "application/gzip", packed)


def _parquet(frame: pd.DataFrame) -> Download:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return _download("cells.parquet", "application/vnd.apache.parquet", buffer.getvalue())


def _download(name: str, kind: str, data: bytes) -> Download:
    size = f"{len(data) / 1e6:.1f} MB" if len(data) >= 1e5 else f"{len(data) / 1e3:.0f} kB"
    return Download(name, size, f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}")
