"""Instances as .npz files: plain arrays with a shape's name, written atomically, read without pickle."""

from __future__ import annotations

import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import scipy.sparse as sp

from ..errors import InputError, MissingDataError

__all__ = [
    "MOST_BYTES",
    "FileError",
    "content",
    "kind_of",
    "matrix_arrays",
    "matrix_from",
    "read_instance",
    "replacing",
    "write_arrays",
]

T = TypeVar("T")


class FileError(InputError):
    """A file breaks a rule of its format. The message is one line and names the file."""


MOST_BYTES = 2**31
"""Files of other formats are read as a whole, some with a tenfold of their size in memory."""

DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What NumPy and zipfile raise over a file that is truncated, garbled, encrypted or something else."""


def write_arrays(path: str | Path, kind: str, arrays: dict[str, Any]) -> None:
    """Write `arrays` under the shape's name `kind`, as `replacing` does."""
    with replacing(path) as file:
        np.savez(file, kind=np.str_(kind), **arrays)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to fill that takes the place of `path` once it is whole; a reader sees the old one or the new.

    Raises:
        InputError: the place cannot be written to.
    """
    target = Path(path)
    part = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target} must be a place to write a file, got: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink()


def read_instance(path: str | Path, kind: str, build: Callable[[dict[str, Any]], T]) -> T:
    """What `build` makes of the arrays that `write_arrays` stored as `kind`.

    Raises:
        MissingDataError: there is no such file.
        InputError: the file is damaged, of another kind, or its arrays are no instance.
    """
    arrays = _read(path)
    found = str(arrays.pop("kind"))
    if found != kind:
        raise InputError(f"{path} must hold a {kind} instance, got {found}; use problems.load_instance")
    try:
        return build(arrays)
    except InputError as error:
        raise InputError(f"{path} holds no {kind} instance: {error}") from None
    except DAMAGE:
        raise _foreign(path) from None


def kind_of(path: str | Path) -> str:
    """The shape's name stored in a file. Raises as `read_instance` does."""
    return str(_read(path, only="kind")["kind"])


def content(path: str | Path) -> bytes:
    """All bytes of a file of at most `MOST_BYTES`.

    Raises:
        MissingDataError: there is no such file.
        FileError: it cannot be read, or is larger.
    """
    _check_there(path)
    try:
        size = Path(path).stat().st_size
        if size > MOST_BYTES:
            raise FileError(f"{path} must have at most {MOST_BYTES} bytes, got {size}; save it as .npz")
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path} must be readable, got: {error.strerror or error}") from None


def _check_there(path: str | Path) -> None:
    if not Path(path).is_file():
        raise MissingDataError(f"no instance file at {path}; write one with instance.save(path)")


def _read(path: str | Path, *, only: str | None = None) -> dict[str, Any]:
    _check_there(path)
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in ([only] if only else {*archive.files, "kind"})}
    except OSError as error:
        raise InputError(f"{path} must be readable, got: {error.strerror or error}") from None
    except DAMAGE:
        raise _foreign(path) from None


def _foreign(path: str | Path) -> InputError:
    return InputError(f"{path} must be an instance written by instance.save, got another or a damaged file")


def matrix_arrays(Q: Any) -> dict[str, Any]:
    """A dense or CSR matrix as plain arrays."""
    if not sp.issparse(Q):
        return {"Q": Q}
    return {"data": Q.data, "indices": Q.indices, "indptr": Q.indptr, "n": np.int64(Q.shape[0])}


def matrix_from(arrays: dict[str, Any]) -> Any:
    """The matrix that `matrix_arrays` took apart. Raises ValueError or KeyError for parts that do not fit."""
    if "Q" in arrays:
        return arrays["Q"]
    n = int(arrays["n"])
    matrix = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
    matrix.check_format(full_check=True)  # an index outside the matrix would be read as foreign memory
    return matrix
