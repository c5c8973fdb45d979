"""Filter pruning: which filters of a trained network stay when exactly K may (Orabi et al. 2026).

x_i = 1 keeps filter i. Importances T (Taylor) and F (Fisher) and the similarity S are defined in `filters`;
the tilde divides an importance by its mean over all filters, which is our reading of the paper.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from torch import nn

from .arrays import Bits, Floats, count, number
from .blackbox import BlackBox
from .cache import cached
from .capacity import Capacity
from .errors import InputError
from .filters import Filters, Statistics, cross_entropy, measure, prunable, remove
from .instance import Instance
from .registry import problem
from .task import Task

__all__ = ["hybrid", "kept", "taylor"]


@problem("taylor", family="pruning")
def taylor(task: Task, *, keep: float = 0.64, refine: int = 0) -> Generator[Instance, Bits, nn.Module]:
    """Keep the K filters of the largest Taylor importance: E(x) = −Σ T̃_i x_i, Σ x = K.

    Linear, so greedy is optimal: the baseline of the family and the check that a solver keeps the capacity.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the filters kept, in (0, 1].
        refine: where positive, that many of the least certain filters are then chosen by the true loss.

    Raises:
        InputError: keep outside (0, 1], more filters to refine than there are, or no filter to prune.

    References:
        Molchanov et al. 2019, arXiv:1906.10771.
    """
    filters = prunable(task)
    K = _checked(filters, keep, refine)
    importance = _normalised(_statistics(task, filters).taylor)
    return (
        yield from _select(task, filters, Capacity(np.diag(-importance), np.ones(filters.total), K), refine)
    )


@problem("hybrid", family="pruning")
def hybrid(
    task: Task, *, keep: float = 0.64, alpha: float = 0.5, beta: float = 0.1, refine: int = 0
) -> Generator[Instance, Bits, nn.Module]:
    """Keep K filters that matter and are unlike: E(x) = −Σ I_i x_i + β Σ_{i<j} S_ij x_i x_j, Σ x = K.

    I = α T̃ + (1 − α) F̃. The capacity is exact, part of the instance and not a penalty.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the filters kept, in (0, 1].
        alpha: weight of Taylor against Fisher, in [0, 1].
        beta: weight of similarity, at least 0.
        refine: where positive, that many of the least certain filters are then chosen by the true loss.

    Raises:
        InputError: a parameter outside its range, or no filter to prune.

    References:
        Orabi et al. 2026, arXiv:2604.05856.
    """
    if not 0 <= number(alpha, name="alpha") <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")
    if number(beta, name="beta") < 0:
        raise InputError(f"beta must not be negative, got {beta}")
    filters = prunable(task)
    K = _checked(filters, keep, refine)
    found = _statistics(task, filters)
    importance = alpha * _normalised(found.taylor) + (1 - alpha) * _normalised(found.fisher)
    # Each pair stands twice in a symmetric Q, so half of β S is its share.
    Q = np.diag(-importance) + 0.5 * beta * found.similarity
    return (yield from _select(task, filters, Capacity(Q, np.ones(filters.total), K), refine))


def _statistics(task: Task, filters: Filters) -> Statistics:
    """What calibration says of the filters, measured once for all sparsities."""
    return Statistics(**cached(task, "statistics of filters", lambda: dict(vars(measure(task, filters)))))


def kept(keep: float, total: int) -> int:
    """Number of filters that a fraction stands for, at least one.

    Raises:
        InputError: a fraction outside (0, 1].
    """
    if not 0 < number(keep, name="keep") <= 1:
        raise InputError(f"keep must lie in (0, 1], got {keep}; 0.64 keeps 64 % of the filters")
    return max(1, round(keep * total))


def _checked(filters: Filters, keep: float, refine: int) -> int:
    """K, both parameters checked before anything is measured or solved."""
    count(refine, name="refine", low=0, high=filters.total)
    return kept(keep, filters.total)


def _normalised(importance: Floats) -> Floats:
    return importance / (float(importance.mean()) or 1.0)


def _select(
    task: Task, filters: Filters, capacity: Capacity, refine: int
) -> Generator[Instance, Bits, nn.Module]:
    """The exact-capacity stage, the refinement if wanted, and the network without the removed filters."""
    x = yield capacity
    if refine:
        chosen = _least_certain(capacity, x, refine)
        mask = np.array(x)
        mask[chosen] = yield _refinement(task, filters, mask, chosen)
        x = mask
    pruned = task.copy()
    remove(pruned, filters, x, original=task.network)
    return pruned


def _least_certain(capacity: Capacity, x: Bits, wanted: int) -> list[int]:
    """The filters whose marginal energy is nearest to the border between kept and removed."""
    slope = capacity.qubo.linear + 2 * (capacity.qubo.couplings @ x.astype(np.float64))
    border = (slope[x == 1].max(initial=-np.inf) + slope[x == 0].min(initial=np.inf)) / 2
    distance = np.abs(slope - (border if np.isfinite(border) else 0.0))
    return sorted(int(i) for i in np.argsort(distance, kind="stable")[:wanted])


def _refinement(task: Task, filters: Filters, mask: Bits, chosen: list[int]) -> BlackBox:
    """Cross-entropy on the held-out samples as a function of the chosen filters, as many kept as before."""
    network = task.copy()
    start = np.array(mask[chosen])

    def evaluate(points: Bits) -> Floats:
        return np.array([loss(point) for point in points])

    def loss(point: Bits) -> float:
        x = np.array(mask)
        x[chosen] = point
        remove(network, filters, x, original=task.network)
        return cross_entropy(network, task.held_inputs, task.held_targets)

    return BlackBox(evaluate, len(chosen), start=start, K=int(start.sum()))
