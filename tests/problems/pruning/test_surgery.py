"""A network without some channels is the same masked or cut, and what mends it changes nothing else."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch
from grouped import OURS, SHARING, conv, head, masks, sharing_task
from tiny import lively, mlp_task, network_task, one_thread
from torch import nn

from qubopress.problems import InputError, Task
from qubopress.problems.layers.costs import costs
from qubopress.problems.layers.inputs import BATCH
from qubopress.problems.networks import weights
from qubopress.problems.pruning.groups import Groups, prunable
from qubopress.problems.pruning.surgery import finetune, mask, measures, reestimate, shrink

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Of differences against the largest output."""


def masked(task: Task, groups: Groups, x: np.ndarray) -> nn.Module:
    network = task.copy()
    mask(network, groups, x, original=task.network)
    return network


def outputs(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(inputs)


def assert_same_outputs(task: Task, a: nn.Module, b: nn.Module) -> None:
    ours, theirs = outputs(a, task.inputs), outputs(b, task.inputs)
    room = TOLERANCE[ours.dtype] * float(theirs.abs().max())
    assert torch.allclose(ours, theirs, rtol=0.0, atol=room)


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def asking(network: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in network.parameters()]


def modes(network: nn.Module) -> list[bool]:
    return [part.training for part in network.modules()]


# ---- Masked and cut


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", SHARING)
def test_cut_networks_put_out_what_masked_ones_do(name, dtype) -> None:
    task = sharing_task(SHARING[name], dtype=dtype)
    groups = prunable(task)
    for x in masks(groups):
        assert_same_outputs(task, shrink(task.network, groups, x), masked(task, groups, x))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", OURS)
def test_cut_networks_of_ours_put_out_what_masked_ones_do(name, dtype) -> None:
    task = network_task(weights.load_network(name).to(dtype), *OURS[name])
    groups = prunable(task)
    for x in masks(groups, count=3):
        assert_same_outputs(task, shrink(task.network, groups, x), masked(task, groups, x))


@pytest.mark.parametrize("name", sorted(SHARING.keys() - {"pre_activation", "dense_block"}))
def test_masked_networks_put_out_what_zeros_at_the_ends_of_the_chains_do(name) -> None:
    task = sharing_task(SHARING[name])
    groups = prunable(task)
    for x in masks(groups):
        assert_same_outputs(task, gated(task, groups, x), masked(task, groups, x))


def gated(task: Task, groups: Groups, x: np.ndarray) -> nn.Module:
    """The network with each chain's output multiplied by the bits of its channels."""
    network = task.copy()
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        for chain in group.chains:
            network.get_submodule(chain[-1]).register_forward_hook(gate(torch.tensor(x[span])))
    return network


def gate(kept: torch.Tensor):
    return lambda _, __, output: output * kept.view(1, -1, *[1] * (output.dim() - 2))


def test_a_removed_channel_is_zero_behind_a_norm_that_moves_zeros() -> None:
    task = sharing_task(SHARING["pre_activation"])
    groups = prunable(task)
    network = masked(task, groups, np.array([1, 0, 1, 0], dtype=np.int8))
    seen = []
    with ExitStack() as stack:
        for name in ("norm1", "norm2"):
            hook = network.layers[name].register_forward_hook(lambda _, __, output: seen.append(output))
            stack.callback(hook.remove)
        outputs(network, task.inputs)
    assert [(maps[:, [1, 3]] == 0).all() and (maps[:, [0, 2]] != 0).any() for maps in seen] == [True, True]


def test_a_mask_forgets_the_one_before() -> None:
    task = sharing_task(SHARING["dense_block"])
    groups = prunable(task)
    network = task.copy()
    before = state(network)
    for x in masks(groups)[::-1]:
        mask(network, groups, x, original=task.network)
        reestimate(network, task.inputs + 1)
    mask(network, groups, np.ones(groups.total, dtype=np.int8), original=task.network)
    assert changed(network, before) == {"layers.norm.num_batches_tracked"}


def test_a_mask_may_remove_a_whole_group() -> None:
    task = sharing_task(SHARING["residual"])
    groups = prunable(task)
    network = masked(task, groups, np.zeros(groups.total, dtype=np.int8))
    expected = task.network.layers["head"][2].bias.detach().expand(len(task.inputs), -1)
    assert torch.allclose(outputs(network, task.inputs), expected)


@pytest.mark.parametrize("name", SHARING)
def test_neither_changes_the_original_or_what_asks_for_gradients(name) -> None:
    task = sharing_task(SHARING[name])
    groups = prunable(task)
    for number, parameter in enumerate(task.network.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    task.network.train()
    next(task.network.children()).eval()
    before, wanted, training = state(task.network), asking(task.network), modes(task.network)
    for x in masks(groups):
        smaller = shrink(task.network, groups, x)
        masked(task, groups, x)
        assert (asking(smaller), modes(smaller)) == (wanted, training)
    assert changed(task.network, before) == set()
    assert (asking(task.network), modes(task.network)) == (wanted, training)


def test_cut_layers_have_the_sizes_of_what_they_keep() -> None:
    task = sharing_task(SHARING["dense_block"])
    groups = prunable(task)
    layers = shrink(task.network, groups, np.array([1, 0, 1, 0, 0, 0, 1, 1, 0, 0], dtype=np.int8)).layers
    assert layers["a"].weight.shape == (2, 2, 3, 3)
    assert layers["b"].weight.shape == (1, 2, 3, 3)
    assert layers["norm"].num_features == 3
    assert layers["norm"].running_var.shape == (3,)
    assert (layers["depth"].groups, layers["depth"].weight.shape) == (3, (3, 1, 3, 3))
    assert layers["last"].weight.shape == (1, 3, 3, 3)
    assert layers["head"][2].weight.shape == (3, 1)


def test_parameters_and_products_fall_to_those_of_a_network_built_small() -> None:
    def build(*widths: int) -> nn.Module:
        a, b = widths
        return nn.Sequential(conv(2, a), nn.BatchNorm2d(a), nn.ReLU(), conv(a, b), nn.ReLU(), head(b))

    task = sharing_task(lambda: build(6, 5))
    x = np.array([1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0], dtype=np.int8)
    smaller = shrink(task.network, prunable(task), x)
    found, expected = measures(task, smaller), measures(task, build(3, 2).eval())
    assert found == expected
    assert found == {"parameters": 3 * 19 + 6 + 2 * 28 + 3 * 3, "products": 36 * (3 * 18 + 2 * 27) + 6}
    assert costs(task.network, task.inputs).products > found["products"]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(8), r"bits must have shape \(9,\), got \(8,\)"),
        (np.ones((1, 9)), r"bits must have shape \(9,\), got \(1, 9\)"),
        (np.full(9, 2), r"bits must be integers in \[0, 1\], got 2"),
        (np.full(9, 0.5), r"bits must be integers in \[0, 1\], got 0\.5"),
    ],
)
def test_a_mask_of_another_form_is_refused(x, message) -> None:
    task = sharing_task(SHARING["residual"])
    groups = prunable(task)
    with pytest.raises(InputError, match=message):
        masked(task, groups, x)
    with pytest.raises(InputError, match=message):
        shrink(task.network, groups, x)


def test_a_whole_group_cannot_be_cut_out() -> None:
    task = sharing_task(SHARING["residual"])
    groups = prunable(task)
    x = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.int8)
    with pytest.raises(
        InputError,
        match=r"x must keep at least one channel of each group, got none of layers\.b; keep one of its 4",
    ):
        shrink(task.network, groups, x)


# ---- BatchNorm statistics


def test_only_statistics_of_batch_norms_change() -> None:
    network = nn.Sequential(
        conv(2, 3), nn.BatchNorm2d(3), nn.Dropout(), nn.BatchNorm2d(3, track_running_stats=False), head(3)
    )
    inputs = torch.randn(20, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    network.train()
    network[1].eval()
    network[1].momentum = 0.3
    before, training, wanted = state(network), modes(network), asking(network)
    drawn = torch.get_rng_state()
    reestimate(network, inputs)
    assert changed(network, before) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert (modes(network), asking(network), network[1].momentum) == (training, wanted, 0.3)
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("samples", [7, 2 * BATCH + 4])
def test_statistics_become_those_of_the_inputs(samples) -> None:
    norm = nn.BatchNorm1d(3, dtype=torch.float64)
    rng = np.random.default_rng(0)
    inputs = torch.tensor(rng.normal([1, 2, 3], [0.5, 1, 2], (samples, 3)))
    reestimate(norm, inputs)
    assert torch.allclose(norm.running_mean, inputs.mean(dim=0), rtol=0, atol=0.02)
    assert torch.allclose(norm.running_var, inputs.var(dim=0), rtol=0.02, atol=0)


def test_statistics_forget_the_inputs_before() -> None:
    norm, first, second = nn.BatchNorm1d(3), torch.zeros(6, 3), torch.eye(3)
    reestimate(norm, first)
    reestimate(norm, second)
    assert torch.allclose(norm.running_mean, second.mean(dim=0))


def test_each_norm_sees_what_the_normalised_one_before_puts_out() -> None:
    first, second = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    inputs = 5 + 3 * torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    reestimate(nn.Sequential(first, second), inputs)
    assert torch.allclose(second.running_mean, torch.zeros(2), atol=1e-4)
    assert torch.allclose(second.running_var, torch.ones(2), atol=0.02)


@pytest.mark.parametrize("name", ["residual", "pre_activation", "dense_block", "separable"])
def test_masked_and_cut_networks_are_the_same_when_re_estimated(name) -> None:
    task = sharing_task(SHARING[name], dtype=torch.float64)
    groups = prunable(task)
    for x in masks(groups):
        zeroed, smaller = masked(task, groups, x), shrink(task.network, groups, x)
        reestimate(zeroed, task.inputs)
        reestimate(smaller, task.inputs)
        assert_same_outputs(task, smaller, zeroed)


def test_a_masked_norm_without_parameters_stays_zero_when_re_estimated() -> None:
    task = sharing_task(
        lambda: nn.Sequential(conv(2, 3), nn.BatchNorm2d(3, affine=False), conv(3, 2), head(2))
    )
    groups = prunable(task)
    x = np.array([1, 0, 1, 1, 1], dtype=np.int8)
    zeroed, smaller = masked(task, groups, x), shrink(task.network, groups, x)
    reestimate(zeroed, task.inputs)
    reestimate(smaller, task.inputs)
    assert_same_outputs(task, smaller, zeroed)


def test_a_network_without_norms_is_left_alone() -> None:
    task = mlp_task()
    before = state(task.network)
    reestimate(task.network, task.inputs)
    assert changed(task.network, before) == set()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(0, 3), "inputs must hold at least one sample to re-estimate BatchNorms, got none"),
        (torch.zeros(1, 3), "must run on 1 samples to re-estimate BatchNorms, got ValueError: Expected more"),
        (
            torch.zeros(4, 5),
            r"must run on 4 samples to re-estimate BatchNorms, got RuntimeError: .*of its shape",
        ),
    ],
)
def test_inputs_that_give_no_statistics_are_refused_and_nothing_is_lost(inputs, message) -> None:
    norm = lively(nn.Sequential(nn.BatchNorm1d(3)))
    before = state(norm)
    with pytest.raises(InputError, match=message):
        reestimate(norm, inputs)
    assert changed(norm, before) == set()
    assert (norm[0].momentum, norm[0].training) == (0.1, False)


# ---- Fine-tune


def calibration_loss(task: Task, network: nn.Module) -> float:
    return float(task.criterion(outputs(network, task.inputs), task.targets))


def tuned(task: Task, network: nn.Module, **options) -> nn.Module:
    trained = copy.deepcopy(network)
    finetune(trained, task, **({"epochs": 5} | options))
    return trained


@pytest.mark.parametrize("name", ["residual", "strided", "separable", "unet"])
def test_a_fine_tune_lowers_the_calibration_loss(name) -> None:
    task = sharing_task(SHARING[name], samples=64)
    smaller = shrink(task.network, groups := prunable(task), masks(groups)[2])
    reestimate(smaller, task.inputs)
    assert calibration_loss(task, tuned(task, smaller)) < calibration_loss(task, smaller)


def test_a_fine_tune_fits_images_to_images() -> None:
    task = sharing_task(SHARING["residual"], samples=40)
    clean = torch.zeros(len(task.inputs), 3)
    images = replace(task, targets=clean, criterion=lambda y, target: ((y - target) ** 2).sum())
    assert calibration_loss(images, tuned(images, task.network)) < calibration_loss(images, task.network)


def test_a_fine_tune_is_decided_by_its_seed() -> None:
    task = sharing_task(SHARING["residual"], samples=64)
    before = state(task.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        drawn = torch.get_rng_state()
        first = state(tuned(task, task.network))
        assert torch.equal(torch.get_rng_state(), drawn)
        torch.manual_seed(2)
        again = tuned(task, task.network)
    assert changed(again, first) == set()
    assert changed(tuned(task, task.network, seed=1), first) != set()
    assert changed(task.network, before) == set()


def test_a_fine_tune_leaves_statistics_modes_and_demands_for_gradients_as_they_were() -> None:
    task = sharing_task(
        lambda: nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.Dropout(), head(3)), samples=64
    )
    network = task.copy().train()
    network[1].requires_grad_(False)
    network[2].eval()
    before, training, wanted = state(network), modes(network), asking(network)
    with torch.no_grad():
        finetune(network, task, epochs=1)
    weights = {"0.weight", "0.bias", "3.2.weight", "3.2.bias"}
    assert changed(network, before) == weights
    assert (modes(network), asking(network)) == (training, wanted)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_fine_tune_trains_all_where_nothing_asks_for_gradients() -> None:
    task = sharing_task(lambda: nn.Sequential(conv(2, 3), nn.ReLU(), head(3)), samples=64)
    network = task.copy().requires_grad_(False)
    before = state(network)
    finetune(network, task, epochs=1)
    assert changed(network, before) == {"0.weight", "0.bias", "2.2.weight", "2.2.bias"}
    assert asking(network) == [False] * 4


def test_no_epoch_changes_nothing() -> None:
    task = mlp_task()
    assert changed(tuned(task, task.network, epochs=0), state(task.network)) == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs must be an integer of at least 0, got -1"),
        ({"epochs": 1.5}, r"epochs must be an integer of at least 0, got 1\.5"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"learning_rate": 0}, r"learning_rate must lie in \(0, 1\], got 0"),
        ({"learning_rate": np.nan}, "learning_rate must be a finite number, got nan"),
        ({"learning_rate": 1.5}, r"learning_rate must lie in \(0, 1\], got 1\.5"),
    ],
)
def test_a_fine_tune_that_cannot_go_well_is_refused(options, message) -> None:
    task = mlp_task()
    with pytest.raises(InputError, match=message):
        tuned(task, task.network, **options)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    task = replace(mlp_task(), criterion=lambda y, _: y.sum() * torch.inf)
    with pytest.raises(InputError, match=r"loss must stay finite while fine-tuning, got (-?inf|nan); lower"):
        tuned(task, task.network)


# ---- Measures


def test_the_metric_after_a_fine_tune_is_measured_on_a_copy() -> None:
    task = sharing_task(SHARING["strided"], samples=64)
    before = state(task.network)
    judged = replace(task, judge=lambda network: -calibration_loss(task, network), metric="fit")
    found = measures(judged, task.network)
    assert list(found) == ["parameters", "products", "fit after fine-tune"]
    assert found["fit after fine-tune"] > -calibration_loss(task, task.network)
    assert measures(judged, task.network) == found
    assert changed(task.network, before) == set()
