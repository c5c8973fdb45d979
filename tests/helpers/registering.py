"""Solvers that a test registers for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qubopress import solvers
from qubopress.problems import Capacity, Qubo
from qubopress.solvers import Run, Solution

DIAGONAL = Qubo(np.diag([-1.0, -2.0, -4.0]))
"""The loss of x is minus the number that its bits spell, least first."""


def solve_with(search: Callable[[Any, Run], None], instance: Any = DIAGONAL, **budget: Any) -> Solution:
    """Register `search` and solve the instance with it."""
    solvers.solver("test-solver", accepts=(Qubo, Capacity))(search)
    return solvers.solve(instance, "test-solver", **budget)
