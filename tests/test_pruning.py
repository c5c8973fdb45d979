"""Importances mean what they say, removed filters put out zeros, and the energy is the formula."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from tiny import all_bits, cnn, mlp, mlp_task, network_task, one_thread
from torch import nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import BlackBox, Capacity, InputError, Task, networks
from qubopress.problems.filters import ACTIVATIONS, Filters, cross_entropy, measure, prunable, remove
from qubopress.problems.pruning import kept

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

FAMILY = ("hybrid", "taylor")


def with_norms(network: nn.Module, *, seed: int = 3) -> nn.Module:
    """The network with BatchNorm statistics and parameters that move every zero."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                for tensor in (*part.parameters(), part.running_mean, part.running_var):
                    tensor.copy_(torch.tensor(rng.uniform(0.2, 1.5, tensor.shape)))
    return network.eval()


class Tangled(nn.Module):
    """Registered against its running order, one ReLU for all layers, a functional one, inplace at that."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.norm2, self.norm1 = nn.Linear(2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(4)
        self.conv2, self.relu, self.conv1 = nn.Conv2d(4, 2, 2), nn.ReLU(inplace=True), nn.Conv2d(1, 4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        return self.head(functional.relu(x).mean(dim=(2, 3)))


class Residual(nn.Module):
    """The second layer's sum with the first passes through the ReLU, so that the ReLU is not its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu1 = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU()
        self.two, self.norm, self.relu2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()
        self.head = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.one(x))
        return self.head(self.relu2(x + self.norm(self.two(x))).mean(dim=(2, 3)))


def dense_with_norms() -> nn.Module:
    parts = (nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2))
    return nn.Sequential(*parts)


def bare_norm() -> nn.Module:
    norm = nn.BatchNorm2d(3, affine=False)
    return nn.Sequential(nn.Conv2d(1, 3, 2), norm, nn.GELU(), nn.Flatten(), nn.Linear(27, 2))


IMAGE = (1, 4, 4)
NETWORKS = {
    "dense": (lambda: mlp(5, 6, 4, 3), (5,)),
    "dense with norms": (dense_with_norms, (3,)),
    "conv": (cnn, IMAGE),
    "norm without parameters": (bare_norm, IMAGE),
    "tangled": (Tangled, IMAGE),
    "residual": (Residual, IMAGE),
}
each_network = pytest.mark.parametrize(("build", "shape"), NETWORKS.values(), ids=NETWORKS.keys())


def task_of(build, shape) -> Task:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return network_task(with_norms(build()), *shape)


def outputs_of(
    network: nn.Module, filters: Filters, x: torch.Tensor, scale=None
) -> tuple[list, torch.Tensor]:
    """What the filters' modules put out, times `scale` (n,) if any, and what the network does then."""
    seen = []

    def hook(span):
        def multiply(_, __, output):
            factor = torch.ones(filters.total, dtype=output.dtype) if scale is None else scale
            made = output * factor[span].reshape(1, -1, *[1] * (output.dim() - 2))
            seen.append(made.clone())
            return made

        return multiply

    with ExitStack() as stack, torch.no_grad():
        for name, span in zip(filters.outputs, filters.spans(), strict=True):
            handle = network.get_submodule(name).register_forward_hook(hook(span))
            stack.callback(handle.remove)
        return seen, network(x)


def stages(name: str, task: Task, decide=lambda _, instance: instance.baseline(), **parameters):
    """Every instance of a formulation and the network that it ends in."""
    seen = []

    def note(stage, instance):
        seen.append(instance)
        return decide(stage, instance)

    network = problems.drive(problems.get(name), task, parameters, note)
    return seen, network


def random_masks(total: int, count: int = 12) -> np.ndarray:
    masks = np.random.default_rng(4).integers(0, 2, (count, total)).astype(np.int8)
    masks[0], masks[1] = 0, 1
    return masks


def pruned(task: Task, filters: Filters, x: np.ndarray) -> nn.Module:
    network = task.copy()
    remove(network, filters, x, original=task.network)
    return network


# ---- Which filters there are


def test_filters_are_those_of_every_layer_but_the_last() -> None:
    filters = prunable(network_task(cnn(), *IMAGE))
    assert filters.chains == (("0", "1", "2"), ("3", "4"))
    assert (filters.layers, filters.outputs) == (("0", "3"), ("2", "4"))
    assert (filters.widths, filters.total) == ((3, 2), 5)
    assert filters.spans() == [slice(0, 3), slice(3, 5)]


@pytest.mark.parametrize(
    ("build", "shape", "chains"),
    [
        (Tangled, IMAGE, (("conv1", "norm1"), ("conv2", "norm2"))),
        (Residual, IMAGE, (("one", "relu1"), ("two", "norm"))),
        (dense_with_norms, (3,), (("0", "1", "2"), ("3",))),
    ],
)
def test_only_what_is_the_layers_own_belongs_to_its_chain(build, shape, chains) -> None:
    assert prunable(task_of(build, shape)).chains == chains


def test_a_network_without_a_layer_to_prune_is_refused() -> None:
    with pytest.raises(InputError, match="the network must have a layer before its last one to prune"):
        prunable(network_task(mlp(3, 2), 3))


def test_a_layer_that_runs_twice_is_refused() -> None:
    layer = nn.Linear(3, 3)
    with pytest.raises(InputError, match="layer 0 must run once in a pass to be pruned, got 2"):
        prunable(network_task(nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(3, 2)), 3))


def test_a_linear_over_sequences_is_refused() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(InputError, match=r"layer 0 must put out \(samples, units\) to be pruned, got shape"):
        prunable(network_task(network, 2, 3))


# ---- The network without some


@each_network
def test_removed_filters_put_out_exact_zeros_and_the_others_are_untouched(build, shape) -> None:
    task = task_of(build, shape)
    filters = prunable(task)
    for x in random_masks(filters.total):
        found, output = outputs_of(pruned(task, filters, x), filters, task.inputs)
        wanted, functionally = outputs_of(task.network, filters, task.inputs, torch.tensor(x))
        for span, got, want in zip(filters.spans(), found, wanted, strict=True):
            removed = torch.tensor(x[span] == 0)
            assert torch.count_nonzero(got[:, removed]) == 0
            assert torch.allclose(got, want, atol=1e-6)
        assert torch.allclose(output, functionally, atol=1e-6)


@each_network
def test_removing_nothing_changes_nothing_and_what_was_removed_comes_back(build, shape) -> None:
    task = task_of(build, shape)
    filters, network = prunable(task), task.copy()
    everything, nothing = np.ones(filters.total, np.int8), np.zeros(filters.total, np.int8)
    remove(network, filters, nothing, original=task.network)
    assert networks.weights_checksum(network) != networks.weights_checksum(task.network)
    remove(network, filters, everything, original=task.network)
    assert networks.weights_checksum(network) == networks.weights_checksum(task.network)


def test_every_activation_that_ends_a_chain_leaves_zero_at_zero() -> None:
    for activation in ACTIVATIONS:
        assert float(activation()(torch.zeros(1))) == 0.0


# ---- What calibration says of them


@each_network
def test_effects_are_the_derivative_of_each_samples_loss_by_the_filters_scale(build, shape) -> None:
    task = task_of(lambda: build().double(), shape)
    filters = prunable(task)
    found = measure(task, filters)

    def losses(scale):
        _, output = outputs_of(task.network, filters, task.inputs, scale)
        return functional.cross_entropy(output, task.targets, reduction="none").numpy()

    step = 1e-5
    for i in range(filters.total):
        up, down = (torch.ones(filters.total, dtype=torch.float64) for _ in range(2))
        up[i], down[i] = 1 + step, 1 - step
        slope = (losses(up) - losses(down)) / (2 * step)
        np.testing.assert_allclose(found.effects[:, i], slope, atol=1e-8)
    np.testing.assert_allclose(found.taylor, np.abs(found.effects).mean(axis=0))
    np.testing.assert_allclose(found.fisher, (found.effects**2).mean(axis=0) / 2)


def test_importances_of_one_unit_by_hand() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(2.0)
        network[2].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    x = np.array([[0.5], [-1.0], [1.0]])
    task = problems.own_task(network, (x, [0, 1, 1]))
    # Logits (a, −a) with a = max(2x, 0): of class 0 dL/da = −2 / (1 + e^2a), of class 1 2 / (1 + e^−2a).
    effects = np.array([-2 / (1 + np.exp(2)), 0.0, 2 * 2 / (1 + np.exp(-4))])
    found = measure(task, prunable(task))
    np.testing.assert_allclose(found.effects[:, 0], effects, rtol=1e-6)
    assert found.taylor[0] == pytest.approx(np.abs(effects).mean(), rel=1e-6)
    assert found.fisher[0] == pytest.approx((effects**2).mean() / 2, rel=1e-6)


@each_network
def test_similarity_is_the_absolute_correlation_of_maps_within_a_layer(build, shape) -> None:
    task = task_of(build, shape)
    filters = prunable(task)
    found = measure(task, filters).similarity
    maps, _ = outputs_of(task.network, filters, task.inputs)
    if build is Tangled:  # its ReLUs write into the norms' outputs, which are what is kept
        maps = [functional.relu(a) for a in maps]
    assert (np.diag(found) == 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found, found.T)
    apart = np.ones_like(found, dtype=bool)
    for span, a in zip(filters.spans(), maps, strict=True):
        rows = a.double().transpose(0, 1).flatten(1).numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.nan_to_num(np.abs(np.corrcoef(rows)))
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


def test_batches_do_not_change_the_statistics(monkeypatch) -> None:
    task = network_task(cnn(), *IMAGE)
    whole = measure(task, prunable(task))
    monkeypatch.setattr("qubopress.problems.filters.BATCH", 5)
    parts = measure(task, prunable(task))
    np.testing.assert_allclose(parts.effects, whole.effects, atol=1e-7)
    np.testing.assert_allclose(parts.similarity, whole.similarity, atol=1e-9)


@pytest.mark.parametrize("targets", [[0, 3, 1, 2], [0, -1, 1, 2], [0.5, 0.1, 0.2, 0.3], [[0], [1], [2], [0]]])
def test_targets_that_are_no_classes_are_refused(targets) -> None:
    task = problems.own_task(mlp(3, 2, 3), (np.ones((4, 3)), np.array(targets)), samples=3)
    with pytest.raises(
        InputError, match=r"targets must be classes \(N,\) of outputs \(N, classes\), got outputs"
    ):
        measure(task, prunable(task))


def test_weights_with_nan_are_refused() -> None:
    task = mlp_task()
    with torch.no_grad():
        task.network[0].weight[0, 0] = torch.nan
    with pytest.raises(
        InputError, match="effects of the filters must be finite; check the network's weights"
    ):
        measure(task, prunable(task))


# ---- The formulations


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.1), (0.0, 0.0), (1.0, 3.0)])
def test_the_hybrid_energy_is_the_formula(alpha, beta) -> None:
    task = mlp_task()
    filters = prunable(task)
    found = measure(task, filters)
    (capacity,), _ = stages("hybrid", task, alpha=alpha, beta=beta)
    importance = alpha * found.taylor / found.taylor.mean() + (1 - alpha) * found.fisher / found.fisher.mean()
    for x in random_masks(filters.total, 40):
        energy = -sum(importance[i] for i in range(filters.total) if x[i])
        for i in range(filters.total):
            energy += beta * sum(found.similarity[i, j] * x[i] * x[j] for j in range(i + 1, filters.total))
        assert capacity.loss(x) == pytest.approx(energy, rel=1e-12, abs=1e-12)


def test_the_taylor_energy_is_minus_the_kept_importance_and_greedy_is_optimal() -> None:
    task = mlp_task()
    taylor = measure(task, prunable(task)).taylor
    (capacity,), _ = stages("taylor", task, keep=0.5)
    for x in random_masks(10):
        assert capacity.loss(x) == pytest.approx(-float(taylor[x == 1].sum()) / taylor.mean(), abs=1e-12)
    best = min(capacity.loss(x) for x in all_bits(10) if x.sum() == capacity.K)
    assert capacity.loss(capacity.baseline()) == pytest.approx(best)


@pytest.mark.parametrize("name", FAMILY)
def test_the_capacity_counts_filters_exactly(name) -> None:
    for keep, K in ((0.64, 6), (1.0, 10), (0.001, 1)):
        (capacity,), _ = stages(name, mlp_task(), keep=keep)
        assert isinstance(capacity, Capacity)
        assert (capacity.K, capacity.exact, capacity.n) == (K, True, 10)


@pytest.mark.parametrize("name", FAMILY)
def test_the_network_that_comes_back_lacks_what_was_not_kept(name) -> None:
    task = network_task(cnn(), *IMAGE)
    filters, x = prunable(task), np.array([0, 1, 1, 1, 0], dtype=np.int8)
    _, network = stages(name, task, lambda *_: x, keep=0.6)
    assert networks.weights_checksum(network) == networks.weights_checksum(pruned(task, filters, x))
    assert networks.weights_checksum(network) != networks.weights_checksum(task.network)


def test_dead_filters_alone_have_no_importance_and_do_no_harm() -> None:
    network = mlp(3, 4, 2)
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    (capacity,), _ = stages("hybrid", network_task(network, 3), keep=0.5)
    assert capacity.loss(capacity.baseline()) == 0.0


# ---- The refinement


@each_network
def test_the_refined_loss_is_the_cross_entropy_of_the_functionally_masked_network(build, shape) -> None:
    task = task_of(build, shape)
    filters, given = prunable(task), {}

    def decide(stage, instance):
        given[stage] = instance.baseline()
        return given[stage]

    (_, box), _ = stages("hybrid", task, decide, keep=0.5, refine=3)
    assert isinstance(box, BlackBox)
    chosen = chosen_by(box, given[0], task)
    for point in all_bits(3):
        mask = np.array(given[0])
        mask[chosen] = point
        _, output = outputs_of(task.network, filters, task.held_inputs, torch.tensor(mask))
        expected = float(functional.cross_entropy(output.double(), task.held_targets))
        assert box.loss(point) == pytest.approx(expected, rel=1e-6)


def chosen_by(box: BlackBox, mask: np.ndarray, task: Task) -> list[int]:
    """Filters that a refinement may change: those whose marginal energies lie nearest to the border."""
    (capacity,), _ = stages("hybrid", task, keep=0.5)
    slopes = [
        capacity.loss(with_bit(mask, i, 1)) - capacity.loss(with_bit(mask, i, 0)) for i in range(len(mask))
    ]
    kept_ones, removed = ([s for s, bit in zip(slopes, mask, strict=True) if bit == side] for side in (1, 0))
    border = (max(kept_ones) + min(removed)) / 2
    return sorted(np.argsort(np.abs(np.array(slopes) - border))[: box.n].tolist())


def with_bit(mask: np.ndarray, i: int, bit: int) -> np.ndarray:
    return np.where(np.arange(len(mask)) == i, bit, mask)


@pytest.mark.parametrize("name", FAMILY)
def test_the_refinement_starts_at_the_mask_and_keeps_as_many(name) -> None:
    task = mlp_task()
    (capacity, box), network = stages(name, task, keep=0.5, refine=10)
    x = capacity.baseline()
    np.testing.assert_array_equal(box.start, x)
    assert box.K == x.sum() == 5
    expected = cross_entropy(pruned(task, prunable(task), x), task.held_inputs, task.held_targets)
    assert box.loss(box.start) == expected
    # The baseline of both stages is the start, so that refining by it changes nothing.
    assert networks.weights_checksum(network) == networks.weights_checksum(pruned(task, prunable(task), x))


def test_evaluations_are_counted_and_cached(monkeypatch) -> None:
    (_, box), _ = stages("hybrid", mlp_task(), keep=0.5, refine=4)
    calls = []
    monkeypatch.setattr(
        "qubopress.problems.pruning.cross_entropy",
        lambda *arguments: calls.append(1) or cross_entropy(*arguments),
    )
    first = box.losses(all_bits(4))
    assert (box.evaluations, len(calls)) == (16, 16)
    np.testing.assert_array_equal(box.losses(all_bits(4)), first)
    assert (box.evaluations, len(calls)) == (16, 16)


def test_the_refined_mask_is_what_comes_back() -> None:
    task = mlp_task()

    def decide(stage, instance):
        return instance.baseline() if stage == 0 else instance.baseline()[::-1]

    (capacity, box), network = stages("taylor", task, decide, keep=0.5, refine=10)
    x = capacity.baseline()[::-1].copy()
    assert (x != box.start).any()
    assert networks.weights_checksum(network) == networks.weights_checksum(pruned(task, prunable(task), x))


def test_the_least_certain_filters_lie_on_both_sides_of_the_border() -> None:
    (capacity, box), _ = stages("taylor", mlp_task(), keep=0.5, refine=2)
    order = np.argsort(capacity.qubo.linear)
    assert box.K == 1
    assert box.start.tolist() == capacity.baseline()[sorted(order[4:6])].tolist()


@pytest.mark.parametrize("keep", [1.0, 0.01])
def test_refinement_works_where_all_or_one_are_kept(keep) -> None:
    (_, box), _ = stages("hybrid", mlp_task(), keep=keep, refine=3)
    assert box.violation(box.start) == 0


# ---- What is refused


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keep": 0}, r"keep must lie in \(0, 1\], got 0; 0.64 keeps 64 % of the filters"),
        ({"keep": -0.5}, r"keep must lie in \(0, 1\], got -0.5"),
        ({"keep": 1.5}, r"keep must lie in \(0, 1\], got 1.5"),
        ({"keep": np.nan}, "keep must be a finite number, got nan"),
        ({"keep": "half"}, "keep must be a finite number, got 'half'"),
        ({"refine": -1}, r"refine must be an integer in \[0, 10\], got -1"),
        ({"refine": 11}, r"refine must be an integer in \[0, 10\], got 11"),
        ({"refine": True}, r"refine must be an integer in \[0, 10\], got True"),
        ({"kep": 0.5}, "no parameter of .* named 'kep'; did you mean 'keep'"),
    ],
)
def test_a_parameter_outside_its_range_is_refused_before_anything_is_solved(
    name, parameters, message
) -> None:
    def never(*_):
        pytest.fail("a stage was begun")

    with pytest.raises(InputError, match=message):
        stages(name, mlp_task(), never, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -0.1}, r"alpha must lie in \[0, 1\], got -0.1"),
        ({"alpha": 1.1}, r"alpha must lie in \[0, 1\], got 1.1"),
        ({"alpha": None}, "alpha must be a finite number, got None"),
        ({"beta": -1}, "beta must not be negative, got -1"),
        ({"beta": np.inf}, "beta must be a finite number, got inf"),
    ],
)
def test_a_weight_of_the_hybrid_outside_its_range_is_refused(parameters, message) -> None:
    with pytest.raises(InputError, match=message):
        stages("hybrid", mlp_task(), **parameters)


def test_kept_is_the_nearest_number_and_at_least_one() -> None:
    assert [kept(fraction, 10) for fraction in (0.01, 0.14, 0.16, 0.64, 1)] == [1, 1, 2, 6, 10]
