"""Instance: what the four shapes of problem have in common, and reading and writing files of them."""

from __future__ import annotations

from typing import TypeAlias

from .blackbox import BlackBox
from .capacity import Capacity
from .qubo import Qubo
from .rounding import Rounding

__all__ = ["Instance"]

Instance: TypeAlias = Qubo | Capacity | Rounding | BlackBox
