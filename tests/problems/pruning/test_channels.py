"""Effects are derivatives by gates, similarities are correlations of maps, magnitudes are sums of weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from coupled import denoising, each_network, task_of
from tiny import mlp, mlp_task, network_task, one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import InputError
from qubopress.problems.layers.inputs import hooked
from qubopress.problems.pruning.channels import magnitudes, mean_loss, measure
from qubopress.problems.pruning.groups import Groups, prunable

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


@contextmanager
def scaled(network: nn.Module, groups: Groups, scale: Tensor) -> Iterator[dict[str, Tensor]]:
    """The network with the channels of every chain times `scale` (n,), and the maps that come out."""
    seen: dict[str, Tensor] = {}

    def times(name: str, factor: Tensor):
        def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
            made = output * factor.to(output).reshape(1, -1, *[1] * (output.dim() - 2))
            seen[name] = made.clone()
            return made

        return hook

    hooks = {}
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        for chain in group.chains:
            hooks[network.get_submodule(chain[-1])] = times(chain[0], scale[span])
    with hooked(hooks), torch.no_grad():
        yield seen


@each_network
def test_effects_are_the_derivative_of_each_samples_loss_by_the_channels_scale(kind: str) -> None:
    task = task_of(kind, double=True)
    groups = prunable(task)
    found = measure(task, groups)

    def losses(scale: Tensor) -> np.ndarray:
        with scaled(task.network, groups, scale):
            return functional.cross_entropy(task.network(task.inputs), task.targets, reduction="none").numpy()

    step = 1e-5
    for i in range(groups.total):
        up, down = (torch.ones(groups.total, dtype=torch.float64) for _ in range(2))
        up[i], down[i] = 1 + step, 1 - step
        slope = (losses(up) - losses(down)) / (2 * step)
        np.testing.assert_allclose(found.effects[:, i], slope, atol=1e-8)
    np.testing.assert_allclose(found.taylor, np.abs(found.effects).mean(axis=0))
    np.testing.assert_allclose(found.fisher, (found.effects**2).mean(axis=0) / 2)
    np.testing.assert_allclose(found.interactions, np.mean([np.outer(u, u) for u in found.effects], axis=0))


def test_importances_of_one_unit_by_hand() -> None:
    network = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[2.0], [0.0]]))
        network[2].weight.copy_(torch.tensor([[1.0, 5.0], [-1.0, 7.0]]))
    x = np.array([[0.5], [-1.0], [1.0]])
    task = problems.own_task(network, (x, [0, 1, 1]))
    # Logits (a, −a) with a = max(2x, 0): of class 0 dL/da = −2 / (1 + e^2a), of class 1 2 / (1 + e^−2a).
    effects = np.array([-2 / (1 + np.exp(2)), 0.0, 2 * 2 / (1 + np.exp(-4))])
    found = measure(task, prunable(task))
    np.testing.assert_allclose(found.effects[:, 0], effects, rtol=1e-6)
    assert found.taylor.tolist() == pytest.approx([np.abs(effects).mean(), 0.0], rel=1e-6)
    assert found.fisher.tolist() == pytest.approx([(effects**2).mean() / 2, 0.0], rel=1e-6)


@each_network
def test_similarity_is_the_absolute_correlation_of_a_groups_maps_layer_by_layer(kind: str) -> None:
    task = task_of(kind)
    groups = prunable(task)
    found = measure(task, groups).similarity
    with scaled(task.network, groups, torch.ones(groups.total)) as maps:
        task.network(task.inputs)
    assert (np.diag(found) == 0).all()
    np.testing.assert_array_equal(found, found.T)
    apart = np.ones_like(found, dtype=bool)
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        rows = [maps[chain[0]].double().transpose(0, 1).flatten(1).numpy() for chain in group.chains]
        side_by_side = np.concatenate([row - row.mean(axis=1, keepdims=True) for row in rows], axis=1)
        lengths = np.linalg.norm(side_by_side, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.abs(side_by_side @ side_by_side.T / np.outer(lengths, lengths))
        expected = np.nan_to_num(expected)
        np.fill_diagonal(expected, 0.0)
        np.testing.assert_allclose(found[span, span], expected, atol=1e-9)
        apart[span, span] = False
    assert (found[apart] == 0).all()


def test_maps_that_never_change_are_like_no_other() -> None:
    network = mlp(3, 40, 2).double()
    with torch.no_grad():
        network[0].weight[:30] = 0.0
        network[0].bias[:30] = torch.linspace(-1.0, 100.0, 30, dtype=torch.float64)
    task = network_task(network, 3, samples=50)
    found = measure(task, prunable(task)).similarity
    assert (found[:30] == 0).all()
    assert found[30:, 30:].max() > 0


@each_network
def test_batches_do_not_change_the_statistics(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(kind)
    whole = measure(task, prunable(task))
    monkeypatch.setattr("qubopress.problems.pruning.channels.BATCH", 5)
    parts = measure(task, prunable(task))
    np.testing.assert_allclose(parts.effects, whole.effects, atol=1e-6)
    np.testing.assert_allclose(parts.similarity, whole.similarity, atol=1e-6)


def test_magnitudes_add_up_all_layers_that_make_a_channel() -> None:
    task = task_of("residual")
    one, two, three = (task.network.get_submodule(name).weight.abs() for name in ("one", "two", "three"))
    expected = torch.cat([one.sum(dim=(1, 2, 3)) + two.sum(dim=(1, 2, 3)), three.sum(dim=(1, 2, 3))])
    np.testing.assert_allclose(magnitudes(task, prunable(task)), expected.detach().numpy(), rtol=1e-6)


def test_the_mean_loss_is_that_of_the_criterion_whatever_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for task in (mlp_task(), denoising()):
        with torch.no_grad():
            expected = float(task.criterion(task.network(task.inputs), task.targets)) / len(task.inputs)
        for batch in (256, 5):
            monkeypatch.setattr("qubopress.problems.pruning.channels.BATCH", batch)
            assert mean_loss(task, task.network, task.inputs, task.targets) == pytest.approx(
                expected, rel=1e-5
            )


def test_effects_on_images_are_of_the_squared_error() -> None:
    task = denoising()
    effects = measure(task, prunable(task)).effects
    maps = task.network[1](task.network[0](task.inputs)).detach().requires_grad_()
    error = (task.network[2](maps) - task.targets).pow(2).flatten(1).mean(dim=1).sum()
    error.backward()
    np.testing.assert_allclose(effects, (maps * maps.grad).sum(dim=(2, 3)).detach().numpy(), atol=1e-6)


NO_CLASSES = r"targets must be classes \(N,\) of outputs \(N, classes\), got"
NO_LOSS = r"targets must ask for one loss, got targets \(3, 1\) .* pass criterion="


@pytest.mark.parametrize(
    ("targets", "message"),
    [([0, 3, 1, 2], NO_CLASSES), ([0, -1, 1, 2], NO_CLASSES), ([[0], [1], [2], [0]], NO_LOSS)],
)
def test_targets_that_are_no_classes_are_refused(targets: list, message: str) -> None:
    task = problems.own_task(mlp(3, 2, 3), (np.ones((4, 3)), np.array(targets)), samples=3)
    with pytest.raises(InputError, match=message):
        measure(task, prunable(task))


def test_weights_with_nan_are_refused() -> None:
    task = mlp_task()
    groups = prunable(task)
    with torch.no_grad():
        task.network[0].weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="effects of the channels must be finite; check the network"):
        measure(task, groups)
    with pytest.raises(InputError, match="weights of the network must be finite; check them for NaN"):
        magnitudes(task, groups)


@each_network
def test_similarities_of_many_channels_are_the_same_in_blocks(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind)
    groups = prunable(task)
    whole = measure(task, groups).similarity
    monkeypatch.setattr("qubopress.problems.pruning.channels.DENSE", 0)
    blocks = measure(task, groups).similarity
    assert sp.issparse(blocks)
    assert blocks.nnz <= sum(width**2 for width in groups.widths)
    np.testing.assert_array_equal(blocks.toarray(), whole)
