"""Instances become solutions: the registry of solvers, the run, and solve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems.lazy import lazily

if TYPE_CHECKING:
    from .adapters import reaches
    from .dimod_bridge import from_dimod, sampler
    from .registry import Choice, Entry, Parameter, Range, get, names, solver
    from .run import OfferError, Run
    from .solution import Solution
    from .solving import solve, warm
    from .status import Status

__all__ = [
    "Choice",
    "Entry",
    "OfferError",
    "Parameter",
    "Range",
    "Run",
    "Solution",
    "Status",
    "from_dimod",
    "get",
    "names",
    "reaches",
    "sampler",
    "solve",
    "solver",
    "warm",
]

HOMES = {
    "Choice": "registry",
    "Entry": "registry",
    "OfferError": "run",
    "Parameter": "registry",
    "Range": "registry",
    "Run": "run",
    "Solution": "solution",
    "Status": "status",
    "from_dimod": "dimod_bridge",
    "get": "registry",
    "names": "registry",
    "reaches": "adapters",
    "sampler": "dimod_bridge",
    "solve": "solving",
    "solver": "registry",
    "warm": "solving",
}
"""Module of each public name: imported when first asked for, because numba and OR-Tools take seconds."""


__getattr__, __dir__ = lazily(__name__, HOMES)
