"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import StoreError

__all__ = ["write_whole"]


def write_whole(out: str | Path, content: str | bytes) -> Path:
    """Put the content in place in one step, so that nobody ever reads half a file, and give its path.

    Raises:
        StoreError: there is no such folder or it cannot be written.
    """
    out = Path(out)
    if out.is_dir() or not out.parent.is_dir():
        raise StoreError(f"{out} must be a file in a folder that exists; name such a path")
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise StoreError(f"{out} must lie in a folder that can be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(name).chmod(0o644)
        return Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
