"""A layer on a torch device: nearest planes, beams and descent for all its neurons in one batch.

The same arithmetic in the same order as the compiled kernels of plane_kernel, prefixes and descent, so that
on the CPU the results are the same but for ties that only the rounding of another BLAS breaks. What a
processor does neuron by neuron, a GPU does coordinate by coordinate for all neurons; blocks of coordinates
meet in matrix products, as in GPTQ's lazy updates (Frantar et al. 2022, arXiv:2210.17323).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...problems import Rounding
from ...problems.arrays import Bits, Floats
from ..devices import device_of
from .box_minimum import boxed
from .descent import SCANS, noise_of
from .factors import Columns, sorted_rows
from .plane_kernel import BLOCK
from .prefixes import HORIZON

__all__ = ["Layer", "cheapest", "planes"]

PREFIXES = {"cpu": 1 << 22, "cuda": 1 << 28}
"""Numbers that the prefixes of a batch of neurons may take; with their errors 3 GB on a GPU."""

PAIRS = 1 << 24
"""Pairs of coordinates, of some neurons each, judged at once."""


class Layer:
    """The arrays of a Rounding in float64 on a device, factored, columns in the order of rounding.

    Parameters:
        device: "cpu", "cuda" or "cuda:1".
        order: "sorted", "act" or "given", as `factors.column_order` has them.
        damping: added to the gram's diagonal, as a share of its mean.
        precision: "float32" or "float64", of the products between blocks.

    Raises:
        InputError, Declined: as `device_of`.
    """

    def __init__(
        self, rounding: Rounding, device: str, *, order: str, damping: float, precision: str
    ) -> None:
        self.device, self.kind = device_of(device), getattr(torch, precision)
        self.noise, self.levels = noise_of(rounding), rounding.levels
        self.gram, self.shift = self._put(rounding.gram), self._put(rounding.shift)
        self.scale, self.fixed = self._put(rounding.scale), self._put(rounding.fixed)
        self.middle = torch.where(self._put(rounding.levels == 2), 0.5, self.shift)
        ridge = damping * (float(self.gram.diagonal().mean()) or 1.0)
        self.columns, self.lower = self._triangle(order, ridge)

    def _put(self, array: Any) -> Tensor:
        return torch.tensor(array, device=self.device)

    def _triangle(self, order: str, ridge: float) -> tuple[Columns, Tensor]:
        """As `factors.triangle`."""
        if order == "sorted":
            damped = self.gram.clone()
            damped.diagonal().add_(ridge)
            columns, rows = sorted_rows(damped)
            lower: Tensor = rows.flip(0)[:, columns].tril()
            if bool(lower.diagonal().all()):
                return columns, lower
        elif order == "act":
            columns = np.argsort(-self.gram.diagonal().cpu().numpy(), kind="stable")
        else:
            columns = np.arange(len(self.gram))
        return columns, _factor(self.gram[columns][:, columns], ridge)

    def batches(self, kept: int) -> list[Columns]:
        """Neurons in groups whose prefixes fit into memory."""
        n, f = self.shift.shape
        size = max(1, PREFIXES[self.device.type] // (kept * max(1, min(f, HORIZON))))
        return [np.arange(i, min(i + size, n)) for i in range(0, n, size)]

    def plane(self) -> Bits:
        """Nearest plane of every neuron, (n, f)."""
        shift, fixed = self.shift[:, self.columns], self.fixed[:, self.columns]
        found = planes(shift, fixed, self.levels[self.columns], self.lower, self.kind)
        return _bits(self._given(found))

    def beam(self, rows: Columns, kept: int, stopped: Callable[[], bool]) -> Bits | None:
        """The beam's choice for some neurons (k, f), after a descent; None where `stopped`."""
        fixed, levels = self.fixed[rows][:, self.columns], self.levels[self.columns]
        aim, charge = self.centres(rows)
        arrays = aim, fixed, levels, self.lower
        found = cheapest(*arrays, kept, charge=charge, kind=self.kind, stopped=stopped)
        if found is None:
            return None
        x = self.descend(self._given(found), rows)
        return _bits(self.descend_pairs(x, rows, kept // SCANS))

    def _given(self, found: Tensor) -> Tensor:
        """Columns as the instance has them."""
        x = torch.empty_like(found)
        x[:, self.columns] = found
        return x

    def aims(self, rows: Columns) -> Tensor:
        """As `box_minimum.aims` of some neurons, but in the instance's order."""
        slopes = self.gram @ (self.shift[rows] - self.middle[rows]).T
        half = torch.linalg.solve_triangular(self.lower.T, slopes[self.columns], upper=True)
        found = self.middle[rows].clone()
        found[:, self.columns] += torch.linalg.solve_triangular(self.lower, half, upper=False).T
        return found

    def centres(self, rows: Columns) -> tuple[Tensor, Tensor]:
        """As `box_minimum.centres` of some neurons."""
        fixed = self.fixed[rows][:, self.columns]
        high = torch.where(fixed >= 0, fixed, self._put(self.levels[self.columns] - 1.0))
        return boxed(self.aims(rows)[:, self.columns], fixed.clamp(min=0).double(), high, self.lower, torch)

    def losses(self, x: Bits, rows: Columns) -> Floats:
        """Loss (k,) of some neurons at x (k, f), in float64."""
        error = self._put(x) - self.shift[rows]
        form = ((error @ self.gram) * error).sum(dim=1).clamp(min=0.0)
        return np.asarray((self.scale[rows] ** 2 * form).cpu().numpy())

    def descend(self, x: Tensor, rows: Columns) -> Tensor:
        """Move the coordinate that helps most to its best level until none helps, in all neurons at once."""
        x, every = x.double(), torch.arange(len(rows), device=self.device)
        weight, top = self.gram.diagonal(), self._put(self.levels - 1.0)
        free = (self.fixed[rows] < 0) & (weight > 0)
        field = (x - self.shift[rows]) @ self.gram
        while True:
            move = torch.floor(0.5 - field / torch.where(weight > 0, weight, 1.0))
            move = torch.where(free, torch.minimum(torch.maximum(move, -x), top - x), 0.0)
            gain, pick = (move * (2.0 * field + move * weight)).min(dim=1)
            helps = gain < -self.noise
            if not bool(helps.any()):
                return x
            step = torch.where(helps, move[every, pick], 0.0)
            x[every, pick] += step
            field += step[:, None] * self.gram[pick]

    def descend_pairs(self, x: Tensor, rows: Columns, scans: int) -> Tensor:
        """As `descent.descend_pairs`, from x (k, f) of some neurons; what changed is descended again."""
        left = torch.arange(len(rows), device=self.device)
        size = max(1, PAIRS // max(1, self.gram.numel()))
        for _ in range(scans):
            names = left.cpu().numpy()
            moved = [self._pair(x, rows, left[i : i + size]) for i in range(0, len(names), size)]
            left = left[torch.cat(moved)] if moved else left
            if not len(left):
                break
            x[left] = self.descend(x[left], rows[left.cpu().numpy()])
        return x

    def _pair(self, x: Tensor, rows: Columns, some: Tensor) -> Tensor:
        """Step the pair of each neuron that helps most, in place; which neurons it helps."""
        names, weight, now = rows[some.cpu().numpy()], self.gram.diagonal(), x[some]
        field = (now - self.shift[names]) @ self.gram
        up = (now < self._put(self.levels - 1.0)) & ((now == 0) | (field <= 0.0))
        step = torch.where(up, 1.0, -1.0).double()
        free = (self.fixed[names] < 0) & (weight > 0)
        cost = torch.where(free, 2.0 * step * field + weight, np.inf)
        change = (cost[:, :, None] + cost[:, None]) + 2.0 * (step[:, :, None] * step[:, None] * self.gram)
        change.diagonal(dim1=1, dim2=2).fill_(np.inf)
        gain, pick = change.flatten(1).min(dim=1)
        helps, f = gain < -self.noise, len(weight)
        every = torch.arange(len(some), device=self.device)
        for i in (pick // f, pick % f):
            now[every, i] += torch.where(helps, step[every, i], 0.0)
        x[some] = now
        return helps


def _bits(x: Tensor) -> Bits:
    return np.asarray(x.to(torch.int8).cpu().numpy())


def _factor(gram: Tensor, ridge: float) -> Tensor:
    """As `factors.factor`."""
    while True:
        damped = gram + ridge * torch.eye(len(gram), device=gram.device)
        lower, failed = torch.linalg.cholesky_ex(damped.flip(0, 1))
        if not int(failed):
            turned: Tensor = lower.flip(0, 1).T.contiguous()
            return turned
        ridge *= 10.0


def planes(shift: Tensor, fixed: Tensor, levels: Columns, lower: Tensor, kind: torch.dtype) -> Tensor:
    """Levels (k, f) chosen column after column given those before, in order, as `plane_kernel.planes`."""
    error, found = torch.zeros_like(shift, dtype=kind), torch.zeros_like(fixed)
    f = shift.shape[1]
    for start in range(0, f, BLOCK):
        stop = min(start + BLOCK, f)
        pull = (error[:, :start] @ lower[start:stop, :start].T.to(kind)).double()
        for b, i in enumerate(range(start, stop)):
            centre = shift[:, i] - pull[:, b] / lower[i, i]
            level = torch.floor(centre + 0.5).clamp(0.0, float(levels[i] - 1))
            level = torch.where(fixed[:, i] >= 0, fixed[:, i].double(), level)
            miss = level - shift[:, i]
            found[:, i], error[:, i] = level.to(torch.int8), miss.to(kind)
            pull += miss[:, None] * lower[start:stop, i]
    return found


def cheapest(
    aim: Tensor,
    fixed: Tensor,
    levels: Columns,
    lower: Tensor,
    kept: int,
    *,
    charge: Tensor | None = None,
    kind: torch.dtype = torch.float64,
    stopped: Callable[[], bool] = lambda: False,
) -> Tensor | None:
    """Cheapest full assignment (m, f) of each neuron, all in the order of rounding, as `beam.cheapest`."""
    m, f = aim.shape
    charge = torch.zeros_like(aim) if charge is None else charge
    window = torch.zeros((m, kept, min(f, HORIZON)), dtype=torch.int8, device=aim.device)
    decided, base = torch.zeros_like(fixed), 0
    costs = torch.full((m, kept), np.inf, dtype=torch.float64, device=aim.device)
    costs[:, 0] = 0.0
    for start in range(0, f, BLOCK):
        # What a GPU is asked for it does later, so the clock would tell nothing without a wait.
        if start and bool(costs[0, 0] > -np.inf) and stopped():
            return None
        stop = min(start + BLOCK, f)
        if stop - base > window.shape[2]:
            half = window.shape[2] // 2
            decided[:, base : base + half] = _decide(window, costs, half)
            base += half
        past = start - base
        errors = window[:, :, :past].to(kind) - aim[:, None, base:start].to(kind)
        pull = (errors.reshape(m * kept, past) @ lower[start:stop, base:start].T.to(kind)).double()
        settled = (decided[:, :base] - aim[:, :base]) @ lower[start:stop, :base].T
        costs, origin, chosen = _extend(
            pull.reshape(m, kept, stop - start) + settled[:, None],
            lower[start:stop, start:stop].T,
            aim[:, start:stop],
            charge[:, start:stop],
            fixed[:, start:stop],
            levels[start:stop],
            costs,
        )
        window[:, :, :past] = _of(window[:, :, :past], origin)
        window[:, :, past : stop - base] = chosen
    best = window[torch.arange(m, device=aim.device), costs.argmin(dim=1)]
    decided[:, base:] = best[:, : f - base]
    return decided


def _decide(window: Tensor, costs: Tensor, half: int) -> Tensor:
    """Settle the oldest coordinates as the cheapest prefixes have them; others die, all move on."""
    lead = window[torch.arange(len(window), device=window.device), costs.argmin(dim=1), None, :half]
    costs.masked_fill_((window[:, :, :half] != lead).any(dim=2), np.inf)
    window[:, :, :-half] = window[:, :, half:].clone()
    return lead[:, 0]


def _extend(
    pull: Tensor,
    upper: Tensor,
    aim: Tensor,
    charge: Tensor,
    fixed: Tensor,
    levels: Columns,
    costs: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Extend the prefixes by the coordinates of a block; their costs, origins (m, K) and values (m, K, B)."""
    m, kept, size = pull.shape
    origin = torch.arange(kept, device=pull.device).expand(m, kept)
    chosen = torch.zeros((m, kept, size), dtype=torch.int8, device=pull.device)
    for b in range(size):
        level = torch.arange(int(levels[b]), device=pull.device)
        miss = level - aim[:, b, None]
        error = pull[:, None, :, b] + (upper[b, b] * miss)[:, :, None]
        barred = (fixed[:, b, None] >= 0) & (fixed[:, b, None] != level)
        extra = (charge[:, b, None] * miss)[:, :, None]
        children = (
            (costs[:, None] + (error * error + extra)).masked_fill_(barred[:, :, None], np.inf).flatten(1)
        )
        place = _pick(children, kept)
        costs, parent, value = children.gather(1, place), place % kept, place // kept
        pull = _of(pull, parent) + (value - aim[:, b, None])[:, :, None] * upper[b]
        origin, chosen = origin.gather(1, parent), _of(chosen, parent)
        chosen[:, :, b] = value.to(torch.int8)
    return costs, origin, chosen


def _of(prefixes: Tensor, parent: Tensor) -> Tensor:
    """The prefixes (m, K, ·) that others extend, by parents (m, K)."""
    return prefixes.gather(1, parent[:, :, None].expand(-1, -1, prefixes.shape[2]))


def _pick(children: Tensor, kept: int) -> Tensor:
    """Places (m, K) of the K cheapest children in rising order; of those that tie, the first."""
    limit = children.topk(kept, dim=1, largest=False).values.amax(dim=1, keepdim=True)
    below, ties = children < limit, children == limit
    take = below | (ties & (ties.cumsum(1) <= kept - below.sum(1, keepdim=True)))
    # Each place taken goes to its rank, all others to a column of waste; no count has to reach the CPU.
    rank = torch.where(take, take.cumsum(1) - 1, kept)
    every = torch.arange(children.shape[1], device=children.device).expand_as(children)
    return torch.zeros((len(children), kept + 1), dtype=torch.int64, device=children.device).scatter_(
        1, rank, every
    )[:, :kept]
