"""Instance: what every shape of problem answers, and one table of the four shapes."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np

from ..arrays import Bits, Floats
from .blackbox import BlackBox
from .capacity import Capacity
from .qubo import Qubo
from .rounding import Rounding

__all__ = ["SHAPES", "Instance", "Shape"]


class Shape(Protocol):
    """What a solver or a suite may ask of an instance without knowing its shape.

    A point is an array of `shape`; k of them are stacked, (k, *shape).
    """

    @property
    def n(self) -> int:
        """Number of variables; of a Rounding, of neurons."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a solution."""

    @property
    def levels(self) -> Any:
        """Number of values of each variable, a number or an array that a solution broadcasts."""

    @property
    def free(self) -> int:
        """Number of variables that nothing fixes."""

    @property
    def largest_part(self) -> int:
        """Bits of the largest Qubo that a solver of Qubos meets in it."""

    @property
    def coupled_pairs(self) -> int:
        """Pairs of its bits that share a coefficient."""

    @property
    def settled(self) -> bool:
        """Whether constraints leave no choice; the baseline is then the one solution."""

    @property
    def solutions(self) -> int:
        """Number of feasible solutions, or of all points where those are not easily counted."""

    @property
    def K(self) -> float | None:  # noqa: N802 - the name that the shapes and their papers have
        """Capacity, None where there is none."""

    @property
    def exact(self) -> bool:
        """Whether every solution has exactly K ones."""

    @property
    def start(self) -> Bits | None:
        """Solution that the instance comes with, None for most."""

    @property
    def offset(self) -> float:
        """What is added to every loss; it says nothing of the size of their differences."""

    @property
    def sparse(self) -> bool:
        """Whether its matrix is a SciPy sparse array."""

    @property
    def resolution(self) -> float:
        """Loss difference below which float64 sums in another order may disagree."""

    @property
    def counted(self) -> bool:
        """Whether a loss costs so much that the instance counts its own evaluations."""

    @property
    def evaluations(self) -> int:
        """Points that were evaluated so far; 0 where they are not counted."""

    def bits(self, x: Any) -> Bits:
        """A point checked: its shape and its values."""

    def loss(self, x: Any) -> float:
        """Loss of a point, feasible or not."""

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k points."""

    def violation(self, x: Any) -> float:
        """How far a point is from feasible; 0 is feasible."""

    def baseline(self) -> Bits:
        """A feasible solution without a search."""

    def random(self, rng: np.random.Generator, count: int) -> Bits:
        """`count` random solutions, feasible by construction."""

    def repair(self, x: Any, order: Any = None) -> Bits:
        """Points (k, *shape) made feasible; those that are stay as they are.

        Under a capacity ones stay in `order` (n,) or (k, n) of the variables while they fit, and for exactly
        K ones others follow.
        """

    def content(self) -> dict[str, Any]:
        """All that the instance is made of, by name: arrays and numbers."""


Instance: TypeAlias = Qubo | Capacity | Rounding | BlackBox

SHAPES: dict[str, type[Shape]] = {shape.__name__: shape for shape in (Qubo, Capacity, Rounding, BlackBox)}
"""The shapes by name."""
