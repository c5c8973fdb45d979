"""The quadratic form is the error that masking makes at a taker, and the repair makes the least of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from coupled import IMAGE, each_network, half, task_of
from tiny import all_bits, mlp, mlp_task, network_task, one_thread
from torch import Tensor, nn

from qubopress.problems import InputError, Task, surgery
from qubopress.problems.groups import Groups, prunable
from qubopress.problems.layers import hooked
from qubopress.problems.reconstruction import contributions, errors, repair

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def passing(network: nn.Module, name: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What reaches a layer and what it puts out."""
    seen = []
    with hooked({network.get_submodule(name): lambda _, given, made: seen.append((given[0], made))}):
        network(inputs)
    return seen[0][0].detach(), seen[0][1].detach()


def measured(task: Task, groups: Groups, r: np.ndarray, *, centred: bool) -> float:
    """Relative squared error of each taker when the removed of its inputs are zeroed, one taker at a time."""
    total = 0.0
    for name, variables in groups.inputs.items():
        layer = task.network.get_submodule(name)
        reaching, whole = passing(task.network, name, task.inputs)
        gone = torch.from_numpy((variables >= 0) & (r[variables] == 1))
        left = reaching * (~gone).reshape(-1, *[1] * (reaching.dim() - 2))
        with torch.no_grad():
            scale, error = whole - layer(torch.zeros_like(reaching)), whole - layer(left)
        total += power(error, centred=centred) / power(scale, centred=centred)
    return total


def power(z: Tensor, *, centred: bool) -> float:
    """Mean square over samples and positions of (N, outputs, ...), of its deviation where centred."""
    rows = z.double().movedim(1, -1).reshape(-1, z.shape[1])
    return float((rows - (rows.mean(dim=0) if centred else 0.0)).pow(2).mean())


@each_network
@pytest.mark.parametrize("centred", [False, True])
def test_the_form_is_the_error_measured_at_the_takers_for_every_removed_set(kind: str, centred: bool) -> None:
    task = task_of(kind, double=True)
    groups = prunable(task)
    C = errors(task, groups, centred=centred)
    np.testing.assert_array_equal(C, C.T)
    every = all_bits(groups.total)
    for r in every[:: max(1, len(every) // 128)]:
        assert r @ C @ r == pytest.approx(measured(task, groups, r, centred=centred), rel=1e-9, abs=1e-12)


def test_in_a_network_of_one_group_it_is_the_error_of_the_masked_network() -> None:
    task = network_task(mlp(4, 7, 3).double(), 4, samples=40)
    groups = prunable(task)
    C, masked = errors(task, groups, centred=False), task.copy()
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
    C = errors(task, groups, centred=True)
    left, right, both = groups.spans()
    assert np.abs(C[left, right]).min() > 0
    assert (C[left, both] == 0).all()


def test_what_nothing_can_remove_counts_in_the_scale_alone() -> None:
    task = task_of("joined")
    groups = prunable(task)
    whole = contributions(task, "both", centred=True)
    assert whole.shape == (6, 6)
    C = errors(task, groups, centred=True)
    np.testing.assert_allclose(C[:2, :2], whole[:2, :2] / whole.sum())
    np.testing.assert_allclose(C[2:5, 2:5], whole[3:, 3:] / whole.sum())


def test_a_taker_that_reads_nothing_but_zeros_counts_for_nothing() -> None:
    network = mlp(3, 4, 5, 2)
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    task = network_task(network, 3)
    C = errors(task, prunable(task), centred=False)
    assert (C[:4, :4] == 0).all()
    assert np.isfinite(C).all()


def test_a_taker_of_another_kind_is_refused() -> None:
    padded = nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect")
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), padded, nn.Flatten(), nn.Linear(32, 2))
    task = network_task(network, *IMAGE)
    with pytest.raises(InputError, match="layer 2 must be Linear or Conv2d with zero padding, got Conv2d"):
        errors(task, prunable(task), centred=True)


# ---- the repair


def shrunk(task: Task, groups: Groups, x: np.ndarray) -> nn.Module:
    return surgery.shrink(task.copy(), groups, x)


def off(network: nn.Module, task: Task, groups: Groups, x: np.ndarray, name: str) -> float:
    """Squared error of a layer's outputs that are left, from those of the original."""
    rows = groups.outputs.get(name)
    keep = slice(None) if rows is None else torch.from_numpy((rows < 0) | (x[rows] == 1))
    whole, ours = (passing(one, name, task.inputs)[1] for one in (task.network, network))
    return float((whole[:, keep] - ours).double().pow(2).mean())


@each_network
def test_each_repair_brings_every_taker_closer_to_the_original(kind: str) -> None:
    task = task_of(kind)
    groups = prunable(task)
    x = half(groups)
    plain, shifted, refitted = (shrunk(task, groups, x) for _ in range(3))
    repair(shifted, x, task=task, groups=groups, weights=False)
    repair(refitted, x, task=task, groups=groups, weights=True)
    final = list(groups.inputs)[-1]
    found = [off(one, task, groups, x, final) for one in (plain, shifted, refitted)]
    assert found[2] < found[1] < found[0]


def test_the_refit_is_the_least_squares_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.problems.reconstruction.RIDGE", 1e-5)
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
    C, x = errors(task, groups, centred=True), half(groups)
    network = shrunk(task, groups, x)
    repair(network, x, task=task, groups=groups, weights=False)
    with torch.no_grad():
        scale = power(task.network(task.inputs), centred=True)
    assert (1 - x) @ C @ (1 - x) == pytest.approx(off(network, task, groups, x, "2") / scale, rel=1e-9)


def test_nothing_removed_leaves_nothing_to_repair() -> None:
    task = task_of("residual")
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
        monkeypatch.setattr("qubopress.problems.reconstruction.BATCH", batch)
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
