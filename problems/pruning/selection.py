"""Selection: what all pruning formulations share, from the fraction kept to the smaller network.

A formulation says what a choice of channels costs; here are the capacity, the channels that stay whatever is
chosen, the refinement by the true loss, and the way back to a network.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from ..arrays import Bits, Floats, chosen, count, flag, number
from ..errors import InputError
from ..instances.blackbox import BlackBox
from ..instances.capacity import Capacity
from ..instances.instance import Instance
from ..tasks.task import Task
from . import surgery
from .channels import mean_loss
from .groups import Groups, prunable, shares
from .repair import repair

__all__ = [
    "CAPACITIES",
    "NORMALISATIONS",
    "Plan",
    "kept",
    "normalised",
    "plan",
    "select",
]

CAPACITIES = ("filters", "parameters", "products")
"""What a capacity may count."""

NORMALISATIONS = ("layer", "global")
"""Over what the mean is taken that an importance is divided by."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is chosen from, and what follows the choice.

    Attributes:
        task: the network, and the samples that calibrate it.
        groups: its channels, n in all.
        keep: fraction of the capacity kept.
        unit: what the capacity counts.
        costs: (n,) share of each channel in it.
        budget: most that all kept ones may cost; their exact number where they are counted.
        least: channels that every group keeps.
        refine: channels that are then chosen by the true loss.
        refit: whether the weights that read kept channels are refitted, by least squares.
        finetune: epochs of training at the end.
    """

    task: Task
    groups: Groups
    keep: float
    unit: str
    costs: Floats
    budget: float
    least: int
    refine: int
    refit: bool
    finetune: int


def plan(
    task: Task,
    *,
    keep: float,
    capacity: str,
    least: int,
    refine: int,
    finetune: int,
    refit: bool = False,
) -> Plan:
    """The parameters that all formulations take, checked before anything is measured or solved.

    Raises:
        InputError: one outside its range, or no channel to prune.
    """
    chosen(capacity, CAPACITIES, name="capacity")
    count(least, name="least", low=1)
    flag(refit, name="refit")
    count(finetune, name="finetune", low=0)
    groups = prunable(task)
    count(refine, name="refine", low=0, high=groups.total)
    whole = kept(keep, groups.total)
    costs = np.asarray(shares(task, groups, capacity), dtype=np.float64)
    budget = float(whole) if capacity == "filters" else keep * float(costs.sum())
    return Plan(task, groups, keep, capacity, costs, budget, least, refine, refit, finetune)


def kept(keep: float, total: int) -> int:
    """Number of channels that a fraction stands for, at least one.

    Raises:
        InputError: a fraction outside (0, 1].
    """
    if not 0 < number(keep, name="keep") <= 1:
        raise InputError(f"keep must lie in (0, 1], got {keep}; 0.64 keeps 64 % of the channels")
    return max(1, round(keep * total))


def normalised(importance: Floats, groups: Groups, over: str) -> Floats:
    """An importance (n,) over its mean in each group ("layer"), or over the mean of all ("global")."""
    spans = groups.spans() if over == "layer" else [slice(None)]
    scaled = np.array(importance, dtype=np.float64)
    for span in spans:
        scaled[span] /= float(scaled[span].mean()) or 1.0
    return scaled


def select(
    plan: Plan, Q: Floats, *, offset: float = 0.0, biases: bool = False
) -> Generator[Instance, Bits, nn.Module]:
    """The capacity stage, the refinement if wanted, and the smaller network.

    The `least` channels of each group that the diagonal of Q favours most are kept and are no variables.
    `biases` says whether biases make up for what is removed where the plan refits no weights.
    """
    free = ~_favoured(plan, np.diag(Q))
    instance = _restricted(plan, Q, offset, free)
    x = np.ones(plan.groups.total, dtype=np.int8)
    x[free] = yield instance
    if plan.refine:
        places = np.flatnonzero(free)[_least_certain(instance, x[free], plan.refine)]
        x[places] = yield _refinement(plan, x, places)
    return _smaller(plan, x, biases=biases)


def _favoured(plan: Plan, linear: Floats) -> npt.NDArray[np.bool_]:
    """The channels (n,) that stay whatever is chosen."""
    fixed = np.zeros(plan.groups.total, dtype=bool)
    for span in plan.groups.spans():
        fixed[span.start + np.argsort(linear[span], kind="stable")[: plan.least]] = True
    needed = float(plan.costs[fixed].sum())
    if needed > plan.budget:
        least = needed / float(plan.costs.sum())
        channels = "1 channel" if plan.least == 1 else f"{plan.least} channels"
        raise InputError(
            f"keep must leave {channels} to each group, at least {least:.3g} of the {plan.unit}, "
            f"got {plan.keep}; raise keep"
        )
    return fixed


def _restricted(plan: Plan, Q: Floats, offset: float, free: npt.NDArray[np.bool_]) -> Capacity:
    """The choice among the free channels, all others being kept."""
    inner = Q[np.ix_(free, free)] + np.diag(2 * Q[np.ix_(free, ~free)].sum(axis=1))
    spent = float(plan.costs[~free].sum())
    left = plan.budget - spent if free.any() else 0.0
    return Capacity(inner, plan.costs[free], left, offset + float(Q[np.ix_(~free, ~free)].sum()))


def _least_certain(capacity: Capacity, x: Bits, wanted: int) -> list[int]:
    """The variables whose marginal energy per cost is nearest to the border between kept and removed."""
    slope = capacity.qubo.linear + 2 * (capacity.qubo.couplings @ x.astype(np.float64))
    slope /= capacity.costs
    border = (slope[x == 1].max(initial=-np.inf) + slope[x == 0].min(initial=np.inf)) / 2
    distance = np.abs(slope - (border if np.isfinite(border) else 0.0))
    return sorted(int(i) for i in np.argsort(distance, kind="stable")[:wanted])


def _refinement(plan: Plan, x: Bits, places: npt.NDArray[np.intp]) -> BlackBox:
    """Mean loss on the held-out samples as a function of a few channels, BatchNorms re-estimated for each.

    As many are kept as before where the capacity counts them, else any that it allows: what it does not has
    an infinite loss.
    """
    task, network, start = plan.task, plan.task.copy(), np.array(x)
    exact = bool(np.all(plan.costs == 1.0))
    most = max(plan.budget, float(plan.costs @ start))  # a sum in another order may round up

    def evaluate(points: Bits) -> Floats:
        return np.array([loss(point) for point in points])

    def loss(point: Bits) -> float:
        mask = np.array(start)
        mask[places] = point
        if not exact and float(plan.costs @ mask) > most:
            return np.inf
        surgery.mask(network, plan.groups, mask, original=task.network)
        surgery.reestimate(network, task.inputs)
        return mean_loss(task, network, task.held_inputs, task.held_targets)

    K = int(start[places].sum()) if exact else None
    return BlackBox(evaluate, len(places), start=start[places], K=K)


def _smaller(plan: Plan, x: Bits, *, biases: bool) -> nn.Module:
    """The network of the kept channels alone, repaired, its BatchNorms re-estimated, trained if wanted."""
    network = surgery.shrink(plan.task.copy(), plan.groups, x)
    if plan.refit or biases:
        repair(network, x, task=plan.task, groups=plan.groups, weights=plan.refit)
    surgery.reestimate(network, plan.task.inputs)
    if plan.finetune:
        surgery.finetune(network, plan.task, epochs=plan.finetune)
    return network.eval()
