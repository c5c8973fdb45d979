"""Instances without a network: a user's own file, and random ones.

They test solvers, not compression: the network they end in is the one they were given, and nothing is
measured on it.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import scipy.sparse as sp
from torch import nn

from .arrays import Bits, count
from .errors import InputError
from .formats.loading import load_instance
from .instances.instance import Instance
from .instances.qubo import Qubo
from .registry import problem
from .tasks.task import Task

__all__ = ["from_file", "random_qubo"]

KINDS = ("gaussian", "sparse")


@problem("qubo", family="qubo", network=False, file=True, later={"format": ""})
def from_file(
    task: Task,
    *,
    file: str = "",
    sha256: str = "",
    format: str = "",  # noqa: A002
) -> Generator[Instance, Bits, nn.Module]:
    """Solve the instance in a file, in any format that `load_instance` reads.

    Parameters:
        task: none is needed.
        file: path; the ending names the format.
        sha256: checksum that the content must have; found out where "".
        format: name of the format where the ending does not tell it, such as "beasley".

    Raises:
        MissingDataError: there is no such file.
        InputError: it holds no instance, or another content.
    """
    del sha256  # settled before a formulation begins
    yield load_instance(file, format=format or None)
    return task.copy()


@problem("random-qubo", family="qubo", network=False)
def random_qubo(
    task: Task, *, kind: str = "gaussian", n: int = 100, degree: int = 6, seed: int = 0
) -> Generator[Qubo, Bits, nn.Module]:
    """Solve a random QUBO: xᵀQx with every pair coupled, or with few.

    "gaussian": Q_ij ~ N(0, 1) for all i ≤ j. "sparse": ±1 with equal chance on the diagonal and on
    n·degree/2 pairs drawn with replacement, whose values add up where they meet.

    Parameters:
        task: none is needed.
        kind: "gaussian" or "sparse".
        n: number of variables.
        degree: mean number of neighbours of a variable, where sparse.
        seed: of the draw.

    Raises:
        InputError: another kind, or a number out of range.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    size = count(n, name="n", low=2, high=100_000 if kind == "sparse" else 20_000)
    rng = np.random.Generator(np.random.PCG64(count(seed, name="seed", low=0)))
    neighbours = count(degree, name="degree", low=1, high=size - 1)
    yield _gaussian(size, rng) if kind == "gaussian" else _sparse(size, neighbours, rng)
    return task.copy()


def _gaussian(n: int, rng: np.random.Generator) -> Qubo:
    return Qubo(np.triu(rng.standard_normal((n, n))))


def _sparse(n: int, degree: int, rng: np.random.Generator) -> Qubo:
    pairs = n * degree // 2
    one = rng.integers(0, n, pairs)
    other = (one + rng.integers(1, n, pairs)) % n
    rows, columns = np.r_[np.arange(n), one], np.r_[np.arange(n), other]
    signs = rng.integers(0, 2, n + pairs) * 2.0 - 1.0
    return Qubo(sp.csr_array((signs, (rows, columns)), shape=(n, n)))
