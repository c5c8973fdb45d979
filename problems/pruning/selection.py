"""Selection: what all pruning formulations share, from the fraction kept to the smaller network.

A formulation says what a choice of channels costs; here are the parameters that all have, the capacity, the
channels that stay whatever is chosen, the refinement by the true loss, and the way back to a network.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from torch import nn

from ..arrays import Bits, Floats, chosen, count, flag, number
from ..errors import InputError
from ..instances.blackbox import BlackBox
from ..instances.capacity import Capacity
from ..instances.instance import Instance
from ..own.losses import Refused, required
from ..registry import Generate, problem
from ..tasks.task import Task
from . import surgery
from .attention import unpacked
from .channels import DENSE, mean_loss
from .fates import note
from .groups import Groups, prunable, shares
from .repair import repair

__all__ = [
    "CAPACITIES",
    "NORMALISATIONS",
    "Energy",
    "Plan",
    "asked",
    "kept",
    "normalised",
    "plan",
    "pruning",
    "select",
    "separate",
    "smaller",
]

CAPACITIES = ("filters", "parameters", "products")
"""What a capacity may count."""

NORMALISATIONS = ("layer", "global")
"""Over what the mean is taken that an importance is divided by."""


HELD = "held-out"
"""Re-estimate statistics where the held-out samples say so."""


@dataclass(frozen=True, eq=False)
class Energy:
    """What a choice x of channels costs, xᵀQx + offset.

    Attributes:
        Q: (n, n), symmetric, dense or CSR.
        offset: what no choice changes.
        biases: whether biases make up for what is removed where no weights are refitted.
    """

    Q: Any
    offset: float = 0.0
    biases: bool = False


def separate(terms: Floats) -> Any:
    """What single channels cost (n,) as Q (n, n), CSR for many."""
    return sp.diags_array(terms, format="csr") if len(terms) > DENSE else np.diag(terms)


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
        least: channels that every group keeps, or which fraction of its own.
        normalise: mean that importances are divided by.
        refine: channels that are then chosen by the true loss.
        refit: whether the weights that read kept channels are refitted, by least squares.
        finetune: epochs of training at the end.
        reestimate: whether statistics of BatchNorms are re-estimated, or `HELD` for what leaves less loss.
        original: the task before its network was taken apart.
    """

    task: Task
    groups: Groups
    keep: float
    unit: str
    costs: Floats
    budget: float
    least: float
    normalise: str
    refine: int
    refit: bool
    finetune: int
    reestimate: bool | str
    original: Task

    def normalised(self, importance: Floats) -> Floats:
        """An importance (n,) over the mean that is asked for."""
        return normalised(importance, self.groups, self.normalise)

    def least_of(self, width: int) -> int:
        """How many channels a group of so many keeps."""
        return math.ceil(self.least * width - 1e-9) if self.least < 1 else int(self.least)


Formulation: TypeAlias = Callable[..., Energy]
"""A function of (plan, **parameters)."""


REQUIRED = {"torch-pruning": "torch_pruning.pruner.function", "torch": "torch._dynamo"}
"""What a network is traced and cut by; and the first optimiser of a process, that of the fine-tune which is
measured, imports torch's compiler, for more than a second."""


def pruning(
    name: str, *, version: int = 1, normalise: str | None = None, refit: bool = False
) -> Callable[[Formulation], Generate]:
    """Register a function of (plan, **parameters of its own) that says what a choice of channels costs.

    It gains the parameters of `plan`, each with its line of documentation, and the way back to a network.

    Parameters:
        name: of the formulation.
        version: of its instances.
        normalise: default of that parameter; None for a formulation without importances, which lacks it.
        refit: default of that parameter.
    """
    changed = {"normalise": normalise, "refit": refit}
    # Formulations without a refit are older than the parameter.
    later: dict[str, Any] = {"reestimate": True} if refit else {"refit": False, "reestimate": True}

    def register(formulation: Formulation) -> Generate:
        signature = _signature(formulation, changed)
        own = signature.parameters.keys() - inspect.signature(plan).parameters.keys()

        @wraps(formulation)
        def generate(task: Task, **given: Any) -> Generator[Instance, Bits, nn.Module]:
            call = signature.bind(task, **given)
            call.apply_defaults()
            made = plan(**{key: value for key, value in call.arguments.items() if key not in own})
            energy = formulation(made, **{key: call.arguments[key] for key in own})
            return (yield from select(made, energy.Q, offset=energy.offset, biases=energy.biases))

        generate.__doc__ = _documentation(formulation, list(signature.parameters))
        generate.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect.signature
        described = problem(
            name,
            family="pruning",
            version=version,
            measures=surgery.measures,
            later=later,
            requires=REQUIRED,
        )
        return described(generate)

    return register


def _signature(formulation: Formulation, changed: dict[str, Any]) -> inspect.Signature:
    """The task, `keep`, the formulation's own parameters, and those others of `plan` that it has."""
    task, keep, *others = inspect.signature(plan).parameters.values()
    _, *own = inspect.signature(formulation).parameters.values()
    shared = [one.replace(default=changed.get(one.name, one.default)) for one in others]
    taken = [one for one in shared if one.default is not None]
    answer = "Generator[Instance, Bits, nn.Module]"
    return inspect.Signature([task, keep, *own, *taken], return_annotation=answer)


def _documentation(formulation: Formulation, names: list[str]) -> str:
    """The docstring of a formulation with that of `plan` wherever it says nothing of its own."""
    head, own = _sections(formulation)
    _, shared = _sections(plan)
    meanings = _entries(shared["Parameters"]) | _entries(own.get("Parameters", ""))
    told = {**shared, **own, "Parameters": "".join(f"    {name}: {meanings[name]}\n" for name in names)}
    return "\n\n".join([head.strip(), *(f"{heading}:\n{text.rstrip()}" for heading, text in told.items())])


def _sections(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """A docstring's opening, and what stands under each of its headings."""
    head, *parts = re.split(r"^(\w+):\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    return head, dict(zip(parts[::2], parts[1::2], strict=True))


def _entries(text: str) -> dict[str, str]:
    """Meanings by name, each with its continuation lines."""
    return dict(re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", text, flags=re.MULTILINE))


def plan(
    task: Task,
    *,
    keep: float = 0.64,
    capacity: str = "filters",
    least: float = 1,
    normalise: str = "global",
    refine: int = 0,
    refit: bool = False,
    finetune: int = 0,
    reestimate: bool | str = True,
) -> Plan:
    """The parameters that all formulations take, checked before anything is measured or solved.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1, or the fraction of its own, in (0, 1).
        normalise: mean that importances are divided by, of the "layer" or "global".
        refine: least certain channels that are then chosen by the true loss.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end, of the parameters that ask for gradients, or of all.
        reestimate: put the mean and variance over the calibration samples, if there are eight, in BatchNorms;
            "held-out" where the loss on the held-out samples is lower for it.

    Raises:
        InputError: a parameter outside its range, no channel to prune, targets that do not fit the outputs,
            or a loss that the task lacks.
    """
    chosen(normalise, NORMALISATIONS, name="normalise")
    chosen(capacity, CAPACITIES, name="capacity")
    if not (isinstance(least, float) and 0 < least < 1):
        count(least, name="least", low=1)
    flag(refit, name="refit")
    if count(finetune, name="finetune", low=0) or refine:
        required(task.criterion)
    if reestimate == HELD:
        required(task.criterion)
    elif not isinstance(reestimate, bool | np.bool_):
        raise InputError(f"reestimate must be True, False or {HELD!r}, got {reestimate!r}")
    original, task = task, unpacked(task)
    groups = prunable(task)
    if not isinstance(task.criterion, Refused):  # what does not fit is refused by all, asked for or not
        mean_loss(task, task.copy(), task.inputs, task.targets)
    count(refine, name="refine", low=0, high=groups.total)
    whole = kept(keep, groups.total)
    costs = np.asarray(shares(task, groups, capacity), dtype=np.float64)
    wanted = reestimate if len(task.inputs) >= surgery.ENOUGH else False
    budget = float(whole) if capacity == "filters" else keep * float(costs.sum())
    return Plan(
        task,
        groups,
        keep,
        capacity,
        costs,
        budget,
        least,
        normalise,
        refine,
        refit,
        finetune,
        wanted,
        original,
    )


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
    plan: Plan, Q: Any, *, offset: float = 0.0, biases: bool = False
) -> Generator[Instance, Bits, nn.Module]:
    """The capacity stage, the refinement if wanted, and the smaller network.

    The `least` channels of each group that the diagonal of Q favours most are kept and are no variables.
    `biases` says whether biases make up for what is removed where the plan refits no weights.
    """
    instance, free = asked(plan, Q, offset=offset)
    x = np.ones(plan.groups.total, dtype=np.int8)
    plan.task.ledger.enter("channels")
    x[free] = yield instance
    if plan.refine:
        places = np.flatnonzero(free)[_least_certain(instance, x[free], plan.refine)]
        plan.task.ledger.enter("least certain channels")
        x[places] = yield _refinement(plan, x, places)
    return smaller(plan, x, biases=biases)


def asked(plan: Plan, Q: Any, *, offset: float = 0.0) -> tuple[Capacity, npt.NDArray[np.bool_]]:
    """The choice among the channels that are free, and which (n,) those are; all others are kept.

    Raises:
        InputError: the capacity leaves less than the `least` channels to each group.
    """
    free = ~_favoured(plan, Q.diagonal())
    return _restricted(plan, Q, offset, free), free


def _favoured(plan: Plan, linear: Floats) -> npt.NDArray[np.bool_]:
    """The channels (n,) that stay whatever is chosen."""
    fixed = np.zeros(plan.groups.total, dtype=bool)
    for span in plan.groups.spans():
        least = plan.least_of(span.stop - span.start)
        fixed[span.start + np.argsort(linear[span], kind="stable")[:least]] = True
    needed = float(plan.costs[fixed].sum())
    if needed > plan.budget:
        share = needed / float(plan.costs.sum())
        channels = f"{plan.least:g} of the channels" if plan.least < 1 else f"{plan.least} channels"
        channels = "1 channel" if plan.least == 1 else channels
        raise InputError(
            f"keep must leave {channels} to each group, at least {share:.3g} of the {plan.unit}, "
            f"got {plan.keep}; raise keep"
        )
    return fixed


def _restricted(plan: Plan, Q: Any, offset: float, free: npt.NDArray[np.bool_]) -> Capacity:
    """The choice among the free channels, all others being kept."""
    rows = Q[free]
    linear = 2 * np.asarray(rows[:, ~free].sum(axis=1)).ravel()
    inner = rows[:, free] + (sp.diags_array(linear, format="csr") if sp.issparse(Q) else np.diag(linear))
    spent = float(plan.costs[~free].sum())
    left = plan.budget - spent if free.any() else 0.0
    return Capacity(inner, plan.costs[free], left, offset + float(Q[~free][:, ~free].sum()))


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
        if plan.reestimate:
            surgery.reestimate(network, task.inputs)
        return mean_loss(task, network, task.held_inputs, task.held_targets)

    K = int(start[places].sum()) if exact else None
    return BlackBox(evaluate, len(places), start=start[places], K=K)


def smaller(plan: Plan, x: Bits, *, biases: bool = False) -> nn.Module:
    """The network of the kept channels alone, repaired, its BatchNorms re-estimated, trained if wanted."""
    again = bool(plan.reestimate)
    if x.all():
        network = plan.original.copy()
    else:
        network = _repaired(plan, x, biases=biases, norms=again)
        if plan.reestimate == HELD:
            other = _repaired(plan, x, biases=biases, norms=False)
            again = _held_loss(plan, network) <= _held_loss(plan, other)
            network = network if again else other
    note(plan.original, plan.groups, network, reestimated=again)
    if plan.finetune:
        surgery.finetune(network, plan.task, epochs=plan.finetune)
    return network.eval()


def _repaired(plan: Plan, x: Bits, *, biases: bool, norms: bool) -> nn.Module:
    """The network of the kept channels alone, repaired; `norms` re-estimates statistics."""
    network = surgery.shrink(plan.task.copy(), plan.groups, x)
    if plan.refit or biases:
        repair(network, x, task=plan.task, groups=plan.groups, weights=plan.refit, norms=norms)
    if norms:
        surgery.reestimate(network, plan.task.inputs)
    return network


def _held_loss(plan: Plan, network: nn.Module) -> float:
    return mean_loss(plan.task, network, plan.task.held_inputs, plan.task.held_targets)
