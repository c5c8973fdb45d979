"""A layer of many levels as its kernels see it: in float32, and in units of its weights.

An error of coordinate i of a neuron is step·(level − shift), so that steps of groups need no Gram matrix of
their own. A neuron's steps are shares of its largest, and the Gram matrix one of its largest entry, which
changes no choice; what a choice is worth is computed in float64 by `Rounding` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....problems import InputError, Rounding
from ....problems.arrays import Bits, Floats
from ....problems.quantization.planes import Indices, Planes, Singles, planes_of, ridge_of, triangle_planes
from ....problems.quantization.sweeps import sweep_levels
from ..factors import Columns, triangle

__all__ = ["WeightUnits", "check_steps", "factored", "units_of"]


@dataclass(frozen=True, eq=False)
class WeightUnits:
    """A layer's arrays.

    Attributes:
        gram: (f, f) as a share of its largest entry.
        target: (n, f) what level·step is to be near to.
        steps: (n, groups) as shares of a neuron's largest.
        group: (f,) group of each coordinate.
        top: (f,) highest level.
        fixed: (n, f) level that a coordinate has, −1 where it is free; None where all are.
        sizes: (n,) a neuron's largest step, as a share of the layer's.
    """

    gram: Singles
    target: Singles
    steps: Singles
    group: Indices
    top: Singles
    fixed: Bits | None
    sizes: Floats

    def rows(self, chosen: Columns | slice) -> WeightUnits:
        """Some of the neurons."""
        fixed = None if self.fixed is None else self.fixed[chosen]
        target, steps = self.target[chosen], self.steps[chosen]
        return replace(self, target=target, steps=steps, fixed=fixed, sizes=self.sizes[chosen])

    def damped(self, share: float) -> WeightUnits:
        """The same with that share of its mean added to the Gram matrix's diagonal."""
        ridge = np.float32(ridge_of(self.gram, share))
        gram = self.gram.copy()
        gram.flat[:: len(gram) + 1] += ridge
        return replace(self, gram=gram)

    def nearest(self, planes: Planes) -> Singles:
        """Levels (n, f) of the nearest planes."""
        return planes.nearest(self.target, self.steps, self.group, self.top, self.fixed)

    def field(self, levels: Any) -> Singles:
        """Errors times the Gram matrix, (n, f)."""
        errors = self.steps[:, self.group] * np.asarray(levels, dtype=np.float32) - self.target
        return np.ascontiguousarray(errors @ self.gram)

    def losses(self, levels: Singles, field: Singles) -> Floats:
        """Losses (n,) of levels (n, f) with that field, in units of a size of the whole layer."""
        errors = self.steps[:, self.group] * levels - self.target
        return np.asarray(self.sizes**2 * np.einsum("nf,nf->n", errors, field, dtype=np.float64))

    def squares(self, levels: Singles) -> Floats:
        """Squared errors (n,) of levels (n, f), in the units of `losses`."""
        errors = self.steps[:, self.group] * levels - self.target
        return np.asarray(self.sizes**2 * np.einsum("nf,nf->n", errors, errors, dtype=np.float64))

    def sweep(self, levels: Singles, passes: int = 8) -> Singles:
        """Move levels (n, f), in place, each to where it is best given all others; their field comes back."""
        field = self.field(levels)
        kept = (self.steps, self.group, self.top)
        sweep_levels(self.gram, levels, field, *kept, fixed=self.fixed, passes=passes)
        return field


def units_of(rounding: Rounding) -> WeightUnits:
    """A layer in units of its weights."""
    steps = rounding.scale if rounding.grouped else rounding.scale[:, None]
    largest = steps.max(axis=1)
    steps = steps / largest[:, None]
    group = rounding.group if rounding.grouped else np.zeros(rounding.f, dtype=np.int64)
    size = max(float(rounding.gram.max(initial=0.0)), -float(rounding.gram.min(initial=0.0))) or 1.0
    gram = np.empty(rounding.gram.shape, dtype=np.float32)
    np.divide(rounding.gram, size, out=gram, casting="same_kind")
    return WeightUnits(
        gram,
        np.ascontiguousarray(rounding.shift * steps[:, group], dtype=np.float32),
        steps.astype(np.float32),
        group,
        (rounding.levels - 1).astype(np.float32),
        rounding.fixed if (rounding.fixed >= 0).any() else None,
        largest / largest.max(initial=1e-300),
    )


def check_steps(rounding: Rounding, device: str) -> None:
    """InputError for groups of inputs on a device of torch's."""
    if rounding.grouped:
        raise InputError(f'device must be "numba" where neurons have steps of groups, got {device!r}')


def factored(gram: Floats, order: str, damping: float) -> Planes:
    """The planes of a Gram matrix in an order of its columns."""
    if order == "sorted":
        return triangle_planes(*triangle(gram, order, damping))
    return planes_of(gram, order=order, damping=damping)
