"""bit-allocation: how many bits each matrix gets under a budget, then every matrix rounded at its own width.

With one matrix at a width and all others as they were, the network's outputs are off by a vector δ; to first
order those of several matrices add up, so that a choice of widths costs |Σ_l δ_l|². Its diagonal is each
matrix's own loss; its products δ_l·δ_m say whose errors cancel or pile up (the cross-layer dependencies of
Deng et al. 2023, arXiv:2307.05657, who take them from the loss in place of the outputs).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..arrays import Bits, Floats, count, flag, number
from ..cache import cached
from ..errors import InputError
from ..instances.capacity import Capacity
from ..instances.instance import Instance
from ..registry import problem
from ..tasks.agreement import outputs_for
from ..tasks.task import Task
from .adaround import rounded_layers
from .book import Book, tables_of, write
from .layer_rounding import Layer
from .planes import planes_of
from .weight_layers import UnreachedError, WeightLayer, WeightLayers
from .wishes import Answer, Wishes

__all__ = ["Allocation", "bit_allocation", "greedy_widths", "measured", "uniform_widths"]

WIDTHS = (2, 3, 4, 5, 6, 8)
"""Bits that a matrix may have."""

Widths = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Allocation:
    """What every matrix costs at every width.

    Attributes:
        sizes: (L,) numbers of each matrix.
        products: (L·W, L·W) of the errors δ of the outputs, those of matrix l at the widths in rows l·W on.
        budget: bits of all matrices together.
        interactions: whether products of different matrices count.
    """

    sizes: Widths
    products: Floats
    budget: int
    interactions: bool = True

    def loss(self, choice: Any) -> float:
        """What widths (L,), as places in WIDTHS, cost: the outputs' mean squared error, to first order."""
        rows = np.arange(len(self.sizes)) * len(WIDTHS) + choice
        return float(self._counted[np.ix_(rows, rows)].sum())

    def bits(self, choice: Any) -> int:
        """Bits of all matrices together."""
        return int(self.sizes @ np.array(WIDTHS)[choice])

    @property
    def _counted(self) -> Floats:
        if self.interactions:
            return self.products
        same = np.kron(np.eye(len(self.sizes)), np.ones((len(WIDTHS), len(WIDTHS))))
        return np.asarray(self.products * same)

    @property
    def instance(self) -> Capacity:
        """The choice as a Qubo under an exact capacity.

        x_lj = 1 where matrix l has the j-th step up or more, each at the cost of its bits. A step without the
        one before it pays at least what it and those above it could gain, whatever the others do, so that at
        the optimum steps are in order; without interactions the couplings stay inside each matrix.
        """
        steps = len(WIDTHS) - 1
        up = np.kron(np.eye(len(self.sizes)), np.diff(np.eye(len(WIDTHS)), axis=0))  # δ_j − δ_j−1
        least = np.kron(np.ones(len(self.sizes)), np.eye(len(WIDTHS))[0])
        counted = self._counted
        Q = up @ counted @ up.T
        Q[np.diag_indices(len(Q))] += 2.0 * (up @ counted @ least)
        gains = -(np.diag(Q) + 2.0 * (np.minimum(Q, 0.0).sum(axis=1) - np.minimum(np.diag(Q), 0.0)))
        above = np.maximum(gains, 0.0).reshape(-1, steps)[:, ::-1].cumsum(axis=1)[:, ::-1]
        for place in np.flatnonzero(np.arange(len(Q)) % steps):
            pays = above.flat[place]
            Q[place, place] += pays
            Q[place, place - 1] -= pays / 2
            Q[place - 1, place] -= pays / 2
        costs = np.outer(self.sizes, np.diff(WIDTHS)).ravel().astype(np.float64)
        K = float(self.budget - WIDTHS[0] * self.sizes.sum())
        if np.all(costs == 1.0):  # which would mean that all K are to be taken
            costs, K = 2.0 * costs, 2.0 * K
        return Capacity((Q + Q.T) / 2, costs, K, float(least @ counted @ least))

    def choice(self, x: Bits) -> Widths:
        """Places in WIDTHS (L,) of a solution: the steps before the first that is not taken."""
        return np.asarray(np.minimum.accumulate(x.reshape(len(self.sizes), -1), axis=1).sum(axis=1))


def uniform_widths(allocation: Allocation) -> Widths:
    """The same width for all, the largest that the budget allows."""
    fitting = [k for k, width in enumerate(WIDTHS) if width * allocation.sizes.sum() <= allocation.budget]
    return np.full(len(allocation.sizes), max(fitting))


def greedy_widths(allocation: Allocation) -> Widths:
    """From the least width on, the step that lowers the loss most for each bit it costs, while any fits."""
    choice = np.zeros(len(allocation.sizes), dtype=np.int64)
    while True:
        now, best = allocation.loss(choice), None
        for place in np.flatnonzero(choice < len(WIDTHS) - 1):
            tried = choice.copy()
            tried[place] += 1
            extra = allocation.bits(tried) - allocation.bits(choice)
            worth = (now - allocation.loss(tried)) / extra
            fits = allocation.bits(tried) <= allocation.budget
            if fits and worth > 0.0 and (best is None or worth > best[0]):
                best = worth, tried
        if best is None:
            return choice
        choice = best[1]


@problem("bit-allocation", family="allocation")
def bit_allocation(
    task: Task,
    *,
    average: float = 3.0,
    size: int = 0,
    interactions: bool = True,
    samples: int = 64,
    grid: str = "fit",
    bias: str = "corrected",
    group: int = 0,
    embeddings: int = 8,
    guard: bool = False,
) -> Generator[Instance, Bits, nn.Module]:
    """Decide how many of 2, 3, 4, 5, 6 or 8 bits each matrix gets under a budget, then round each so.

    The first instance is a `Capacity` over each matrix's steps up, Σ bits·numbers ≤ budget; its loss is the
    mean squared error of the outputs, to first order in the errors of the matrices, which nearest planes
    round to measure them: widths times matrices runs over the samples. Without interactions it is a
    multiple-choice knapsack, which `layer-dp` solves exactly. Then come the instances of `adaround`.

    Parameters:
        task: the network, and the samples that calibrate it.
        average: bits of a number, on average over the matrices, in [2, 8].
        size: bytes of all matrices' codes together, in the place of the average where positive.
        interactions: whether errors of different matrices cancel or pile up.
        samples: of the calibration data, whose outputs are compared.
        grid: "fit", "minmax" or "mse"; see `adaround`, as for the rest.
        bias: "corrected" or "float"; "int32" where inputs have no groups.
        group: inputs of a neuron, or numbers of a row of a table, that share a step; 0 for all of them.
        embeddings: width of tables that rows are looked up in; 0 leaves them float.
        guard: keep the nearest values where a layer's answer is worse than these on the samples held out.

    Raises:
        InputError: a parameter out of range, a budget below two bits a number, or what `adaround` refuses.

    References:
        Deng et al. 2023, arXiv:2307.05657; Sinha and Zoltners 1979 (the multiple-choice knapsack).
    """
    flag(interactions, name="interactions")
    usual = {"grid": grid, "bias": bias, "group": group}
    layers = WeightLayers(task)
    book = Book(layers)
    tables_of(layers, bits=embeddings, group=group).round(book)
    allocation = measured(
        layers, usual, average=average, size=size, samples=samples, interactions=interactions
    )
    task.ledger.enter("bits of each matrix", span=(0.0, 0.0))
    choice = allocation.choice((yield allocation.instance))
    widths = dict(zip(layers.names, np.array(WIDTHS)[choice].tolist(), strict=True))
    yield from rounded_layers(layers, book, _all_levels(usual), widths=widths, guard=guard)
    book.close()
    return layers.finished()


def measured(
    layers: WeightLayers,
    usual: dict[str, Any],
    *,
    average: float,
    size: int = 0,
    samples: int = 64,
    interactions: bool = True,
) -> Allocation:
    """The allocation of a task's matrices; parameters of `bit_allocation`, `usual` its grid, bias, group."""
    least, most = WIDTHS[0], WIDTHS[-1]
    mean = number(average, name="average")
    if not least <= mean <= most:
        raise InputError(f"average must lie in [{least}, {most}] bits, got {mean:g}")
    sizes = np.array([use.matrix(layers.network).size for use in layers.chosen])
    whole = int(sizes.sum())
    budget = 8 * count(size, name="size", low=0) or int(mean * whole + 1e-9)
    if budget < least * whole:
        needed = -(-least * whole // 8)
        raise InputError(f"size must be at least {needed} bytes, {least} bits a number, got {size}")
    drawn = count(samples, name="samples", low=1)
    piece = f"errors of outputs, {drawn} samples, {sorted(usual.items())}, without {_left(layers)}"
    found = cached(layers.task, piece, partial(_products, layers, usual, drawn))
    return Allocation(sizes, np.asarray(found["products"]), budget, interactions)


def _left(layers: WeightLayers) -> list[str]:
    return sorted({use.name for use in layers.uses.matrices} - set(layers.names))


def _products(layers: WeightLayers, usual: dict[str, Any], samples: int) -> dict[str, Floats]:
    """Products (L·W, L·W) of the errors of the outputs, a mean over samples."""
    inputs = layers.task.inputs[:samples]
    before = outputs_for(layers.network, inputs).double()
    errors = []
    for one in layers:
        for answers, bits in _answers(one, usual):
            write(one, answers, bits=bits)
            errors.append((outputs_for(layers.network, inputs).double() - before).flatten().float())
        one.put(one.weights, one.bias)
    table = torch.stack(errors)
    return {"products": (table @ table.T).double().numpy() / len(before)}


def _answers(one: WeightLayer, usual: dict[str, Any]) -> Iterator[tuple[list[Answer], int]]:
    """Nearest planes of a matrix's groups at each width."""
    for bits in WIDTHS:
        wishes = Wishes(**_all_levels(usual), bits=bits)
        try:
            made: Iterable[Layer] = [layer for layer, _ in wishes.layers(one, input_step=1.0)]
        except UnreachedError:
            made = []
        yield [Answer(layer, _planes(layer)) for layer in made], bits


def _planes(layer: Layer) -> Bits:
    """What a fit ended with, or nearest planes."""
    if layer.start is not None:
        return layer.start
    instance = layer.instance
    steps = instance.scale if instance.grouped else instance.scale[:, None]
    group = instance.group if instance.grouped else np.zeros(instance.f, dtype=np.int64)
    target = np.ascontiguousarray(instance.shift * steps[:, group], dtype=np.float32)
    top = (instance.levels - 1).astype(np.float32)
    fixed = instance.fixed if (instance.fixed >= 0).any() else None
    planes = planes_of(instance.gram)
    return instance.settle(planes.nearest(target, steps.astype(np.float32), group, top, fixed))


def _all_levels(usual: dict[str, Any]) -> dict[str, Any]:
    return {**ALL_LEVELS, **usual}


ALL_LEVELS = {
    "per": "channel",
    "levels": "all",
    "clip_aware": True,
    "keep_zeros": False,
    "block": 0,
    "tries": 4,
    "refits": 0,
}
"""What is wished besides."""
