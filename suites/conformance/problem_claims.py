"""What holds for every formulation, claim by claim; solvers, suites and readers of records rely on it.

Each claim runs the formulation end to end on a tiny network, with the baseline as the answer to every stage.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dimod
import numpy as np
import torch
from torch import nn

from ... import problems
from ...problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding, Task
from ...problems.arrays import Bits
from ...problems.errors import one_line
from ...problems.networks import weights
from .claim import Broken, Claim, Undecided, claims, must
from .specimens import TASKS, all_bits, random_solution

__all__ = ["CLAIMS", "Case", "every_task", "instances_of", "taken"]

SMALL = 12
"""Most variables that are enumerated."""

DRAWS = 30
"""Random solutions on which two ways to the same loss are compared."""

CLAIMS: list[Claim] = []
"""Every claim about a formulation, in the order in which they are checked."""


# ---- the cases of a formulation


@dataclass(frozen=True, eq=False)
class Case:
    """A task to compress and the parameters that differ from the defaults; `kind` says which task it is."""

    kind: str
    task: Callable[[], Task]
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.kind


def every_task(name: str) -> list[Case]:
    """The tiny networks, or a task without any for a formulation that needs none."""
    if not problems.get(name).network:
        return [Case("no network", problems.bare_task)]
    return [Case(kind, make) for kind, make in TASKS.items()]


def taken(name: str) -> list[Case]:
    """Those that the formulation takes."""
    return [case for case in every_task(name) if not _refusals(name)[case.kind]]


def itself(name: str) -> list[str]:
    """One case: what is said of the formulation without running it."""
    return [name]


@functools.cache
def _refusals(name: str) -> dict[str, str]:
    """Why the formulation does not run on a task, "" where it does."""
    found = {}
    for case in every_task(name):
        try:
            run(name, case)
            found[case.kind] = ""
        except Exception as error:  # a stranger's formulation may raise anything
            found[case.kind] = one_line(error)
    return found


def run(
    name: str, case: Case, answer: Callable[[Instance], Bits] | None = None
) -> tuple[list[Instance], nn.Module]:
    """The instances of all stages and the network at the end; the baseline answers unless told otherwise."""
    seen: list[Instance] = []

    def decide(_: int, instance: Instance) -> Bits:
        seen.append(instance)
        return instance.baseline() if answer is None else answer(instance)

    return seen, problems.drive(problems.get(name), case.task(), case.settings, decide)


def instances_of(name: str, case: Case) -> list[Instance]:
    """The instances of all stages; Broken where there is none."""
    seen, _ = run(name, case)
    must(seen, "a formulation must yield an instance, got none")
    return seen


# ---- from end to end


@claims(CLAIMS, every_task)
def it_runs_to_the_end(name: str, case: Case) -> None:
    """On one of the tiny networks at least."""
    reason = _refusals(name)[case.kind]
    if not reason:
        return
    if taken(name):
        raise Undecided(f"not taken: {reason}")
    raise Broken(reason)


@claims(CLAIMS, taken)
def the_end_is_a_network_in_eval_mode_with_finite_outputs(name: str, case: Case) -> None:
    """Outputs of the shape that the network had."""
    given = case.task()
    _, compressed = run(name, case)
    training = any(module.training for module in compressed.modules())
    must(not training, "the network must be in eval mode; begin with task.copy()")
    with torch.no_grad():
        wanted, got = given.network(given.inputs), compressed(given.inputs)
    must(got.shape == wanted.shape, f"outputs must have shape {tuple(wanted.shape)}, got {tuple(got.shape)}")
    must(torch.isfinite(got).all(), "outputs of the network must be finite")


@claims(CLAIMS, taken)
def the_network_and_the_data_stay_as_they_were(name: str, case: Case) -> None:
    """Nothing is changed in place, shared or left hooked."""
    given = case.task()
    before = weights.weights_checksum(given.network)
    samples = (given.inputs, given.targets, given.held_inputs, given.held_targets)
    data = [tensor for tensor in samples if isinstance(tensor, torch.Tensor)]
    copies = [tensor.clone() for tensor in data]
    _, compressed = run(name, Case(case.kind, lambda: given, case.settings))
    cure = "work on task.copy()"
    must(weights.weights_checksum(given.network) == before, f"the given network was changed; {cure}")
    must(all(map(torch.equal, copies, data)), "the samples of the task were changed; work on a clone")
    graded = any(parameter.grad is not None for parameter in given.network.parameters())
    must(not graded, f"the given network was left with gradients; {cure}")
    modules = (*given.network.modules(), *compressed.modules())
    must(not any(module._forward_hooks for module in modules), "a forward hook was left on a network")
    # Empty parameters lie nowhere, which is no place to share.
    ours, theirs = (
        {tensor.data_ptr() for tensor in one.parameters() if tensor.numel()}
        for one in (given.network, compressed)
    )
    must(not ours & theirs, f"the compressed network shares parameters with the given one; {cure}")


@claims(CLAIMS, taken)
def the_same_parameters_give_the_same_instances(name: str, case: Case) -> None:
    """To the last bit, on a task made anew."""
    first, second = (run(name, case)[0] for _ in range(2))
    must(len(first) == len(second), f"{len(first)} stages, then {len(second)}")
    same = all(_fingerprint(a) == _fingerprint(b) for a, b in zip(first, second, strict=True))
    must(same, "another instance from the same parameters; draw from a generator seeded by a parameter")


@claims(CLAIMS, taken)
def the_number_of_stages_depends_on_no_answer(name: str, case: Case) -> None:
    """The harness shares the budget among the stages that it met with the baseline."""
    expected = len(instances_of(name, case))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        seen, _ = run(name, case, functools.partial(random_solution, rng=rng))
        must(len(seen) == expected, f"{expected} stages with the baseline, {len(seen)} with random solutions")


@claims(CLAIMS, taken)
def the_same_answers_give_the_same_network(name: str, case: Case) -> None:
    """To the last bit, whatever the global seeds are: the metric of stored bits is recomputed from them."""
    for seed in range(2):
        first, second = (_decoded(name, case, seed, world) for world in (1, 2))
        cure = "decode from the bits alone"
        must(first.keys() == second.keys(), f"the same bits gave networks of other parts; {cure}")
        odd = next((key for key in first if not torch.equal(first[key], second[key])), None)
        must(odd is None, f"the same bits gave another {odd} of the network; {cure}")


def _decoded(name: str, case: Case, seed: int, world: int) -> dict[str, torch.Tensor]:
    """The parts of the network that random answers give, under global seeds of their own."""
    rng = np.random.default_rng(seed)
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(world)
        np.random.seed(world)  # noqa: NPY002 - what a decode may wrongly draw from
        try:
            _, network = run(name, case, functools.partial(random_solution, rng=rng))
        finally:
            np.random.set_state(state)  # noqa: NPY002
    return dict(network.state_dict())


# ---- each instance


@claims(CLAIMS, taken)
def the_baseline_is_a_feasible_solution(name: str, case: Case) -> None:
    """Of the instance's shape, with a finite loss."""
    for instance in instances_of(name, case):
        x = instance.baseline()
        must(x.shape == instance.shape, f"the baseline must have shape {instance.shape}, got {x.shape}")
        must(x.dtype == np.int8, f"the baseline must be int8, got {x.dtype}")
        must(instance.violation(x) == 0, f"the baseline has a violation of {instance.violation(x):g}")
        must(np.isfinite(instance.loss(x)), f"the baseline's loss must be finite, got {instance.loss(x)}")


@claims(CLAIMS, taken)
def the_ground_state_is_feasible_and_loss_optimal(name: str, case: Case) -> None:
    """By enumeration of stages and neurons of at most 12 bits: the model's minimum is the lowest loss."""
    if not sum(_check_ground_state(instance) for instance in instances_of(name, case)):
        raise Undecided(f"no stage has at most {SMALL} variables, so none is enumerated")


@claims(CLAIMS, taken)
def decode_undoes_encode(name: str, case: Case) -> None:
    """A layer's neurons as bits and back, on random solutions."""
    layers = [one for one in instances_of(name, case) if isinstance(one, Rounding)]
    if not layers:
        raise Undecided("no stage is a Rounding, and other shapes need no decoding")
    rng = np.random.default_rng(0)
    for layer in layers:
        x = random_solution(layer, rng)
        for i in range(layer.n):
            row = layer.row(i)
            must(np.array_equal(row.decode(row.encode(x[i])), x[i]), f"neuron {i} comes back as another")


@claims(CLAIMS, taken)
def the_loss_is_the_same_by_every_way(name: str, case: Case) -> None:
    """One by one, all at once, and as the energy of the dimod model, on random solutions."""
    rng = np.random.default_rng(0)
    for instance in instances_of(name, case):
        drawn = np.array([random_solution(instance, rng) for _ in range(DRAWS)])
        single, batch = np.array([instance.loss(x) for x in drawn]), instance.losses(drawn)
        within = 2 * instance.resolution
        must(
            np.allclose(single, batch, rtol=1e-9, atol=within),
            "losses of many solutions must be those of each",
        )
        energies = _energies(instance, drawn)
        must(np.allclose(single, energies, rtol=1e-9, atol=within), "the energy of to_bqm() must be the loss")


@claims(CLAIMS, taken)
def every_stage_refuses_what_is_no_solution(name: str, case: Case) -> None:
    """Halves, and another shape, in a line that says what bits must be."""
    for instance in instances_of(name, case):
        _refused("bits must", instance.loss, np.full(instance.shape, 0.5))
        _refused("bits must have shape", instance.violation, np.zeros((1, 1, 1)))


# ---- what it says of itself


@claims(CLAIMS, itself)
def an_unknown_parameter_is_refused_in_one_line(name: str, _: object) -> None:
    """With the name of the formulation."""
    text = f"no parameter of {name} named 'colour'; "
    _refused(text, problems.get(name).settings, {"colour": "red"})


@claims(CLAIMS, itself)
def a_problem_says_what_it_is(name: str, _: object) -> None:
    """A sentence, a family, a version, and a line for each parameter."""
    found = problems.get(name)
    must(
        found.summary.endswith("."), f"the docstring must open with a sentence in one line: {found.summary!r}"
    )
    must(found.family, "family must not be empty")
    must(found.version >= 1, f"version must be 1 or more, got {found.version}")
    for parameter in found.defaults:
        described = f"{parameter}: " in (found.generate.__doc__ or "")
        must(described, f"the docstring must describe the parameter, as `{parameter}: ...`")


# ---- helpers


def _refused(text: str, function: Callable[[Any], object], argument: Any) -> None:
    """Broken unless the call raises InputError in one line that holds the text."""
    try:
        function(argument)
    except InputError as error:
        must(text in str(error) and "\n" not in str(error), f"must be refused with {text!r}, got {error}")
        return
    raise Broken(f"must be refused with {text!r}, got no error")


def _check_ground_state(instance: Instance) -> bool:
    """Compare the ground state with enumeration; False where there is too much to enumerate."""
    if isinstance(instance, Rounding):
        return _check_rows(instance)
    if instance.n > SMALL:
        return False
    points = all_bits(instance.n)
    feasible = points[[instance.violation(x) == 0 for x in points]]
    losses = instance.losses(feasible)
    x = _ground_state(instance, feasible, losses)
    lowest = float(losses.min())
    must(instance.violation(x) == 0, f"the ground state has a violation of {instance.violation(x):g}")
    _must_equal(instance.loss(x), lowest, instance.resolution)
    below = instance.loss(instance.baseline()) < lowest - instance.resolution
    must(not below, f"the baseline lies below the lowest loss {lowest}")
    return True


def _ground_state(instance: Qubo | Capacity | BlackBox, feasible: Bits, losses: Any) -> Bits:
    if isinstance(instance, BlackBox):
        return np.asarray(feasible[losses.argmin()])
    penalty: dict[str, Any] = {"penalty": 1.0 + float(abs(instance.Q).sum())} if instance.exact else {}
    bqm = instance.to_bqm(**penalty)
    if instance.K is None or instance.exact:
        sample = _lowest(bqm).sample
        return np.array([sample[i] for i in range(instance.n)], dtype=np.int8)
    return np.asarray(feasible[bqm.energies((feasible, range(instance.n))).argmin()])


def _lowest(bqm: dimod.BinaryQuadraticModel) -> Any:
    """The sample of the lowest energy, by dimod's own enumeration."""
    solver: Any = dimod.ExactSolver
    return solver().sample(bqm).first


def _check_rows(rounding: Rounding) -> bool:
    """Each neuron of at most 12 bits by ExactSolver, against its losses on every assignment."""
    best, checked = rounding.baseline(), False
    for i in range(rounding.n):
        row = rounding.row(i)
        if not 0 < row.qubo.n <= SMALL:
            continue
        sample = _lowest(rounding.to_bqm(row=i))
        best[i] = row.decode([sample.sample[label] for label in row.labels])
        every = np.array([row.decode(bits) for bits in all_bits(row.qubo.n)])
        tried = np.repeat(best[None], len(every), axis=0)
        tried[:, i] = every
        lowest = min(rounding.row_losses(x)[i] for x in tried)
        _must_equal(rounding.row_losses(best)[i], lowest, rounding.resolution)
        _must_equal(sample.energy, lowest, rounding.resolution)
        checked = True
    must(rounding.violation(best) == 0, f"the ground state has a violation of {rounding.violation(best):g}")
    above = rounding.loss(best) > rounding.loss(rounding.baseline()) + rounding.resolution
    must(not above, "the ground state must not lie above the baseline")
    return checked


def _must_equal(loss: float, lowest: float, resolution: float) -> None:
    same = math.isclose(loss, lowest, rel_tol=1e-6, abs_tol=resolution)
    must(same, f"the ground state has loss {loss}, the lowest of all is {lowest}")


def _energies(instance: Instance, drawn: Bits) -> Any:
    """Energies of solutions in the dimod model of the instance; a black box has its losses instead."""
    if isinstance(instance, BlackBox):
        return instance.losses(drawn)
    if not isinstance(instance, Rounding):
        return instance.to_bqm().energies((drawn, range(instance.n)))
    rows = [instance.row(i) for i in range(instance.n)]
    models = [instance.to_bqm(row=i) for i in range(instance.n)]
    total = np.zeros(len(drawn))
    for i, (row, model) in enumerate(zip(rows, models, strict=True)):
        bits = np.array([row.encode(x[i]) for x in drawn])
        total += model.energies((bits, row.labels))
    return total


def _fingerprint(instance: Instance) -> list[Any]:
    """Everything that an instance is made of."""
    parts = [(name, np.asarray(value).tolist()) for name, value in instance.content().items()]
    return [*parts, instance.loss(instance.baseline())]
