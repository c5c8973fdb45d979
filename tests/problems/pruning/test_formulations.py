"""The energies are the formulas, the capacity holds, and what comes back is the smaller network."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from coupled import denoising, each_network, task_of
from tiny import all_bits, mlp, mlp_task, network_task, one_thread, replay
from torch import nn

from qubopress import problems
from qubopress.problems import BlackBox, Capacity, InputError, Task, registry
from qubopress.problems.instances.capacity import of_removed
from qubopress.problems.networks import weights
from qubopress.problems.pruning import selection, surgery
from qubopress.problems.pruning.channels import magnitudes, mean_loss, measure
from qubopress.problems.pruning.groups import prunable, shares
from qubopress.problems.pruning.reconstruction import errors
from qubopress.problems.pruning.repair import repair
from qubopress.problems.pruning.selection import kept, normalised

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

FAMILY = ("hybrid", "joint-fisher", "l1", "reconstruction", "taylor")
each_problem = pytest.mark.parametrize("name", FAMILY)


def fixed_of(task: Task, importance: np.ndarray, least: int = 1) -> np.ndarray:
    """The channels (n,) that are no variables: the most important ones of each group."""
    fixed = np.zeros(len(importance), dtype=bool)
    for span in prunable(task).spans():
        fixed[span.start + np.argsort(-importance[span], kind="stable")[:least]] = True
    return fixed


def whole(x: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Which of all channels are kept when x says so of those that are free."""
    full = np.ones(len(fixed), dtype=np.int8)
    full[~fixed] = x
    return full


def same(one: nn.Module, two: nn.Module) -> bool:
    return weights.weights_checksum(one) == weights.weights_checksum(two)


def smaller(task: Task, x: np.ndarray) -> nn.Module:
    """The network of the kept channels with its norms re-estimated."""
    network = surgery.shrink(task.copy(), prunable(task), x)
    surgery.reestimate(network, task.inputs)
    return network


# ---- The energies


@each_network
@pytest.mark.parametrize(
    ("alpha", "beta", "over"), [(0.5, 0.1, "layer"), (0.0, 0.0, "global"), (1.0, 3.0, "layer")]
)
def test_the_hybrid_energy_is_the_formula(kind: str, alpha: float, beta: float, over: str) -> None:
    task = task_of(kind)
    groups = prunable(task)
    found = measure(task, groups)
    (capacity,), _ = replay("hybrid", task, alpha=alpha, beta=beta, normalise=over)
    importance = alpha * normalised(found.taylor, groups, over)
    importance += (1 - alpha) * normalised(found.fisher, groups, over)
    fixed = fixed_of(task, importance)
    for x in all_bits(capacity.n)[::3]:
        full = whole(x, fixed)
        energy = -sum(importance[i] for i in range(groups.total) if full[i])
        for i in range(groups.total):
            energy += beta * sum(
                found.similarity[i, j] * full[i] * full[j] for j in range(i + 1, groups.total)
            )
        assert capacity.loss(x) == pytest.approx(energy, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["taylor", "l1"])
@pytest.mark.parametrize("over", ["layer", "global"])
def test_a_linear_energy_is_minus_the_kept_importance_and_greedy_is_optimal(name: str, over: str) -> None:
    task = task_of("residual")
    groups = prunable(task)
    raw = measure(task, groups).taylor if name == "taylor" else magnitudes(task, groups)
    importance = np.array(raw)
    for span in groups.spans() if over == "layer" else [slice(None)]:
        importance[span] = raw[span] / np.mean(raw[span])
    (capacity,), _ = replay(name, task, keep=0.6, normalise=over)
    fixed = fixed_of(task, importance)
    for x in all_bits(capacity.n):
        expected = -float(importance[whole(x, fixed) == 1].sum())
        assert capacity.loss(x) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    best = min(capacity.loss(x) for x in all_bits(capacity.n) if capacity.violation(x) == 0)
    assert capacity.loss(capacity.baseline()) == pytest.approx(best)


@each_network
@pytest.mark.parametrize("gradient", [True, False])
def test_the_joint_fisher_energy_is_the_second_order_change_of_the_loss(kind: str, gradient: bool) -> None:
    task = task_of(kind)
    u = measure(task, prunable(task)).effects
    (capacity,), _ = replay("joint-fisher", task, gradient=gradient)
    slope = -u.mean(axis=0) if gradient else np.zeros(u.shape[1])
    curvature = 0.5 * u.T @ u / len(u)
    fixed = fixed_of(task, slope + 2 * curvature.sum(axis=1) - np.diag(curvature))
    for x in all_bits(capacity.n)[::3]:
        r = 1.0 - whole(x, fixed)
        expected = np.mean([0.5 * (sample @ r) ** 2 - (sample @ r if gradient else 0.0) for sample in u])
        assert capacity.loss(x) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@each_network
@pytest.mark.parametrize(("centred", "weight"), [(True, "balanced"), (False, "loss"), (True, "relative")])
def test_the_reconstruction_energy_is_the_error_form_of_the_removed(
    kind: str, centred: bool, weight: str
) -> None:
    task = task_of(kind)
    C = errors(task, prunable(task), centred=centred, weight=weight)
    (capacity,), _ = replay("reconstruction", task, centred=centred, weight=weight)
    fixed = fixed_of(task, 2 * C.sum(axis=1) - np.diag(C))
    for x in all_bits(capacity.n)[::3]:
        r = 1.0 - whole(x, fixed)
        assert capacity.loss(x) == pytest.approx(r @ C @ r, rel=1e-9, abs=1e-12)
    assert capacity.loss(np.ones(capacity.n)) == pytest.approx(0.0, abs=1e-12)


def test_a_form_of_the_removed_is_one_of_the_kept() -> None:
    rng = np.random.default_rng(0)
    linear, quadratic = rng.normal(size=5), rng.normal(size=(5, 5))
    quadratic += quadratic.T
    Q, offset = of_removed(linear, quadratic)
    for x in all_bits(5):
        r = 1.0 - x
        assert x @ Q @ x + offset == pytest.approx(linear @ r + r @ quadratic @ r, abs=1e-12)


def test_normalising_makes_means_one_and_leaves_zeros() -> None:
    groups = prunable(mlp_task())
    importance = np.array([0.0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
    by_layer = normalised(importance, groups, "layer")
    assert by_layer.tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 0.4, 0.8, 1.2, 1.6])
    assert normalised(importance, groups, "global").tolist() == pytest.approx(list(importance))
    assert importance[-1] == 4


# ---- The capacity


@each_problem
def test_filters_are_counted_exactly_those_that_stay_anyway_included(name: str) -> None:
    for keep, K in ((0.64, 6), (1.0, 10), (0.2, 2)):
        (capacity,), network = replay(name, mlp_task(), keep=keep)
        assert isinstance(capacity, Capacity)
        assert (capacity.K, capacity.exact, capacity.n) == (K - 2, True, 8)
        assert network[0].out_features + network[2].out_features == K


@each_problem
@pytest.mark.parametrize("unit", ["parameters", "products"])
def test_other_capacities_bound_what_the_kept_channels_cost(name: str, unit: str) -> None:
    task = task_of("conv")
    groups = prunable(task)
    costs = shares(task, groups, unit)
    answers = []

    def decide(_, instance):
        answers.append(instance.baseline())
        return answers[-1]

    (capacity,), network = replay(name, task, decide, keep=0.7, capacity=unit)
    assert (capacity.exact, capacity.n) == (False, groups.total - 2)
    spent = float(costs.sum() - capacity.costs.sum())
    assert abs(capacity.K - (0.7 * costs.sum() - spent)) < 1e-9 * costs.sum()
    assert 0 < float(capacity.costs @ answers[0]) <= capacity.K
    before, after = (surgery.measures(task, one)[unit] for one in (task.network, network))
    assert after < before


@each_problem
@pytest.mark.parametrize("least", [1, 2, 4])
def test_every_group_keeps_its_least_whatever_is_chosen(name: str, least: int) -> None:
    def nothing_of_the_first(_, instance):
        x = np.zeros(instance.n, np.int8)
        x[instance.n - int(instance.K) :] = 1
        return x

    (capacity,), network = replay(name, mlp_task(), nothing_of_the_first, keep=0.8, least=least)
    assert (capacity.n, capacity.K) == (10 - 2 * least, 8 - 2 * least)
    assert network[0].out_features >= least
    assert network[2].out_features >= least


@pytest.mark.parametrize(("share", "kept_of"), [(0.5, {4: 2, 6: 3}), (0.3, {4: 2, 6: 2})])
def test_every_group_keeps_at_least_a_share_of_its_own(share: float, kept_of: dict[int, int]) -> None:
    (capacity,), _ = replay("taylor", mlp_task(), keep=0.8, least=share)
    assert capacity.n == 10 - sum(kept_of.values())


def test_more_than_a_group_has_cannot_be_asked_of_it() -> None:
    (capacity,), network = replay("taylor", mlp_task(), keep=0.9, least=5)
    assert (capacity.n, network[2].out_features) == (1, 4)


def test_everything_may_be_kept_anyway() -> None:
    for unit in ("filters", "parameters"):
        (capacity,), network = replay("taylor", mlp_task(), keep=1.0, least=9, capacity=unit)
        assert capacity.n == 0
        assert same(network, mlp_task().network)


def test_the_most_important_channels_are_the_ones_that_stay() -> None:
    network = mlp(3, 4, 2)
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0] * 3, [2.0] * 3, [4.0] * 3, [3.0] * 3]))
    (capacity,), found = replay("l1", network_task(network, 3), keep=0.25)
    assert (capacity.n, capacity.K) == (3, 0)
    assert found[0].weight.tolist() == [[4.0] * 3]


def test_dead_channels_alone_have_no_importance_and_do_no_harm() -> None:
    network = mlp(3, 4, 2)
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    for name in FAMILY:
        (capacity,), found = replay(name, network_task(network, 3), keep=0.5)
        assert capacity.loss(capacity.baseline()) == 0.0
        assert found[0].out_features == 2


# ---- What comes back


@each_problem
@each_network
def test_the_network_that_comes_back_is_cut_to_what_was_kept(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind)
    groups, cuts, shrink = prunable(task), list[np.ndarray](), surgery.shrink
    monkeypatch.setattr(
        "qubopress.problems.pruning.surgery.shrink",
        lambda *given: cuts.append(given[2].copy()) or shrink(*given),
    )
    plain = {"refit": False, "centred": False} if name == "reconstruction" else {}
    (capacity,), network = replay(name, task, keep=0.6, **plain)
    (x,) = cuts
    assert x.sum() == round(0.6 * groups.total) == capacity.K + len(groups.groups)
    assert same(network, smaller(task, x))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count < sum(parameter.numel() for parameter in task.network.parameters())


def test_the_reconstructions_network_is_repaired_and_then_re_estimated() -> None:
    task = task_of("conv")
    groups = prunable(task)
    for refit in (True, False):
        answers: list[Any] = []

        def decide(_, instance, answers=answers):
            answers.append(instance.baseline())
            return answers[-1]

        _, network = replay("reconstruction", task, decide, keep=0.6, refit=refit)
        C = errors(task, groups, centred=True, weight="balanced")
        x = whole(answers[0], fixed_of(task, 2 * C.sum(axis=1) - np.diag(C)))
        expected = surgery.shrink(task.copy(), groups, x)
        repair(expected, x, task=task, groups=groups, weights=refit)
        surgery.reestimate(expected, task.inputs)
        assert same(network, expected)
        assert not same(network, smaller(task, x))


@each_problem
def test_each_formulation_refits_its_own_choice_and_chooses_as_without(name: str) -> None:
    task, answers, ends = task_of("conv"), list[Any](), list[nn.Module]()

    def decide(_, instance):
        answers.append((instance.qubo.Q, instance.baseline()))
        return answers[-1][1]

    for refit in (True, False):
        ends.append(replay(name, task, decide, keep=0.6, refit=refit)[1])
    for one, two in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, two)
    refitted, plain = (passed(one, task) for one in ends)
    wanted = passed(task.network, task)
    assert (refitted - wanted).pow(2).mean() < 0.9 * (plain - wanted).pow(2).mean()


def passed(network: nn.Module, task: Task) -> torch.Tensor:
    with torch.no_grad():
        return network(task.inputs)


@pytest.mark.parametrize("name", [name for name in FAMILY if name != "reconstruction"])
def test_instances_that_were_kept_before_there_was_a_refit_are_the_same_ones(name: str) -> None:
    formulation = registry.get(name)
    assert "refit" not in formulation.content(formulation.settings({}))
    assert formulation.content(formulation.settings({"refit": True}))["refit"] is True


def test_the_refit_brings_the_outputs_closer() -> None:
    task = network_task(mlp(6, 20, 16, 3), 6, samples=400)
    misses = []
    for parameters in ({"refit": False, "centred": False}, {"refit": False}, {"refit": True}):
        _, network = replay("reconstruction", task, keep=0.64, **parameters)
        with torch.no_grad():
            miss = (network(task.held_inputs) - task.network(task.held_inputs)).pow(2).mean()
        misses.append(float(miss))
    assert misses[2] < 0.8 * misses[0]
    assert misses[2] < 0.8 * misses[1]


@each_problem
def test_fine_tuning_lowers_the_calibration_loss(name: str) -> None:
    task = mlp_task()
    losses = []
    for epochs in (0, 20):
        _, network = replay(name, task, keep=0.5, finetune=epochs)
        assert not any(module.training for module in network.modules())
        losses.append(mean_loss(task, network, task.inputs, task.targets))
    assert losses[1] < losses[0]


@each_problem
def test_a_network_of_images_is_pruned_by_its_squared_error(name: str) -> None:
    task = denoising()
    seen, network = replay(name, task, keep=0.67, refine=2)
    with torch.no_grad():
        assert network(task.inputs).shape == task.targets.shape
    assert network[0].out_channels == 2
    assert isinstance(seen[1], BlackBox)


# ---- The refinement


@each_network
def test_the_refined_loss_is_that_of_the_smaller_network_on_held_out_samples(kind: str) -> None:
    task = task_of(kind)
    groups = prunable(task)
    (capacity, box), _ = replay("taylor", task, keep=0.6, refine=3)
    assert isinstance(box, BlackBox)
    fixed = fixed_of(task, normalised(measure(task, groups).taylor, groups, "layer"))
    x = capacity.baseline()
    places = least_certain(capacity, x, box.n)
    assert x[places].tolist() == box.start.tolist()
    for point in all_bits(box.n):
        changed = np.array(x)
        changed[places] = point
        network = smaller(task, whole(changed, fixed))
        expected = mean_loss(task, network, task.held_inputs, task.held_targets)
        assert box.loss(point) == pytest.approx(expected, rel=1e-4)


def least_certain(capacity: Capacity, x: np.ndarray, wanted: int) -> list[int]:
    """Those whose marginal energies lie nearest to the border between kept and removed."""
    slopes = [capacity.loss(with_bit(x, i, 1)) - capacity.loss(with_bit(x, i, 0)) for i in range(len(x))]
    sides = [[s for s, bit in zip(slopes, x, strict=True) if bit == side] for side in (1, 0)]
    border = (max(sides[0]) + min(sides[1])) / 2 if all(sides) else 0.0
    return sorted(np.argsort(np.abs(np.array(slopes) - border), kind="stable")[:wanted].tolist())


def with_bit(x: np.ndarray, i: int, bit: int) -> np.ndarray:
    return np.where(np.arange(len(x)) == i, bit, x)


@each_problem
def test_the_refinement_starts_at_the_first_stages_choice_and_keeps_as_many(name: str) -> None:
    task = mlp_task()
    (capacity, box), network = replay(name, task, keep=0.5, refine=10)
    np.testing.assert_array_equal(box.start, capacity.baseline())
    assert (box.n, box.K) == (8, 3)
    # The baseline of the second stage is its start, so that refining by it changes nothing.
    _, unrefined = replay(name, task, keep=0.5)
    assert same(network, unrefined)


def test_the_refined_choice_is_what_comes_back() -> None:
    task = mlp_task()

    def decide(stage, instance):
        return instance.baseline() if stage == 0 else instance.baseline()[::-1]

    (_, box), network = replay("taylor", task, decide, keep=0.5, refine=10)
    assert (box.start[::-1] != box.start).any()
    groups = prunable(task)
    fixed = fixed_of(task, normalised(measure(task, groups).taylor, groups, "layer"))
    assert same(network, smaller(task, whole(box.start[::-1], fixed)))


def test_under_another_capacity_the_refinement_may_keep_any_number_that_fits() -> None:
    task = task_of("residual")
    (capacity, box), _ = replay("taylor", task, keep=0.6, refine=3, capacity="parameters")
    assert box.K is None
    assert np.isfinite(box.loss(box.start))
    places, costs = least_certain(capacity, capacity.baseline(), box.n), capacity.costs
    room = capacity.K - float(costs @ capacity.baseline()) + float(costs[places] @ box.start)
    allowed = [float(costs[places] @ point) <= room + 1e-9 for point in all_bits(box.n)]
    assert np.isfinite(box.losses(all_bits(box.n))).tolist() == allowed
    assert len(set(allowed)) == 2


def test_evaluations_are_counted_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, box), _ = replay("hybrid", mlp_task(), keep=0.5, refine=4)
    calls: list[int] = []
    monkeypatch.setattr(
        "qubopress.problems.pruning.selection.mean_loss",
        lambda *arguments: calls.append(1) or mean_loss(*arguments),
    )
    first = box.losses(all_bits(4))
    assert (box.evaluations, len(calls)) == (16, 16)
    np.testing.assert_array_equal(box.losses(all_bits(4)), first)
    assert (box.evaluations, len(calls)) == (16, 16)


def test_the_least_certain_channels_lie_on_both_sides_of_the_border() -> None:
    (capacity, box), _ = replay("taylor", mlp_task(), keep=0.5, refine=2)
    order = np.argsort(capacity.qubo.linear)
    assert box.K == 1
    assert box.start.tolist() == capacity.baseline()[sorted(order[2:4])].tolist()


@pytest.mark.parametrize("keep", [1.0, 0.2])
def test_refinement_works_where_all_or_the_least_are_kept(keep: float) -> None:
    (_, box), _ = replay("hybrid", mlp_task(), keep=keep, refine=3)
    assert box.violation(box.start) == 0


# ---- What is refused


def never(*_: Any) -> Any:
    pytest.fail("a stage was begun")


@each_problem
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": 0}, r"keep must lie in \(0, 1\], got 0; 0.64 keeps 64 % of the channels"),
        ({"keep": -0.5}, r"keep must lie in \(0, 1\], got -0.5"),
        ({"keep": 1.5}, r"keep must lie in \(0, 1\], got 1.5"),
        ({"keep": 1.5, "capacity": "products"}, r"keep must lie in \(0, 1\], got 1.5"),
        ({"keep": np.nan}, "keep must be a finite number, got nan"),
        ({"keep": "half"}, "keep must be a finite number, got 'half'"),
        (
            {"keep": 0.1},
            "keep must leave 1 channel to each group, at least 0.2 of the filters, got 0.1",
        ),
        ({"keep": 0.5, "least": 3}, "keep must leave 3 channels to each group, at least 0.6 of the filters"),
        ({"keep": 0.001, "capacity": "parameters"}, "at least 0.* of the parameters, got 0.001; raise keep"),
        ({"least": 0}, "least must be an integer of at least 1, got 0"),
        ({"keep": 0.5, "least": 0.8}, "keep must leave 0.8 of the channels to each group, at least 0.9 of"),
        ({"least": -0.5}, "least must be an integer of at least 1, got -0.5"),
        ({"least": 1.5}, "least must be an integer of at least 1, got 1.5"),
        ({"capacity": "bytes"}, "capacity must be one of filters, parameters, products, got 'bytes'"),
        ({"capacity": None}, "capacity must be one of filters, parameters, products, got None"),
        ({"refine": -1}, r"refine must be an integer in \[0, 10\], got -1"),
        ({"refine": 11}, r"refine must be an integer in \[0, 10\], got 11"),
        ({"refine": True}, r"refine must be an integer in \[0, 10\], got True"),
        ({"refit": None}, "refit must be True or False, got None"),
        ({"finetune": -1}, "finetune must be an integer of at least 0, got -1"),
        ({"finetune": 0.5}, "finetune must be an integer of at least 0, got 0.5"),
        ({"reestimate": "held"}, "reestimate must be True, False or 'held-out', got 'held'"),
        ({"kep": 0.5}, "no parameter of .* named 'kep'; did you mean 'keep'"),
    ],
)
def test_a_parameter_outside_its_range_is_refused_before_anything_is_solved(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        replay(name, mlp_task(), never, **parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hybrid", {"alpha": -0.1}, r"alpha must lie in \[0, 1\], got -0.1"),
        ("hybrid", {"alpha": 1.1}, r"alpha must lie in \[0, 1\], got 1.1"),
        ("hybrid", {"alpha": None}, "alpha must be a finite number, got None"),
        ("hybrid", {"beta": -1}, "beta must not be negative, got -1"),
        ("hybrid", {"beta": np.inf}, "beta must be a finite number, got inf"),
        ("hybrid", {"normalise": "group"}, "normalise must be one of layer, global, got 'group'"),
        ("taylor", {"normalise": 1}, "normalise must be one of layer, global, got 1"),
        ("l1", {"normalise": ""}, "normalise must be one of layer, global, got ''"),
        ("joint-fisher", {"gradient": 1}, "gradient must be True or False, got 1"),
        ("reconstruction", {"centred": "yes"}, "centred must be True or False, got 'yes'"),
        ("reconstruction", {"weight": "l1"}, "weight must be one of relative, loss, balanced, got 'l1'"),
    ],
)
def test_a_parameter_of_its_own_outside_its_range_is_refused(
    name: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        replay(name, mlp_task(), never, **parameters)


def test_kept_is_the_nearest_number_and_at_least_one() -> None:
    assert [kept(fraction, 10) for fraction in (0.01, 0.14, 0.16, 0.64, 1)] == [1, 1, 2, 6, 10]


# ---- what all have in common


@each_problem
def test_every_formulation_has_the_parameters_of_a_plan_and_says_what_they_mean(name: str) -> None:
    found, shared = problems.get(name), inspect.signature(selection.plan).parameters
    wanted = [one for one in shared if one not in ("task", "normalise")]
    assert [one for one in found.defaults if one in wanted] == wanted
    text, common = inspect.getdoc(found.generate) or "", inspect.getdoc(selection.plan) or ""
    assert all(f"\n    {parameter}: " in text for parameter in found.defaults)
    assert next(line for line in common.splitlines() if line.startswith("    capacity: ")) in text


def test_a_registered_function_gains_the_way_to_a_network_and_keeps_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", {})

    @selection.pruning("first-channels", version=7, refit=True)
    def first_channels(plan: selection.Plan, *, slope: float = 1.0) -> selection.Energy:
        """Keep the first channels.

        Parameters:
            slope: of the worth over the channels.
            least: at least so many.
        """
        return selection.Energy(np.diag(slope * np.arange(plan.groups.total)))

    found = problems.get("first-channels")
    assert (found.family, found.version, dict(found.later)) == ("pruning", 7, {"reestimate": True})
    own = ["keep", "slope", "capacity", "least", "refine", "refit", "finetune", "reestimate"]
    assert list(found.defaults) == own
    assert found.defaults["refit"] is True
    text = inspect.getdoc(found.generate) or ""
    assert "\n    slope: of the worth over the channels.\n" in text
    assert "\n    least: at least so many.\n" in text
    task = problems.task_of("digits-cnn", calibration=20)
    instance = next(found.generate(task, slope=2.0))
    assert isinstance(instance, Capacity)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        next(found.generate(task, colour=1))


# ---- What a choice that removes nothing, and too few samples, change


@each_problem
def test_nothing_removed_changes_nothing(name: str) -> None:
    task = task_of("conv")
    (capacity,), network = replay(name, task, keep=1.0)
    assert capacity.n == capacity.K
    assert same(network, task.network)
    assert {fate.outcome for fate in task.ledger.fates.values()} == {"float"}


def statistics_of(network: nn.Module) -> list[torch.Tensor]:
    return [
        tensor for name, tensor in network.named_buffers() if name.endswith(("running_mean", "running_var"))
    ]


@each_problem
@pytest.mark.parametrize(("samples", "asked"), [(2, True), (16, False), (16, True)])
def test_statistics_are_re_estimated_on_enough_samples_and_where_wanted(
    name: str, samples: int, asked: bool
) -> None:
    task = task_of("conv")
    few = replace(task, inputs=task.inputs[:samples], targets=task.targets[:samples])
    plain = {"refit": False, "centred": False} if name == "reconstruction" else {}
    _, network = replay(name, few, keep=0.6, reestimate=asked, **plain)
    stays = torch.cat([one.flatten() for one in statistics_of(task.network)])
    found = torch.cat([one.flatten() for one in statistics_of(network)])
    kept = samples < surgery.ENOUGH or not asked
    assert bool(torch.isin(found, stays).all()) == kept


@each_problem
@pytest.mark.parametrize("spoilt", [False, True])
def test_statistics_stay_as_trained_where_held_out_samples_lose_by_others(name: str, spoilt: bool) -> None:
    task = task_of("conv")
    # Samples that are nothing like those held out make statistics that are nothing like theirs.
    task = replace(task, inputs=100 * task.inputs + 50) if spoilt else task
    ways = {way: replay(name, task, keep=0.6, reestimate=way)[1] for way in (True, False, "held-out")}
    loss = {way: mean_loss(task, one, task.held_inputs, task.held_targets) for way, one in ways.items()}
    assert loss["held-out"] == min(loss[True], loss[False])
    assert same(ways["held-out"], ways[loss[True] <= loss[False]])
    if spoilt:
        assert loss[False] < loss[True]


def test_only_a_task_with_a_loss_can_tell_whether_statistics_should_be_re_estimated() -> None:
    unlabelled = problems.own_task(mlp(5, 6, 4, 3), torch.ones(12, 5))
    with pytest.raises(InputError, match="criterion="):
        replay("l1", unlabelled, never, reestimate="held-out")


@each_problem
def test_instances_that_were_kept_before_there_was_a_switch_are_the_same_ones(name: str) -> None:
    formulation = registry.get(name)
    assert "reestimate" not in formulation.content(formulation.settings({}))
    assert formulation.content(formulation.settings({"reestimate": False}))["reestimate"] is False


def test_the_ledger_says_what_became_of_each_parameter() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))

    task = network_task(build(), 5)
    replay("l1", task, keep=0.5)
    fates = task.ledger.fates
    assert list(fates) == [name for name, _ in task.network.named_parameters()]
    assert {name for name, fate in fates.items() if fate.outcome == "pruned"} == {
        "2.weight",
        "2.bias",
        "4.weight",
    }
    assert fates["0.weight"].why.startswith("channels of layer 0 must mean nothing to later layers")
    assert fates["4.bias"].why == "its channels are inputs or outputs of the network, or are added to them"
    assert fates["0.weight"].numbers == 30


@each_problem
def test_targets_that_do_not_fit_are_refused_by_every_formulation_alike(name: str) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
    task = problems.own_task(network, (np.ones((8, 3), np.float32), np.arange(8)))
    with pytest.raises(InputError, match=r"targets must be classes \(N,\) of outputs \(N, classes\), got"):
        replay(name, task, keep=0.75)
