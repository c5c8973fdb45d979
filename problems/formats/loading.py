"""Instances from files and into files, the format by the file's ending."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, MissingDataError
from ..instances.capacity import Capacity
from ..instances.file_formats import check_format
from ..instances.npz import kind_of
from ..instances.qubo import Qubo
from ..instances.rounding import Rounding
from . import ENDINGS, FORMATS, READ, matrix, mqlib

__all__ = ["load_instance", "save_instance"]

_STORED: dict[str, type[Qubo] | type[Capacity] | type[Rounding]] = {
    "qubo": Qubo,
    "capacity": Capacity,
    "rounding": Rounding,
}


def load_instance(path: str | Path, *, format: str | None = None) -> Qubo | Capacity | Rounding:  # noqa: A002
    """Read an instance from a file of a known format. A BlackBox is a function and has no file.

    Parameters:
        path: the file.
        format: "npz" (ours), "bqm", "coo", "cqm", "lp", "mqlib" or "qplib", or one that is only read:
            "beasley", "biqmac", "gset", "qbsolv", "qoblib"; else the extension of the file says, before .gz
            or .xz if need be.

    Raises:
        MissingDataError: there is no such file.
        InputError: the format is not known, or the file is damaged or holds no instance of ours.
    """
    if not Path(path).is_file():
        raise MissingDataError(f"no instance file at {path}; write one with instance.save(path)")
    name = "npz" if format is None and _is_archive(path) else _format(path, format)
    if name == "npz":
        return _load(path)
    instance = (FORMATS | READ)[name].read(path)
    if name == "mqlib" and format is None and isinstance(instance, Qubo):
        mqlib.refuse_graph(path, instance)
    return instance


def save_instance(
    instance: Qubo | Capacity | Rounding,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002
) -> None:
    """Write an instance; `load_instance` reads it, whatever the format, with the same losses.

    Parameters:
        instance: .npz holds all three shapes, .cqm, .lp and .qplib two, the others a Qubo only.
        path: the file.
        format: as in `load_instance`.

    Raises:
        InputError: the format is not known or cannot hold the instance, or the place cannot be written to.
    """
    name = _format(path, format)
    if name != "npz":
        (FORMATS | READ)[name].write(path, instance)
    elif isinstance(instance, tuple(_STORED.values())):
        instance.save(path)
    else:
        raise InputError(f"a file holds a Qubo, a Capacity or a Rounding, got {type(instance).__name__}")


def _format(path: str | Path, name: str | None) -> str:
    """The name of a format."""
    known = ["npz", *FORMATS]
    if name:
        check_format(name)
        return name
    extension = Path(Path(path).name.lower().removesuffix(".gz").removesuffix(".xz")).suffix[1:]
    extension = ENDINGS.get(extension, extension)
    if extension not in (*known, *READ):
        listed = ", ".join(f".{each}" for each in known)
        others = ", ".join(READ)
        raise InputError(
            f"{path} must end in one of {listed}, or pass format= (--input-format), such as {others}"
        )
    return extension


def _is_archive(path: str | Path) -> bool:
    """Whether NumPy wrote the file: `instance.save` asks for no extension."""
    try:
        with Path(path).open("rb") as file:
            return file.read(6).startswith((b"PK\x03\x04", b"\x93NUMPY"))
    except OSError:
        return False  # the reader will tell


def _load(path: str | Path) -> Qubo | Capacity | Rounding:
    kind = kind_of(path)
    if not kind:
        return matrix.read(path)
    if kind not in _STORED:
        raise InputError(f"{path} must hold one of {', '.join(_STORED)}, got {kind!r}")
    return _STORED[kind].load(path)
