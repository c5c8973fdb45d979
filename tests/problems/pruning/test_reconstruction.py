"""The quadratic form is the error that masking makes at a taker, and the repair makes the least of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from coupled import IMAGE, each_network, half, task_of
from tiny import all_bits, lively, mlp, mlp_task, network_task, one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems import InputError, Task, own_task
from qubopress.problems.layers.inputs import hooked
from qubopress.problems.pruning import surgery
from qubopress.problems.pruning.grams import grams_of_inputs
from qubopress.problems.pruning.groups import Groups, prunable
from qubopress.problems.pruning.reconstruction import WEIGHTS, contributions, errors, sensitivities
from qubopress.problems.pruning.repair import RIDGES, repair

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

each_weight = pytest.mark.parametrize("weight", WEIGHTS)


def passing(network: nn.Module, name: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What reaches a layer and what it puts out."""
    seen = []
    with hooked({network.get_submodule(name): lambda _, given, made: seen.append((given[0], made))}):
        network(inputs)
    return seen[0][0].detach(), seen[0][1].detach()


def measured(
    task: Task, groups: Groups, r: np.ndarray, felt: dict[str, np.ndarray], *, centred: bool
) -> float:
    """Squared error of each taker when the removed of its inputs are zeroed, one taker at a time.

    Weighted by what is felt at its outputs, relative where there is nothing.
    """
    total = 0.0
    for name, variables in groups.inputs.items():
        layer = task.network.get_submodule(name)
        reaching, whole = passing(task.network, name, task.inputs)
        gone = torch.from_numpy((variables >= 0) & (r[variables] == 1))
        left = reaching * (~gone).reshape(-1, *[1] * (reaching.dim() - 2))
        with torch.no_grad():
            scale, error = whole - layer(torch.zeros_like(reaching)), whole - layer(left)
        if not felt:
            total += power(error, centred=centred).sum() / power(scale, centred=centred).sum()
        else:
            total += 0.5 * felt[name] @ power(error, centred=centred)
    return total


def power(z: Tensor, *, centred: bool) -> np.ndarray:
    """Mean square over samples and positions of each of (N, outputs, ...), of its deviation where centred."""
    rows = z.double().movedim(1, -1).reshape(-1, z.shape[1])
    return (rows - (rows.mean(dim=0) if centred else 0.0)).pow(2).mean(dim=0).numpy()


@each_network
@pytest.mark.parametrize("weight", ["relative", "loss"])
@pytest.mark.parametrize("centred", [False, True])
def test_the_form_is_the_error_measured_at_the_takers_for_every_removed_set(
    kind: str, weight: str, centred: bool
) -> None:
    task = task_of(kind, double=True)
    groups = prunable(task)
    C = errors(task, groups, centred=centred, weight=weight)
    felt = sensitivities(task, groups) if weight == "loss" else {}
    np.testing.assert_array_equal(C, C.T)
    every = all_bits(groups.total)
    for r in every[:: max(1, len(every) // 128)]:
        expected = measured(task, groups, r, felt, centred=centred)
        assert r @ C @ r == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_in_a_network_of_one_group_it_is_the_error_of_the_masked_network() -> None:
    task = network_task(mlp(4, 7, 3).double(), 4, samples=40)
    groups = prunable(task)
    C, masked = errors(task, groups, centred=False, weight="relative"), task.copy()
    with torch.no_grad():
        whole = task.network(task.inputs)
        scale = whole - task.network[2].bias
        for x in all_bits(groups.total):
            surgery.mask(masked, groups, x, original=task.network)
            error = float((masked(task.inputs) - whole).pow(2).sum() / scale.pow(2).sum())
            r = 1 - x
            assert r @ C @ r == pytest.approx(error, rel=1e-9, abs=1e-12)


def test_channels_that_one_layer_reads_together_interact_across_groups() -> None:
    task = task_of("joined")
    groups = prunable(task)
    C = errors(task, groups, centred=True, weight="relative")
    left, right, both = groups.spans()
    assert np.abs(C[left, right]).min() > 0
    assert (C[left, both] == 0).all()


def test_what_nothing_can_remove_counts_in_the_scale_alone() -> None:
    task = task_of("joined")
    groups = prunable(task)
    whole = contributions(task, "both", centred=True)
    assert whole.shape == (6, 6)
    C = errors(task, groups, centred=True, weight="relative")
    np.testing.assert_allclose(C[:2, :2], whole[:2, :2] / whole.sum())
    np.testing.assert_allclose(C[2:5, 2:5], whole[3:, 3:] / whole.sum())


@each_weight
def test_a_taker_that_reads_nothing_but_zeros_counts_for_nothing(weight: str) -> None:
    network = mlp(3, 4, 5, 2)
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    task = network_task(network, 3)
    C = errors(task, prunable(task), centred=False, weight=weight)
    assert (C[:4, :4] == 0).all()
    assert np.isfinite(C).all()


class Padding(nn.Conv2d):
    """Pads by itself, which its own `padding` does not tell."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(functional.pad(x, (0, 1, 0, 1), value=0.5), self.weight, self.bias)


class Spread(nn.Module):
    """Layers of other kinds, the reader called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv1d(1, 4, 3), nn.ConvTranspose1d(4, 3, 3, stride=2, dilation=2)
        self.deep, self.head = nn.Conv3d(3, 4, 2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.two(torch.relu(self.one(x.flatten(2)))))
        x = torch.relu(self.deep(x[..., :20].unflatten(2, (5, 2, 2))))
        return self.head(input=x.mean(dim=(2, 3, 4)))


def layered(taker: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), taker, nn.Flatten(), nn.LazyLinear(2))


KINDS = {
    "reflect": lambda: layered(nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")),
    "circular": lambda: layered(nn.Conv2d(3, 2, (2, 3), padding="same", padding_mode="circular")),
    "padding itself": lambda: layered(Padding(3, 2, 2)),
    "other dimensions": Spread,
}

each_kind = pytest.mark.parametrize("kind", KINDS)


def kind_task(kind: str) -> Task:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = KINDS[kind]().double()
        x = torch.randn(24, *((1, 12) if kind == "other dimensions" else IMAGE)).double()
        network(x)
        return own_task(network.eval(), (x, network(x).detach() + 0.1))


@each_kind
def test_a_taker_of_any_kind_is_measured_on_what_its_product_receives(kind: str) -> None:
    task = kind_task(kind)
    groups = prunable(task)
    C = errors(task, groups, centred=False, weight="relative")
    for r in all_bits(groups.total)[:: max(1, 2**groups.total // 32)]:
        total = 0.0
        for name, variables in groups.inputs.items():
            layer = task.network.get_submodule(name)
            gone = torch.from_numpy((variables >= 0) & (r[variables] == 1))
            whole, left, nothing = (outputs_without(task, layer, cut) for cut in (None, gone, gone | True))
            total += float((whole - left).pow(2).sum() / (whole - nothing).pow(2).sum())
        assert r @ C @ r == pytest.approx(total, rel=1e-9, abs=1e-12)


def outputs_without(task: Task, layer: nn.Module, gone: Tensor | None) -> Tensor:
    """What a layer puts out when it multiplies some of its inputs by weights of zero."""
    seen, whole = [], layer.get_parameter("weight").data
    axis = 0 if getattr(layer, "transposed", False) else 1
    if gone is not None:
        keep = (~gone).reshape(*[-1 if place == axis else 1 for place in range(whole.dim())])
        layer.weight.data = whole * keep
    with hooked({layer: lambda _, __, made: seen.append(made)}), torch.no_grad():
        task.network(task.inputs)
    layer.weight.data = whole
    return seen[0]


@each_kind
def test_the_repair_makes_the_least_of_it_at_a_taker_of_any_kind(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qubopress.problems.pruning.repair.RIDGES", (1e-9,))
    task = kind_task(kind)
    groups = prunable(task)
    x = np.ones(groups.total, dtype=np.int8)
    x[0] = 0  # of the first group alone, so that what reaches its taker is the original's, but for one
    network = surgery.shrink(task.copy(), groups, x).eval()
    name = groups.groups[0].takers[0].name
    before, slope = distance(network, task, name), slope_of(network, task, name)
    repair(network, x, task=task, groups=groups, weights=True)
    assert distance(network, task, name) < before
    assert slope_of(network, task, name) < 1e-5 * slope


def distance(network: nn.Module, task: Task, name: str) -> float:
    """Mean squared difference of what a layer puts out from the original's."""
    return float(missing(network, task, name).detach().pow(2).mean())


def slope_of(network: nn.Module, task: Task, name: str) -> float:
    """The greatest slope of that by a weight of the layer."""
    weight = network.get_submodule(name).get_parameter("weight").requires_grad_(True)
    (slope,) = torch.autograd.grad(missing(network, task, name).pow(2).mean(), weight)
    return float(slope.abs().max())


def missing(network: nn.Module, task: Task, name: str) -> Tensor:
    """What a layer of the network puts out, less what the original's does."""
    seen: list[Tensor] = []
    for one in (network, task.network):
        with hooked({one.get_submodule(name): lambda _, __, made: seen.append(made)}):
            one(task.inputs)
    return seen[0] - seen[1]


class Standardised(nn.Linear):
    """Multiplies by another weight than its own."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight / self.weight.std(), self.bias)


def test_a_taker_that_makes_another_weight_of_its_own_is_refused() -> None:
    task = network_task(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), Standardised(3, 2)), 4)
    with pytest.raises(InputError, match="layer 2 must multiply by its own weight, got none: only std takes"):
        list(grams_of_inputs(task.network, ["2"], task.inputs))


# ---- what the loss feels


@each_network
def test_sensitivities_are_squared_slopes_at_what_takers_put_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind, double=True)
    groups = prunable(task)
    always = "qubopress.problems.pruning.reconstruction._drawn"
    monkeypatch.setattr(always, lambda outputs, *_, **__: torch.zeros(len(outputs), dtype=torch.long))
    found = sensitivities(task, groups)
    assert set(found) == set(groups.inputs)
    for name, squares in found.items():
        # A bias reaches every position: here the slope by each position alone, from a whole pass of its own.
        expected = [slopes_of(task, name, sample) for sample in task.inputs]
        np.testing.assert_allclose(squares, np.mean(expected, axis=0), rtol=1e-9, atol=1e-15)


def slopes_of(task: Task, name: str, sample: Tensor) -> np.ndarray:
    """Σ_positions (∂L/∂z)² of each output of a layer, for class 0, by central differences."""
    layer = task.network.get_submodule(name)
    _, output = passing(task.network, name, sample[None])
    squares = np.zeros(output.shape[1])
    for place in np.ndindex(*output.shape[1:]):
        losses = []
        for step in (1e-5, -1e-5):
            nudge = torch.zeros_like(output)
            nudge[(0, *place)] = step
            with hooked({layer: lambda _, __, z, by=nudge: z + by}), torch.no_grad():
                losses.append(float(task.criterion(task.network(sample[None]), torch.tensor([0]))))
        squares[place[0]] += ((losses[0] - losses[1]) / 2e-5) ** 2
    return squares


def test_a_form_in_units_of_the_loss_is_its_rise_at_the_output_of_images() -> None:
    # The loss is quadratic in the outputs, so that only the draws separate the two.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 4)).astype(np.float32), np.zeros((400, 6), np.float32)
    task = own_task(mlp(4, 5, 6), (x, y))
    C, masked = errors(task, prunable(task), centred=False, weight="loss"), task.copy()
    whole = task.network(task.inputs).detach()
    for r in all_bits(5)[1:-1]:
        surgery.mask(masked, prunable(task), 1 - r, original=task.network)
        with torch.no_grad():
            rise = float(task.criterion(masked(task.inputs), whole)) / len(whole)
        assert r @ C @ r == pytest.approx(rise, rel=0.1)


def test_balanced_is_between_relative_and_loss_at_each_taker() -> None:
    task = network_task(mlp(4, 6, 3), 4)  # one taker, three outputs
    groups, felt = prunable(task), sensitivities(task, prunable(task))["2"]
    C, absolute = (errors(task, groups, centred=False, weight=weight) for weight in ("balanced", "loss"))
    relative = contributions(task, "2", centred=False, weights=felt)
    r = np.array([1, 0, 1, 1, 0, 0])
    among = (r @ relative @ r / relative.sum()) * (r @ absolute @ r)
    assert r @ C @ r == pytest.approx(among**0.5, rel=1e-9)


def test_drawn_classes_give_the_curvature_of_cross_entropy() -> None:
    task = network_task(mlp(4, 5, 3), 4, samples=600)
    with torch.no_grad():
        p = task.network(task.inputs).softmax(dim=1).numpy()
    np.testing.assert_allclose(sensitivities(task, prunable(task))["2"], (p * (1 - p)).mean(axis=0), rtol=0.1)


# ---- the repair


def shrunk(task: Task, groups: Groups, x: np.ndarray) -> nn.Module:
    return surgery.shrink(task.copy(), groups, x)


def off(network: nn.Module, task: Task, groups: Groups, x: np.ndarray, name: str) -> float:
    """Squared error of a layer's outputs that are left, from those of the original."""
    rows = groups.outputs.get(name)
    keep = slice(None) if rows is None else torch.from_numpy((rows < 0) | (x[rows] == 1))
    whole, ours = (passing(one, name, task.inputs)[1] for one in (task.network, network))
    return float((whole[:, keep] - ours).double().pow(2).mean())


def calibrated(kind: str) -> Task:
    """The task with norms that hold the statistics of its samples, as training would have left them."""
    task = task_of(kind)
    network = task.copy()
    surgery.reestimate(network, task.inputs)
    return replace(task, network=network)


@each_network
def test_each_repair_brings_every_taker_closer_to_the_original(kind: str) -> None:
    task = calibrated(kind)
    groups = prunable(task)
    x = half(groups)
    plain, shifted, refitted = (shrunk(task, groups, x) for _ in range(3))
    repair(shifted, x, task=task, groups=groups, weights=False)
    repair(refitted, x, task=task, groups=groups, weights=True)
    for network in (plain, shifted, refitted):
        surgery.reestimate(network, task.inputs)
    final = list(groups.inputs)[-1]
    found = [off(one, task, groups, x, final) for one in (plain, shifted, refitted)]
    assert found[2] < found[1] < found[0]


def test_the_refit_is_the_least_squares_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.problems.pruning.repair.RIDGES", (1e-5,))
    task = network_task(mlp(4, 8, 3).double(), 4, samples=60)
    groups = prunable(task)
    x = half(groups)
    network = shrunk(task, groups, x)
    repair(network, x, task=task, groups=groups, weights=True)
    reaching, _ = passing(network, "2", task.inputs)
    rows = np.column_stack([reaching.numpy(), np.ones(len(reaching))])
    with torch.no_grad():
        wanted = task.network(task.inputs).numpy()
    best = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    least = float(np.mean((rows @ best - wanted) ** 2))
    assert least <= off(network, task, groups, x, "2") < 1.01 * least
    # The intercept is free of the ridge, so that errors have mean 0 exactly.
    with torch.no_grad():
        np.testing.assert_allclose((network(task.inputs).numpy() - wanted).mean(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize(("samples", "expected"), [(20, 0.1), (400, 1e-3)])
def test_the_ridge_is_the_one_that_serves_samples_held_back_best(
    samples: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = network_task(mlp(4, 30, 3).double(), 4, samples=samples)
    groups = prunable(task)
    x = half(groups)
    held = torch.arange(len(task.inputs)) % 4 == 3
    fitted, checked = (replace(task, inputs=task.inputs[part]) for part in (~held, held))

    def mended(on: Task) -> nn.Module:
        network = shrunk(task, groups, x)
        repair(network, x, task=on, groups=groups, weights=True)
        return network

    chosen, misses = mended(task), {}
    for ridge in RIDGES:
        monkeypatch.setattr("qubopress.problems.pruning.repair.RIDGES", (ridge,))
        misses[ridge] = off(mended(fitted), checked, groups, x, "2")
    best = min(misses, key=misses.__getitem__)
    assert best == expected
    monkeypatch.setattr("qubopress.problems.pruning.repair.RIDGES", (best,))
    assert torch.equal(chosen[2].weight, mended(task)[2].weight)


def test_without_weights_only_biases_move_and_mean_errors_vanish() -> None:
    task = network_task(mlp(4, 8, 3).double(), 4, samples=60)
    groups = prunable(task)
    x = half(groups)
    before, after = shrunk(task, groups, x), shrunk(task, groups, x)
    repair(after, x, task=task, groups=groups, weights=False)
    assert torch.equal(before[2].weight, after[2].weight)
    with torch.no_grad():
        error = (after(task.inputs) - task.network(task.inputs)).mean(dim=0)
    assert error.abs().max() < 1e-12


def test_the_centred_form_is_the_error_that_bias_correction_leaves() -> None:
    task = network_task(mlp(4, 6, 3).double(), 4, samples=60)
    groups = prunable(task)
    C, x = errors(task, groups, centred=True, weight="relative"), half(groups)
    network = shrunk(task, groups, x)
    repair(network, x, task=task, groups=groups, weights=False)
    with torch.no_grad():
        scale = power(task.network(task.inputs), centred=True).mean()
    assert (1 - x) @ C @ (1 - x) == pytest.approx(off(network, task, groups, x, "2") / scale, rel=1e-9)


def test_norms_are_re_estimated_before_the_layers_after_them_are_refitted() -> None:
    parts = (nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
    task = network_task(lively(nn.Sequential(*parts, nn.Linear(8, 3))).double(), 4, samples=60)
    groups = prunable(task)
    x = half(groups)
    for weights in (False, True):
        network = shrunk(task, groups, x)
        repair(network, x, task=task, groups=groups, weights=weights)
        surgery.reestimate(network, task.inputs)
        with torch.no_grad():
            error = (network(task.inputs) - task.network(task.inputs)).mean(dim=0)
        assert error.abs().max() < 1e-6


def test_nothing_removed_leaves_nothing_to_repair() -> None:
    task = calibrated("residual")
    groups = prunable(task)
    x = np.ones(groups.total, np.int8)
    network = shrunk(task, groups, x)
    repair(network, x, task=task, groups=groups, weights=True)
    with torch.no_grad():
        np.testing.assert_allclose(network(task.inputs), task.network(task.inputs), atol=1e-5)


def test_a_layer_gets_the_bias_it_lacks_unless_a_norm_follows() -> None:
    parts = (nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU())
    network = nn.Sequential(*parts, nn.Linear(4, 2, bias=False)).requires_grad_(False)
    task = network_task(network, 3)
    groups = prunable(task)
    mended = shrunk(task, groups, half(groups))
    repair(mended, half(groups), task=task, groups=groups, weights=True)
    assert mended[2].bias is None
    assert mended[5].bias.shape == (2,)
    assert not mended[5].bias.requires_grad
    assert task.network[5].bias is None


def test_batches_do_not_change_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    task = mlp_task()
    groups = prunable(task)
    x = half(groups)
    mended = []
    for batch in (256, 5):
        monkeypatch.setattr("qubopress.problems.pruning.repair.BATCH", batch)
        mended.append(shrunk(task, groups, x))
        repair(mended[-1], x, task=task, groups=groups, weights=True)
    for one, two in zip(*(network.parameters() for network in mended), strict=True):
        np.testing.assert_allclose(one.detach(), two.detach(), atol=1e-5)


def test_the_original_stays_as_it_was() -> None:
    task = task_of("conv")
    before = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    groups = prunable(task)
    x = half(groups)
    network = shrunk(task, groups, x)
    repair(network, x, task=task, groups=groups, weights=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.network.state_dict().items())
    assert not any(module._forward_hooks for module in (*task.network.modules(), *network.modules()))


@each_network
@each_weight
def test_errors_of_many_channels_are_the_same_in_blocks(
    kind: str, weight: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind)
    groups = prunable(task)
    whole = errors(task, groups, centred=True, weight=weight)
    monkeypatch.setattr("qubopress.problems.pruning.reconstruction.DENSE", 0)
    blocks = errors(task, groups, centred=True, weight=weight)
    assert sp.issparse(blocks)
    np.testing.assert_allclose(blocks.toarray(), whole, rtol=1e-12, atol=1e-15)
