"""Rounding: n neurons choose levels on one shared Gram matrix, a closest-vector problem in a box."""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import numpy.typing as npt

from ..arrays import Bits, Floats, bits, count, frozen, integer, number, real
from ..errors import InputError
from .npz import read_instance, write_arrays
from .qubo import Qubo

__all__ = ["Rounding", "Row", "nearest_levels", "settled"]

LARGEST = 1e100
"""Of a gram's entries, and by its inverse the least that the largest one may be."""

ROWS = 64
"""Of a Gram matrix that are looked at at a time where that takes a copy."""


@dataclass(frozen=True, eq=False)
class Row:
    """One neuron's free choices as a Qubo, and the way back to its integers.

    Attributes:
        qubo: over the bits of the free coordinates; its loss is the neuron's loss.
        columns: (m,) coordinate that each bit belongs to.
        weights: (m,) what each bit adds to its coordinate, a power of two.
        labels: dimod variable of each bit: the coordinate, or (coordinate, place) for several bits.
        fixed: (f,) the neuron's integers with every free coordinate at 0.
    """

    qubo: Qubo
    columns: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]
    labels: list[Any]
    fixed: Bits

    def decode(self, x: Any) -> Bits:
        """Integers (f,) of the neuron from the bits (m,) of its Qubo."""
        row = self.fixed.astype(np.int64)
        np.add.at(row, self.columns, self.weights * np.asarray(x, dtype=np.int64))
        return row.astype(np.int8)

    def encode(self, row: Any) -> Bits:
        """Bits (m,) of the neuron's integers (f,)."""
        return (np.asarray(row, dtype=np.int64)[self.columns] // self.weights % 2).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Rounding:
    """Minimise Σ_l scale_l² (x_l − shift_l)ᵀ gram (x_l − shift_l) over integers x_li in [0, levels_i).

    Neurons never couple, so this is exactly n problems of size f that share one matrix
    (Muñiz Subiñas et al. 2025, arXiv:2510.16075). With two levels x says which weights round up. Where a
    neuron has a step for each group of its inputs, its errors are e_li = step_li (x_li − shift_li) and its
    loss is eᵀ gram e: the matrix stays shared, and no neuron needs one of its own.

    Parameters:
        gram: (f, f) symmetric positive semidefinite, mean of x̃ x̃ᵀ over the calibration inputs.
        shift: (n, f) position of each weight above its floor, in grid steps; outside [0, 1) where clipping
            moved the floor.
        scale: grid step in units of the weights, a number or one a neuron (n,); kept as (n,). With `group`
            one for each neuron and group (n, groups).
        levels: number of values of each coordinate, an integer or (f,), in [2, 127].
        fixed: (n, f) value that a coordinate must take, −1 where it is free; None leaves all free.
        group: (f,) group of each coordinate, from 0 on; None where a neuron has one step.
        start: (n, f) solution that the instance comes with; None for most.

    Raises:
        InputError: wrong shapes, NaN, a gram that is not symmetric positive semidefinite, fixed values
            outside the levels, or numbers so large or small that losses or what solvers make of them leave
            float64.
    """

    gram: Any
    shift: Any
    scale: Any = 1.0
    levels: Any = 2
    fixed: Any = None
    group: Any = None
    start: Any = None

    K = None
    exact = sparse = counted = False
    evaluations = 0
    offset = 0.0

    def __post_init__(self) -> None:
        gram = _gram(self.gram)
        shift = real(self.shift, name="shift", ndim=2)
        if shift.shape[1] != len(gram):
            raise InputError(f"shift must have {len(gram)} columns like gram, got shape {shift.shape}")
        object.__setattr__(self, "gram", gram)
        object.__setattr__(self, "shift", shift)
        object.__setattr__(self, "group", _group(self.group, len(gram)))
        object.__setattr__(self, "scale", _scale(self.scale, len(shift), self.group))
        object.__setattr__(self, "levels", _levels(self.levels, len(gram)))
        object.__setattr__(self, "fixed", _fixed(self.fixed, shift.shape, self.levels))
        if self.start is not None:
            object.__setattr__(self, "start", frozen(self.bits(self.start)))
            if self.violation(self.start):
                raise InputError("start must have the fixed coordinates at their values; use settle")
        if not np.isfinite(self.resolution):
            raise InputError("gram, shift and scale must keep losses within float64; rescale the larger ones")
        _check_size(gram)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return int(self.shift.shape[0])

    @property
    def f(self) -> int:
        """Number of coordinates of a neuron."""
        return int(self.shift.shape[1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a solution, (n, f)."""
        return (self.n, self.f)

    @property
    def free(self) -> int:
        """Number of coordinates that are not fixed."""
        return int((self.fixed < 0).sum())

    @property
    def largest_part(self) -> int:
        """Free bits of the neuron that has most."""
        places = np.ceil(np.log2(self.levels)).astype(int)
        return int(((self.fixed < 0) @ places).max(initial=0))

    @property
    def coupled_pairs(self) -> int:
        """Pairs of free bits of the neuron that has most."""
        return self.largest_part * (self.largest_part - 1) // 2

    @property
    def settled(self) -> bool:
        """Whether every coordinate is fixed."""
        return not self.free

    @property
    def solutions(self) -> int:
        """All choices of the free coordinates."""
        return math.prod(np.broadcast_to(self.levels, self.shape)[self.fixed < 0].tolist())

    @cached_property
    def binary(self) -> bool:
        """Whether every coordinate has two levels."""
        return bool(np.all(self.levels == 2))

    @property
    def grouped(self) -> bool:
        """Whether a neuron has a step for each group of its inputs."""
        return self.group is not None

    @property
    def steps(self) -> Floats:
        """Step of each coordinate, (n, f), or (n, 1) where a neuron has one."""
        return np.asarray(self.scale[:, self.group] if self.grouped else self.scale[:, None])

    @cached_property
    def resolution(self) -> float:
        """Loss difference below which float64 sums in another order may disagree."""
        with np.errstate(over="ignore", invalid="ignore"):
            return float(self._noise * (self._largest_steps**2).sum())

    @property
    def _largest_steps(self) -> Floats:
        """The largest step (n,) of each neuron."""
        return np.asarray(self.scale.max(axis=1, initial=0.0) if self.grouped else self.scale)

    @cached_property
    def _noise(self) -> float:
        """The same for one neuron of scale 1."""
        reach = float(np.abs(self.shift).max(initial=0.0)) + float(self.levels.max(initial=2))
        with np.errstate(over="ignore"):
            blocks = (self.gram[start : start + ROWS] for start in range(0, self.f, ROWS))
            size = sum(float(np.abs(block).sum()) for block in blocks)
            return float(1e-13 * size * np.square(reach))

    def bits(self, x: Any) -> Bits:
        """`x` checked: shape (n, f), integers in [0, levels)."""
        return bits(x, shape=self.shape, levels=self.levels)

    def row_losses(self, x: Any, rows: Any = None) -> Floats:
        """Loss (n,) of each neuron of a solution (n, f); with `rows` (k,), losses (k,) of x (k, f) there."""
        shift, scale = (self.shift, self.scale) if rows is None else (self.shift[rows], self.scale[rows])
        error = np.asarray(x, dtype=np.float64) - shift
        noise = self._noise
        if self.grouped:
            error *= scale[:, self.group]
            noise *= float(self.scale.max(initial=0.0)) ** 2
        form = np.einsum("nf,nf->n", error @ self.gram, error)
        # The form is positive semidefinite: rounding noise takes it below 0, never a better choice.
        form[(form < 0) & (form > -noise)] = 0.0
        return np.asarray(form if self.grouped else scale**2 * form)

    def losses(self, x: Any) -> Floats:
        """Losses (k,) of k solutions (k, n, f)."""
        return np.array([self.row_losses(one).sum() for one in x])

    def loss(self, x: Any) -> float:
        """Σ_l scale_l² (x_l − shift_l)ᵀ gram (x_l − shift_l) in float64."""
        return float(self.row_losses(self.bits(x)).sum())

    def violation(self, x: Any) -> float:
        """How many fixed coordinates have another value; 0 is feasible."""
        return float(np.count_nonzero((self.fixed >= 0) & (self.bits(x) != self.fixed)))

    def nearest(self) -> Bits:
        """Round to nearest: each coordinate alone, halves up, inside its levels; fixed ones stay."""
        return nearest_levels(self.shift, self.levels, self.fixed)

    def settle(self, x: Any) -> Bits:
        """`x` (n, f) clipped into the levels, with the fixed coordinates at their values."""
        return settled(x, self.levels, self.fixed)

    def baseline(self) -> Bits:
        """Round to nearest."""
        return self.nearest()

    def random(self, rng: np.random.Generator, count: int) -> Bits:
        """Uniform levels (count, n, f), the fixed coordinates at their values."""
        return self.settle(rng.integers(0, self.levels, (count, *self.shape), dtype=np.int8))

    def repair(self, x: Any, order: Any = None) -> Bits:
        """Points (k, n, f) clipped into the levels, with the fixed coordinates at their values."""
        return self.settle(x)

    def content(self) -> dict[str, Any]:
        """Its parameters as they are kept; those that most instances have not only where they are."""
        kept = {name: getattr(self, name) for name in ("gram", "shift", "scale", "levels", "fixed")}
        rare = {name: getattr(self, name) for name in ("group", "start")}
        return kept | {name: value for name, value in rare.items() if value is not None}

    def neuron(self, i: int) -> Rounding:
        """Neuron i alone, a layer of one; steps of groups become part of a Gram matrix of its own."""
        one = slice(i, i + 1)
        start = None if self.start is None else self.start[one]
        gram, scale = self.gram, self.scale[one]
        if self.grouped:
            steps = self.steps[i]
            gram, scale = gram * np.outer(steps, steps), 1.0
        return Rounding(gram, self.shift[one], scale, self.levels, self.fixed[one], start=start)

    def row(self, i: int) -> Row:
        """Neuron i as a Qubo over its free bits.

        Raises:
            InputError: there is no such neuron, or a free coordinate whose levels are no power of two.
        """
        i = count(i, name="row", low=0, high=self.n - 1)
        columns, weights, labels = bit_places(np.flatnonzero(self.fixed[i] < 0), self.levels)
        if self.grouped:
            return self.neuron(i).row(0)
        start = np.maximum(self.fixed[i], 0)
        error = start - self.shift[i]
        square = float(self.scale[i]) ** 2
        field = self.gram @ error
        Q = square * self._between(columns)
        # Powers of two, so that the product is exactly symmetric however it is rounded.
        if not self.binary:
            Q *= np.multiply.outer(weights, weights)
        Q.flat[:: len(Q) + 1] += 2 * square * field[columns] * weights
        offset = square * float(error @ field)
        return Row(Qubo(Q, offset), columns, weights, labels, start.astype(np.int8))

    def _between(self, columns: npt.NDArray[np.int64]) -> Floats:
        """The gram of some columns; all of them, which most neurons have, without a copy."""
        if len(columns) == self.f and self.binary:
            return np.asarray(self.gram)
        return np.asarray(self.gram[columns[:, None], columns])

    def to_bqm(self, row: int | None = None) -> dimod.BinaryQuadraticModel:
        """Neuron `row`, or with None the whole layer, as a dimod model; fixed coordinates are left out.

        Variables are the coordinates of the neuron, (coordinate, place) where it has more than one bit;
        in the whole layer each is preceded by the neuron: (row, coordinate).
        """
        if row is not None:
            one = self.row(row)
            return one.qubo.to_bqm(labels=one.labels)
        whole = dimod.BinaryQuadraticModel(dimod.BINARY)
        for i in range(self.n):
            one = self.row(i)
            whole.update(one.qubo.to_bqm(labels=[(i, label) for label in one.labels]))
        return whole

    def save(self, path: str | Path) -> None:
        """Write the instance as .npz."""
        write_arrays(path, "rounding", self.content())

    @classmethod
    def load(cls, path: str | Path) -> Rounding:
        """Read what `save` wrote."""
        return read_instance(path, "rounding", lambda arrays: cls(**arrays))


def settled(x: Any, levels: npt.NDArray[np.int64], fixed: Bits) -> Bits:
    """`x` (n, f) clipped into the levels (f,), the fixed coordinates (n, f) at their values."""
    inside = np.clip(np.asarray(x), 0, levels - 1)
    return np.asarray(np.where(fixed >= 0, fixed, inside), dtype=np.int8)


def nearest_levels(shift: Floats, levels: npt.NDArray[np.int64], fixed: Bits) -> Bits:
    """The level nearest to each position of `shift` (n, f), halves up, settled."""
    return settled(np.floor(shift + 0.5), levels, fixed)


_SOUND: dict[int, weakref.ref[Any]] = {}
"""Checked Gram matrices by their `id`, while they live: a layer's problems share one that none can change."""


def _gram(value: Any) -> Floats:
    """A Gram matrix, exactly symmetric."""
    known = _SOUND.get(id(value))
    if known is not None and known() is value:
        return np.asarray(value)
    gram = _checked(value)
    key = id(gram)
    _SOUND[key] = weakref.ref(gram, lambda _: _SOUND.pop(key, None))
    return gram


def _checked(value: Any) -> Floats:
    gram = real(value, name="gram", ndim=2)
    if gram.shape[0] != gram.shape[1]:
        raise InputError(f"gram must be square, got shape {gram.shape}")
    size = _largest(gram)
    if not np.array_equal(gram, gram.T):
        if not np.allclose(gram / 2, gram.T / 2, rtol=0, atol=1e-9 * size):
            raise InputError("gram must be symmetric; pass (gram + gram.T) / 2")
        gram = frozen(gram / 2 + gram.T / 2)
    if size and not _semidefinite(gram / size):
        raise InputError("gram must be positive semidefinite; build it as X.T @ X / len(X) in float64")
    return gram


def _check_size(gram: Floats) -> None:
    """Solvers square and invert the entries, which a largest one beyond these ends would not survive."""
    size = _largest(gram)
    if size and not 1 / LARGEST <= size <= LARGEST:
        span = f"[{1 / LARGEST:g}, {LARGEST:g}]"
        raise InputError(f"gram must have its largest entry in {span}, got {size:g}; rescale it")


def _largest(gram: Floats) -> float:
    """The largest magnitude, without a copy."""
    return max(float(gram.max(initial=0.0)), -float(gram.min(initial=0.0)))


def _semidefinite(gram: Floats) -> bool:
    """Whether no eigenvalue is negative. Rank-deficient matrices are welcome, hence the jitter; in place."""
    from scipy.linalg.lapack import dpotrf  # which takes no further memory

    gram[np.diag_indices(len(gram))] += 1e-9 * len(gram)
    return not len(gram) or int(dpotrf(gram.T, lower=1, clean=0, overwrite_a=1)[1]) == 0


def _group(group: Any, f: int) -> npt.NDArray[np.int64] | None:
    """The group of each coordinate."""
    if group is None:
        return None
    values = integer(group, name="group", shape=(f,))
    if (values < 0).any():
        raise InputError(f"group must count from 0, got {int(values.min())}")
    return values


def _scale(scale: Any, n: int, group: npt.NDArray[np.int64] | None) -> Floats:
    """Positive steps (n,), or (n, groups)."""
    if group is not None:
        values = real(scale, name="scale", ndim=2)
        groups = int(group.max(initial=-1)) + 1
        if values.shape[0] != n or values.shape[1] < groups:
            raise InputError(f"scale must have shape ({n}, {groups}), a step a group, got {values.shape}")
    elif np.isscalar(scale) or getattr(scale, "ndim", 1) == 0:
        values = frozen(np.full(n, number(scale, name="scale")))
    else:
        values = real(scale, name="scale", ndim=1)
    if group is None and values.shape != (n,):
        raise InputError(f"scale must be a number or have shape ({n},), got {values.shape}")
    if not ((values > 0) & (values**2 > 0)).all():
        raise InputError(f"scale must be positive, and its square in float64 too, got {values.min():g}")
    return values


def _levels(levels: Any, f: int) -> npt.NDArray[np.int64]:
    values = integer(levels, name="levels", shape=(f,))
    wrong = values[(values < 2) | (values > 127)]
    if wrong.size:
        raise InputError(f"levels must lie in [2, 127], got {wrong[0]}")
    return values


def _fixed(fixed: Any, shape: tuple[int, ...], levels: npt.NDArray[np.int64]) -> Bits:
    values = integer(-1 if fixed is None else fixed, name="fixed", shape=shape)
    wrong = values[(values < -1) | (values >= levels)]
    if wrong.size:
        raise InputError(f"fixed must hold -1 (free) or a value in [0, levels), got {wrong[0]}")
    return frozen(values.astype(np.int8))


def bit_places(
    free: npt.NDArray[np.int64], levels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[Any]]:
    """Coordinate, weight and label of every bit of the free coordinates."""
    places = np.frexp(levels[free])[1] - 1  # bits before the highest one
    if np.any(1 << places != levels[free]):
        raise InputError("levels must be powers of two to be written in bits; use a solver for Rounding")
    columns = np.repeat(free, places)
    place = np.arange(len(columns)) - np.repeat(np.cumsum(places) - places, places)
    labels: list[Any] = columns.tolist()
    for bit in np.flatnonzero(levels[columns] > 2):
        labels[bit] = (labels[bit], int(place[bit]))
    return columns, 1 << place, labels
