"""Where a solver computes: numba's compiled kernels, or a device of torch's."""

from __future__ import annotations

import torch

from ..problems import InputError
from .run import Declined

__all__ = ["NUMBA", "PRECISIONS", "device_of"]

NUMBA = "numba"
"""The device of the compiled kernels, which is none of torch's."""


PRECISIONS = ("float32", "float64")
"""Of matrix products between blocks."""


def device_of(name: str, *, numba: bool = True) -> torch.device:
    """The torch device of that name; `numba` says whether the solver has compiled kernels besides.

    Raises:
        InputError: torch has no such kind of device, or it is none that the solvers know.
        Declined: this machine has none.
    """
    always = [NUMBA, "cpu"] if numba else ["cpu"]
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index or "0").isdigit():
        raise InputError(f"device must be {', '.join(always)}, cuda or cuda:1 and so on, got {name!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "cuda" and int(index or "0") >= count:
        there = ", ".join([*always, *(f"cuda:{i}" for i in range(count))])
        raise Declined(f"device {name} needs a GPU that torch can see; pass one of those there: {there}")
    return torch.device(name)
