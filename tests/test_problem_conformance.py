"""Every registered formulation keeps the rules that solvers, suites and readers of records rely on.

Each runs end to end on two tiny networks, with the baseline as the answer to every stage. A family that needs
another kind of task adds it to `TASKS`; parameters worth a run of their own go into `SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import dimod
import numpy as np
import pytest
import torch
from tiny import all_bits, cnn, mlp_task, network_task, one_thread
from torch import nn

from qubopress import problems
from qubopress.problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding, Task, networks

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

TASKS: dict[str, Callable[[], Task]] = {
    "dense": mlp_task,
    "conv": lambda: network_task(cnn(), 1, 4, 4),
}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "adaround": [{"bits": 2, "grid": "code"}, {"clip_aware": False}, {"sequential": True, "block": 2}],
    "hybrid": [{"refine": 4}],
    "taylor": [{"refine": 4, "keep": 0.5}],
}
SMALL = 12
"""Most variables that are enumerated."""

CASES = [
    pytest.param(name, settings, task, id=f"{name}-{','.join(settings) or 'defaults'}-{task}")
    for name in problems.names()
    for settings in [{}, *SETTINGS.get(name, [])]
    for task in TASKS
]
each_case = pytest.mark.parametrize(("name", "settings", "task"), CASES)


def run(name: str, settings: dict[str, Any], task: Task) -> tuple[list[Instance], nn.Module]:
    """The instances of all stages and the network at the end."""
    seen: list[Instance] = []

    def decide(_: int, instance: Instance) -> Any:
        seen.append(instance)
        return instance.baseline()

    return seen, problems.drive(problems.get(name), task, settings, decide)


@cache
def task_of(kind: str) -> Task:
    return TASKS[kind]()


@each_case
def test_the_baseline_is_a_feasible_solution(name, settings, task) -> None:
    instances, _ = run(name, settings, task_of(task))
    assert instances
    for instance in instances:
        x = instance.baseline()
        assert x.shape == instance.shape
        assert x.dtype == np.int8
        assert instance.violation(x) == 0
        assert np.isfinite(instance.loss(x))


@each_case
def test_the_ground_state_is_feasible_and_loss_optimal(name, settings, task) -> None:
    instances, _ = run(name, settings, task_of(task))
    assert sum(check_ground_state(instance) for instance in instances) > 0


def check_ground_state(instance: Instance) -> bool:
    """Compare the ground state with enumeration; False where there is too much to enumerate."""
    if isinstance(instance, Rounding):
        return check_rows(instance)
    if instance.n > SMALL:
        return False
    points = all_bits(instance.n)
    feasible = points[[instance.violation(x) == 0 for x in points]]
    losses = instance.losses(feasible)
    x = ground_state(instance, feasible, losses)
    assert instance.violation(x) == 0
    assert instance.loss(x) == pytest.approx(losses.min(), abs=instance.resolution)
    assert instance.loss(instance.baseline()) >= losses.min() - instance.resolution
    return True


def ground_state(instance: Instance, feasible: np.ndarray, losses: np.ndarray) -> np.ndarray:
    if isinstance(instance, BlackBox):
        return feasible[losses.argmin()]
    penalty = 1.0 + float(abs(instance.Q).sum())
    exact = isinstance(instance, Capacity) and instance.exact
    bqm = instance.to_bqm(penalty=penalty) if exact else instance.to_bqm()
    if isinstance(instance, Qubo) or exact:
        sample = dimod.ExactSolver().sample(bqm).first.sample
        return np.array([sample[i] for i in range(instance.n)])
    return feasible[bqm.energies((feasible, range(instance.n))).argmin()]


def check_rows(rounding: Rounding) -> bool:
    """Each neuron of at most 12 bits by ExactSolver, against its losses on every assignment."""
    best, checked = rounding.baseline(), False
    for i in range(rounding.n):
        row = rounding.row(i)
        if not 0 < row.qubo.n <= SMALL:
            continue
        sample = dimod.ExactSolver().sample(rounding.to_bqm(row=i)).first
        best[i] = row.decode([sample.sample[label] for label in row.labels])
        every = np.array([row.decode(bits) for bits in all_bits(row.qubo.n)])
        tried = np.repeat(best[None], len(every), axis=0)
        tried[:, i] = every
        lowest = min(rounding.row_losses(x)[i] for x in tried)
        assert rounding.row_losses(best)[i] == pytest.approx(lowest, abs=rounding.resolution)
        assert sample.energy == pytest.approx(lowest, abs=rounding.resolution)
        checked = True
    assert rounding.violation(best) == 0
    assert rounding.loss(best) <= rounding.loss(rounding.baseline()) + rounding.resolution
    return checked


@each_case
def test_the_network_and_the_data_stay_as_they_were(name, settings, task) -> None:
    given = task_of(task)
    before = networks.weights_checksum(given.network)
    tensors = [t.clone() for t in (given.inputs, given.targets, given.held_inputs, given.held_targets)]
    _, compressed = run(name, settings, given)
    assert networks.weights_checksum(given.network) == before
    after = (given.inputs, given.targets, given.held_inputs, given.held_targets)
    assert all(torch.equal(a, b) for a, b in zip(tensors, after, strict=True))
    assert not any(parameter.grad is not None for parameter in given.network.parameters())
    assert not any(module._forward_hooks for module in (*given.network.modules(), *compressed.modules()))
    shared = {t.data_ptr() for t in given.network.parameters()} & {
        t.data_ptr() for t in compressed.parameters()
    }
    assert not shared


@each_case
def test_the_same_parameters_give_the_same_instances(name, settings, task) -> None:
    first, second = (run(name, settings, TASKS[task]())[0] for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert fingerprint(a) == fingerprint(b)


def fingerprint(instance: Instance) -> list[Any]:
    """Everything that an instance is made of."""
    if isinstance(instance, BlackBox):
        return [instance.n, instance.K, instance.start.tolist(), instance.loss(instance.start)]
    names = ("gram", "shift", "scale", "levels", "fixed", "Q", "offset", "costs", "K")
    found = {name: getattr(instance, name) for name in names if hasattr(instance, name)}
    return [(name, np.asarray(value).tolist()) for name, value in found.items()]


@each_case
def test_the_end_is_a_network_in_eval_mode_with_finite_outputs(name, settings, task) -> None:
    given = task_of(task)
    _, compressed = run(name, settings, given)
    assert isinstance(compressed, nn.Module)
    assert not any(module.training for module in compressed.modules())
    with torch.no_grad():
        wanted, got = given.network(given.inputs), compressed(given.inputs)
    assert got.shape == wanted.shape
    assert torch.isfinite(got).all()


@each_case
def test_every_stage_refuses_what_is_no_solution(name, settings, task) -> None:
    for instance in run(name, settings, task_of(task))[0]:
        with pytest.raises(InputError, match="bits must"):
            instance.loss(np.full(instance.shape, 0.5))
        with pytest.raises(InputError, match="bits must have shape"):
            instance.violation(np.zeros((1, 1, 1)))


@pytest.mark.parametrize("name", problems.names())
def test_an_unknown_parameter_is_refused_in_one_line(name) -> None:
    with pytest.raises(InputError, match=f"no parameter of {name} named 'colour'; ") as caught:
        run(name, {"colour": "red"}, task_of("dense"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", problems.names())
def test_a_problem_says_what_it_is(name) -> None:
    found = problems.get(name)
    assert found.summary.endswith(".")
    assert found.family
    assert found.version >= 1
    for parameter in found.defaults:
        assert f"{parameter}: " in (found.generate.__doc__ or ""), f"{parameter} of {name} is not described"
