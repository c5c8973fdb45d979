"""dimod's .bqm files: a binary quadratic model; spins are told in binary variables.

Variable i of the instance is `list(bqm.variables)[i]`; labels are not kept.

References:
    dimod, BinaryQuadraticModel.to_file, format versions 1.0 and 2.0.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ..instances.npz import content, replacing
from ..instances.qubo import Qubo
from .binary import Bytes
from .terms import Indices, Terms

__all__ = ["read", "write"]

MAGIC = b"DIMODBQM"


def read(path: str | Path) -> Qubo:
    """Read a model of vartype BINARY or SPIN."""
    file = Bytes(content(path), path)
    header = file.header(MAGIC, versions=(1, 2))
    (n, m), real = file.sizes(header), file.type(header, "dtype")
    offset = float(file.array(real, 1)[0])
    ends = np.dtype([("start", file.type(header, "ntype")), ("bias", real)])
    links = np.dtype([("other", file.type(header, "itype")), ("bias", real)])
    linear = file.array(ends, n)
    quadratic = file.array(links, 2 * m)
    i = np.repeat(np.arange(n), _degrees(file, linear["start"].astype(np.int64), 2 * m))
    j = file.within(quadratic["other"], n)
    once = j < i  # every pair stands with both its variables
    if np.count_nonzero(once) != m:
        raise file.error("neighbours that do not name each other")
    parts = linear["bias"].astype(np.float64), i[once], j[once], quadratic["bias"][once].astype(np.float64)
    if header.get("vartype") == "SPIN":
        return Terms.of_spins(*parts, offset=offset).qubo()
    if header.get("vartype") != "BINARY":
        raise file.error(f"vartype {str(header.get('vartype'))[:40]!r} in its header")
    return Terms(*parts, offset).qubo()


def _degrees(file: Bytes, starts: Indices, entries: int) -> Indices:
    """How many neighbours each variable has, from where each list of neighbours starts."""
    degrees = np.diff(starts, append=entries)
    if (len(starts) and starts[0] != 0) or (degrees < 0).any() or degrees.sum() != entries:
        raise file.error("lists of neighbours that overlap")
    return degrees


def write(path: str | Path, qubo: Qubo) -> None:
    """Write the model of `qubo.to_bqm()`."""
    with replacing(path) as file, qubo.to_bqm().to_file() as model:
        shutil.copyfileobj(model, file)
