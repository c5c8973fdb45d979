"""Instances as .npz files: plain arrays with a shape's name, written atomically, read without pickle."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import scipy.sparse as sp

from ..errors import InputError, MissingDataError

__all__ = [
    "MOST_BYTES",
    "FileError",
    "arrays_of",
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


NPY = b"\x93NUMPY"
"""How an .npy file begins."""

GZIP = b"\x1f\x8b"
XZ = b"\xfd7zXZ\x00"

MOST_BYTES = 2**31
"""Files of other formats are read as a whole, some with a tenfold of their size in memory."""

DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise over a file that is truncated, garbled, encrypted or something else."""


def write_arrays(path: str | Path, kind: str, arrays: dict[str, Any]) -> None:
    """Write `arrays` under the shape's name `kind`, as `replacing` does.

    NumPy's own `savez` writes the time of day beside each array, so that equal instances have unlike files.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in ({"kind": np.str_(kind)} | arrays).items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


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
    if "kind" not in arrays:
        raise _foreign(path)
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
    """The shape's name stored in a file, "" in one of other arrays. Raises as `read_instance` does."""
    _check_there(path)
    with Path(path).open("rb") as file:
        bare = file.read(6).startswith(NPY)
    return "" if bare else str(_read(path, only="kind").get("kind", ""))


def arrays_of(path: str | Path) -> dict[str, Any]:
    """All arrays of an .npz file, or the one of an .npy file as "". Raises as `read_instance` does."""
    _check_there(path)
    with Path(path).open("rb") as file:
        if not file.read(6).startswith(NPY):
            return _read(path)
        try:
            file.seek(0)
            if npy_bytes(file) != Path(path).stat().st_size:
                raise ValueError("an array of another size than its header says")
            file.seek(0)
            return {"": np.lib.format.read_array(file, allow_pickle=False)}
        except DAMAGE:
            raise _foreign(path) from None


def content(path: str | Path) -> bytes:
    """All bytes of a file of at most `MOST_BYTES`, unpacked where it is one of gzip's or xz's.

    Raises:
        MissingDataError: there is no such file.
        FileError: it cannot be read, or is larger.
    """
    _check_there(path)
    try:
        size = Path(path).stat().st_size
        if size > MOST_BYTES:
            raise FileError(f"{path} must have at most {MOST_BYTES} bytes, got {size}; save it as .npz")
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path} must be readable, got: {error.strerror or error}") from None
    if data.startswith(GZIP):
        return _unpacked(data, path, "a whole gzip file", partial(zlib.decompressobj, wbits=31))
    if data.startswith(XZ):
        limited = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, MOST_BYTES)
        return _unpacked(data, path, "a whole xz file", limited)
    return data


def _unpacked(data: bytes, path: str | Path, whole: str, unpacking: Callable[[], Any]) -> bytes:
    """What was packed, one part after the other, stopped at the first byte too many."""
    parts, left = [], MOST_BYTES
    while data:
        unpacker = unpacking()
        try:
            parts.append(unpacker.decompress(data, left + 1))
        except (zlib.error, lzma.LZMAError):
            raise FileError(f"{path} must be {whole}, got a damaged one") from None
        left -= len(parts[-1])
        if left < 0:
            raise FileError(f"{path} must unpack to at most {MOST_BYTES} bytes, got more; save it as .npz")
        if not unpacker.eof:
            raise FileError(f"{path} must be {whole}, got one that is cut off")
        data = unpacker.unused_data
    return b"".join(parts)


def _check_there(path: str | Path) -> None:
    if not Path(path).is_file():
        raise MissingDataError(f"no instance file at {path}; write one with instance.save(path)")


def _read(path: str | Path, *, only: str | None = None) -> dict[str, Any]:
    _check_there(path)
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            _check_sizes(path, archive, members)
            wanted = members if only is None else {only} & members.keys()
            return {name: _array(archive, members[name]) for name in wanted}
    except FileError:
        raise
    except OSError as error:
        raise InputError(f"{path} must be readable, got: {error.strerror or error}") from None
    except DAMAGE:
        raise _foreign(path) from None


def _check_sizes(path: str | Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse few bytes that would unpack to many: what is declared is checked before anything is read."""
    packed = [info for info in members.values() if info.compress_type != zipfile.ZIP_STORED]
    size = sum(info.file_size for info in packed)
    if size > MOST_BYTES:
        raise FileError(f"{path} must unpack to at most {MOST_BYTES} bytes, got {size}; save it uncompressed")
    for info in members.values():
        if declared(archive, info) != info.file_size:
            raise ValueError("an array of another size than its header says")


def declared(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """The bytes of an .npy member that its header declares, of itself and its array."""
    with archive.open(info) as member:
        return npy_bytes(member)


def npy_bytes(file: Any) -> int:
    """The bytes of an .npy file that its header declares, read up to the array."""
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(file)
    return int(file.tell()) + math.prod(shape) * int(dtype.itemsize)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _foreign(path: str | Path) -> InputError:
    return InputError(f"{path} must be an instance written by instance.save, got another or a damaged file")


def matrix_arrays(Q: Any) -> dict[str, Any]:
    """A dense or CSR matrix as plain arrays."""
    if not sp.issparse(Q):
        return {"Q": Q}
    return {"data": Q.data, "indices": Q.indices, "indptr": Q.indptr, "n": np.int64(Q.shape[0])}


def matrix_from(arrays: dict[str, Any]) -> Any:
    """The matrix that `matrix_arrays` took apart. Raises one of `DAMAGE` for parts that do not fit."""
    if "Q" in arrays:
        return arrays["Q"]
    n = int(arrays["n"])
    matrix = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
    matrix.check_format(full_check=True)  # an index outside the matrix would be read as foreign memory
    return matrix
