"""dimod's .cqm files: a quadratic objective over bits and spins with at most one constraint, a capacity.

Spins s = 2x − 1 are told as bits x. Variable i of the instance is `list(cqm.variables)[i]`; labels are not
kept.

References:
    dimod, ConstrainedQuadraticModel.to_file, format version 2.0.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import dimod
import numpy as np

from ..instances.capacity import Capacity
from ..instances.npz import MOST_BYTES, FileError, content, replacing
from ..instances.qubo import Qubo
from .binary import Bytes
from .terms import Row, Terms, sums

__all__ = ["read", "write"]

MAGIC = b"DIMODCQM"

VARIABLE = np.dtype([("vartype", "i1"), ("low", "f8"), ("high", "f8")])
BINARY, SPIN = 0, 1

MIDNIGHT = struct.pack("<2H", 0, 0x21)
"""The first time that zip can tell, of 1980."""

DAMAGE = (ValueError, KeyError, NotImplementedError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)


def read(path: str | Path) -> Qubo | Capacity:
    """Read a Qubo, or a Capacity where there is a constraint."""
    data = content(path)
    header = Bytes(data, path).header(MAGIC, versions=(2,))
    parts = _parts(data, path)
    spins = _spins(parts, header.get("num_variables"), path)
    objective = _expression(_part(parts, "objective", path), spins)
    rows = {name.rpartition("/")[0] for name in parts if name.startswith("constraints/")}
    if len(rows) > 1:
        raise FileError(f"{path} must have at most one constraint, the capacity, got {len(rows)}")
    return objective.under(_row(parts, f"{rows.pop()}/", spins, path)) if rows else objective.qubo()


def _parts(data: bytes, path: str | Path) -> dict[str, Bytes]:
    """The files of the archive behind the header, if they unpack to no more than a file may have."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > MOST_BYTES:
                raise FileError(f"{path} must unpack to at most {MOST_BYTES} bytes, got {size}")
            return {name: Bytes(archive.read(name), path) for name in archive.namelist()}
    except FileError:
        raise
    except DAMAGE:
        raise Bytes(data, path).error("a damaged archive") from None


def _part(parts: dict[str, Bytes], name: str, path: str | Path) -> Bytes:
    if name not in parts:
        raise Bytes(b"", path).error(f"no part {name[:60]!r}")
    return parts[name]


def _spins(parts: dict[str, Bytes], n: object, path: str | Path) -> Any:
    """Which of the variables (n,) are spins; the others are bits."""
    section = _part(parts, "varinfo", path).section(b"VTYP")
    if type(n) is not int or not 0 <= n <= len(section.data):
        raise section.error(f"{str(n)[:20]} variables in its header")
    variables = section.array(VARIABLE, n)
    spins = variables["vartype"] == SPIN
    if not (spins | (variables["vartype"] == BINARY)).all():
        raise FileError(f"{path} must have bits and spins only; integers and reals are not supported")
    if (variables["low"] != np.where(spins, -1, 0)).any() or (variables["high"] != 1).any():
        raise FileError(f"{path} must have bits and spins that are free, got other bounds")
    return spins


def _expression(file: Bytes, spins: Any) -> Terms:
    """A function of some of the variables, of which some are spins."""
    n = len(spins)
    header = file.header(b"DIMODEXPR", versions=(2,))
    (few, m), real, whole = file.sizes(header), file.type(header, "dtype"), file.type(header, "itype")
    own = file.within(file.section(b"INDX").array(whole, few), n)
    offset = float(file.section(b"OFFS").array(real, 1)[0])
    linear = sums(own, file.section(b"LINB").array(real, few).astype(np.float64), n)
    pair = np.dtype([("u", whole), ("v", whole), ("bias", real)])
    quadratic = file.section(b"QUAD", length_bytes=8).array(pair, m)
    i, j = (own[file.within(quadratic[end], few)] for end in ("u", "v"))
    return Terms(linear, i, j, quadratic["bias"].astype(np.float64), offset).over_bits(spins)


def _row(parts: dict[str, Bytes], folder: str, spins: Any, path: str | Path) -> Row:
    """The constraint that is stored in a folder of the archive."""
    if f"{folder}weight" in parts:
        raise FileError(f"{path} must have a hard constraint, got a soft one; a capacity has no weight")
    terms = _expression(_part(parts, f"{folder}lhs", path), spins)
    if terms.value.size:
        raise FileError(f"{path} must have a linear constraint, got a quadratic one")
    bound = float(_part(parts, f"{folder}rhs", path).array("f8", 1)[0]) - terms.offset
    sense = _part(parts, f"{folder}sense", path).data
    if sense not in (b"==", b"<=", b">="):
        raise _part(parts, f"{folder}sense", path).error(f"the sense {sense[:10]!r}")
    return Row(terms.linear, -np.inf if sense == b"<=" else bound, np.inf if sense == b">=" else bound)


def write(path: str | Path, instance: Qubo | Capacity) -> None:
    """Write the objective, and the capacity as a constraint labelled "capacity"."""
    cqm = dimod.ConstrainedQuadraticModel.from_bqm(instance.to_bqm())
    if instance.K is not None:
        costs = list(enumerate(instance.costs.tolist()))
        sense = "==" if instance.exact else "<="
        cqm.add_constraint_from_iterable(costs, sense, rhs=instance.K, label="capacity")
    with replacing(path) as file, cqm.to_file() as model:
        file.write(_undated(model.read()))


def _undated(data: bytes) -> bytes:
    """The file without the time of day that zip keeps twice of each member: equal instances, equal bytes."""
    found = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.start_dir  # where the list of members begins
        for member in archive.infolist():
            for place in (member.header_offset + 10, at + 12):
                found[place : place + 4] = MIDNIGHT
            at += 46 + sum(struct.unpack_from("<3H", found, at + 28))
    return bytes(found)
