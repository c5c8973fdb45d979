"""The rounding loss of a layer is the error of the layer that its bits decode to, and nothing else."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from functools import partial

import dimod
import numpy as np
import pytest
import tiny
import torch
from tiny import all_bits, cnn, mlp, mlp_task, network_task, one_thread, replay
from torch import nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import InputError, Task
from qubopress.problems.layers.batch_norms import fold_batch_norms
from qubopress.problems.layers.inputs import gram_of_inputs
from qubopress.problems.networks import weights
from qubopress.problems.quantization.eight_bit import QuantizedInput, quantize_input
from qubopress.problems.quantization.grids import GRIDS, grid_for
from qubopress.problems.quantization.layer_rounding import Layer, rows_rounding
from qubopress.problems.quantization.weight_layers import WeightLayers, matrix_of

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

BITS = (1, 3)
PER = ("tensor", "channel")

# Few weights, so that every assignment can be tried: name, layer, shape of a sample.
LAYERS = {
    "linear": (nn.Linear(2, 2), (2,)),
    "linear without bias": (nn.Linear(3, 2, bias=False), (3,)),
    "conv": (nn.Conv2d(1, 2, (1, 2)), (1, 3, 3)),
    "strided conv": (nn.Conv2d(2, 2, 1, stride=2), (2, 4, 3)),
    "padded conv": (nn.Conv2d(1, 2, (2, 1), padding=(1, 2)), (1, 3, 3)),
    "dilated conv": (nn.Conv2d(1, 2, (1, 2), dilation=(1, 2)), (1, 2, 4)),
    "conv of everything": (nn.Conv2d(1, 2, (2, 1), stride=(2, 1), padding=1, dilation=(2, 1)), (1, 5, 3)),
    "same conv without bias": (nn.Conv2d(1, 2, (1, 2), padding="same", bias=False), (1, 3, 3)),
}
each_layer = pytest.mark.parametrize(("part", "shape"), LAYERS.values(), ids=LAYERS.keys())


@pytest.fixture(autouse=True)
def _drawn() -> None:
    tiny.draw_parameters(part for part, _ in LAYERS.values())


drive = partial(tiny.drive, "adaround")
stages = partial(tiny.stages, "adaround")


def inputs_of(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(6).standard_normal((4, *shape)), dtype=torch.float32)


def layer_of(part: nn.Module, x: torch.Tensor, *, bits: int, grid: str, per: str, clip_aware: bool) -> Layer:
    (gram,), low, high = gram_of_inputs(part, "", x)
    made = grid_for(matrix_of(part), bits=bits, grid=grid, per=per)
    step = (max(high, 0) - min(low, 0)) / 255
    rows = slice(0, len(part.weight))
    return rows_rounding(
        matrix_of(part), bias_of(part), gram, made, rows=rows, input_step=step, clip_aware=clip_aware
    )


def bias_of(part: nn.Module) -> np.ndarray | None:
    return None if part.bias is None else part.bias.detach().double().numpy()


def output(part: nn.Module, x: torch.Tensor, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Pre-activations of k sets of weights (k, n, f) and biases (k, n), in float64: (k, n, rows)."""
    k, n, _ = weight.shape
    w = torch.tensor(weight).reshape(k * n, *part.weight.shape[1:])
    b = None if bias is None else torch.tensor(bias).reshape(k * n)
    if isinstance(part, nn.Linear):
        made = functional.linear(x.double(), w, b)
    else:
        made = functional.conv2d(x.double(), w, b, part.stride, part.padding, part.dilation)
    return made.transpose(0, 1).reshape(k, n, -1).numpy()


def squared_errors(part: nn.Module, x: torch.Tensor, layer: Layer, choices: np.ndarray) -> np.ndarray:
    """Squared pre-activation errors of k dequantized layers: means over rows, sums over neurons, (k,)."""
    weight = part.weight.detach().double().flatten(1).numpy()
    bias = None if part.bias is None else part.bias.detach().double().numpy()[None]
    wanted = output(part, x, weight[None], bias)
    biases = None if bias is None else np.array([layer.bias(choice) for choice in choices])
    got = output(part, x, np.array([layer.weights(choice) for choice in choices]), biases)
    return ((got - wanted) ** 2).mean(axis=2).sum(axis=1)


def every_assignment(instance: problems.Rounding) -> np.ndarray:
    return all_bits(instance.n * instance.f).reshape(-1, *instance.shape)


@each_layer
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("bits", "grid", "per"), [*itertools.product(BITS, GRIDS, PER)])
def test_the_loss_of_every_assignment_is_the_mean_squared_error_of_the_dequantized_layer(
    part, shape, bits, grid, per
) -> None:
    x = inputs_of(shape)
    layer = layer_of(part, x, bits=bits, grid=grid, per=per, clip_aware=True)
    instance = layer.instance
    choices = np.array([c for c in every_assignment(instance) if not instance.violation(c)])
    assert len(choices) == 2 ** int((instance.fixed < 0).sum())
    expected = squared_errors(part, x, layer, choices)
    np.testing.assert_allclose([instance.loss(c) for c in choices], expected, rtol=1e-9, atol=1e-12)


@each_layer
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("bits", "grid", "per"), [*itertools.product(BITS, GRIDS, PER)])
def test_as_published_the_loss_is_that_of_a_grid_without_ends(part, shape, bits, grid, per) -> None:
    x = inputs_of(shape)
    layer = layer_of(part, x, bits=bits, grid=grid, per=per, clip_aware=False)
    assert (layer.instance.fixed == -1).all()
    assert ((layer.instance.shift >= 0) & (layer.instance.shift < 1)).all()
    endless = replace(layer, grid=replace(layer.grid, low=-1000, high=1000))
    choices = every_assignment(layer.instance)
    expected = squared_errors(part, x, endless, choices)
    np.testing.assert_allclose([layer.instance.loss(c) for c in choices], expected, rtol=1e-9, atol=1e-12)
    for c in choices:
        ends = layer.grid.value(np.array([[layer.grid.low, layer.grid.high]]))
        np.testing.assert_array_equal(layer.weights(c), np.clip(endless.weights(c), ends[:, :1], ends[:, 1:]))


def test_clipping_fixes_the_bits_that_have_no_up() -> None:
    part = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        part.weight.copy_(torch.tensor([[1.0, -1.0, 0.3]]))
    # Two bits of the code grid: −1, −½, 0, ½. The greatest weight lies above the top.
    layer = layer_of(part, inputs_of((3,)), bits=2, grid="code", per="tensor", clip_aware=True)
    np.testing.assert_array_equal(layer.instance.fixed, [[0, -1, -1]])
    np.testing.assert_allclose(layer.instance.shift, [[1.0, 0.0, 0.6]], atol=1e-6)
    np.testing.assert_array_equal(layer.weights(np.array([[0, 0, 1]])), [[0.5, -1.0, 0.5]])
    ignorant = layer_of(part, inputs_of((3,)), bits=2, grid="code", per="tensor", clip_aware=False)
    np.testing.assert_array_equal(ignorant.weights(np.array([[1, 0, 1]])), [[0.5, -1.0, 0.5]])


def test_the_optimum_of_the_bqm_of_a_layer_is_the_sum_of_the_optima_of_its_neurons() -> None:
    (instance,) = stages(network_task(mlp(3, 3), 3), bits=2)
    rows = [dimod.ExactSolver().sample(instance.to_bqm(row=i)).first.energy for i in range(instance.n)]
    whole = dimod.ExactSolver().sample(instance.to_bqm()).first.energy
    assert whole == pytest.approx(sum(rows), abs=instance.resolution)


def test_the_network_that_comes_back_is_the_one_the_loss_speaks_of() -> None:
    task = network_task(mlp(3, 2), 3)
    (instance,) = stages(task, bits=2)
    wanted = task.network(task.inputs).detach().double()
    for seed in range(8):
        x = instance.settle(np.random.default_rng(seed).integers(0, 2, instance.shape))
        got = drive(task, lambda *_, x=x: x, bits=2)(task.inputs).detach().double()
        expected = float(((got - wanted) ** 2).sum(dim=1).mean())
        assert instance.loss(x) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("grid", "per"), [*itertools.product(GRIDS, PER)])
@pytest.mark.parametrize("bits", range(1, 9))
def test_decoded_weights_lie_on_the_grid(bits, grid, per) -> None:
    task = network_task(cnn(), 1, 4, 4)
    folded = task.copy()
    fold_batch_norms(folded)

    def decide(_, instance):
        return instance.settle(np.random.default_rng(bits).integers(0, 2, instance.shape))

    for clip_aware in (True, False):
        compressed = drive(task, decide, bits=bits, grid=grid, per=per, clip_aware=clip_aware)
        for name in ("0", "3", "6"):
            before, after = (
                net.get_submodule(name).weight.detach().double().flatten(1).numpy()
                for net in (folded, compressed)
            )
            made = grid_for(before, bits=bits, grid=grid, per=per)
            q = made.position(after)
            np.testing.assert_allclose(q, np.round(q), atol=1e-4)
            assert np.round(q).min() >= made.low
            assert np.round(q).max() <= made.high
            distinct = 2**bits * (1 if per == "tensor" else len(before))
            assert len(np.unique(after)) <= distinct


def test_the_bias_lies_on_the_int32_grid_of_its_own_step() -> None:
    task = network_task(mlp(3, 2), 3)
    weight, before = (tensor.detach().double().numpy() for tensor in task.network[0].parameters())
    reach = float(task.inputs.max() - task.inputs.min())
    step = grid_for(weight, bits=4, grid="minmax", per="channel").step[:, 0] * reach / 255
    rounded = drive(task, bits=4, per="channel")[0].bias.detach().double().numpy()
    np.testing.assert_allclose(rounded / step, np.round(rounded / step), atol=1e-3)
    assert (np.abs(rounded - before) <= step).all()
    assert (rounded != before).any()


def test_a_bias_beyond_int32_saturates() -> None:
    task = network_task(mlp(2, 1), 2)
    part = task.network[0]
    (gram,), _, _ = gram_of_inputs(task.network, "0", task.inputs)
    made = grid_for(matrix_of(part), bits=4, grid="minmax", per="tensor")
    bias = np.full(len(part.weight), 1e6)
    rows = slice(0, len(bias))
    layer = rows_rounding(matrix_of(part), bias, gram, made, rows=rows, input_step=1e-6)
    x = layer.instance.baseline()
    assert layer.instance.fixed[0, -1] == 0
    assert layer.bias(x) == pytest.approx((2**31 - 1) * layer.bias_step)


def test_eight_bits_hardly_change_the_output() -> None:
    task = mlp_task()
    compressed = drive(task, bits=8, per="channel")
    exact, rounded = (network(task.inputs).detach() for network in (task.network, compressed))
    assert float((exact - rounded).abs().max()) < 0.02 * float(exact.abs().max())


def test_a_layer_calibrates_on_float_or_on_quantized_activations() -> None:
    task = mlp_task()
    float_ones, quantized = (stages(task, bits=2, sequential=flag) for flag in (False, True))
    np.testing.assert_array_equal(float_ones[0].gram, quantized[0].gram)
    assert np.abs(float_ones[1].gram - quantized[1].gram).max() > 1e-3
    first = copy.deepcopy(task.network)
    with torch.no_grad():
        first[0].load_state_dict(drive(task, bits=2)[0].state_dict())
    (expected,), _, _ = gram_of_inputs(first, "2", task.inputs)
    np.testing.assert_allclose(quantized[1].gram[:-1, :-1], expected[:-1, :-1])


@pytest.mark.parametrize("block", [1, 3, 99])
def test_a_block_frees_the_strongest_inputs_and_rounds_the_rest_to_nearest(block) -> None:
    task = mlp_task()
    whole, part = stages(task)[0], stages(task, block=block)[0]
    free = (part.fixed < 0).any(axis=0)
    strongest = np.argsort(-np.diag(whole.gram)[:5])[:block]
    assert set(np.flatnonzero(free)) <= set(strongest)
    np.testing.assert_array_equal(part.baseline(), whole.baseline())
    np.testing.assert_array_equal(part.fixed[:, 5], whole.baseline()[:, 5])
    assert part.loss(part.baseline()) == whole.loss(whole.baseline())


def test_layers_come_in_running_order_one_stage_each() -> None:
    shapes = [instance.shape for instance in stages(network_task(cnn(), 1, 4, 4))]
    assert shapes == [(3, 5), (2, 6), (3, 5)]


def test_dead_inputs_do_not_break_a_layer() -> None:
    network = mlp(3, 2, 2)
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    compressed = drive(network_task(network, 3))
    assert torch.isfinite(compressed(torch.zeros(1, 3))).all()


def test_a_network_with_batch_norm_in_train_mode_stays_as_it_was() -> None:
    network = cnn().train()
    before = weights.weights_checksum(network)
    task = problems.own_task(network, (torch.randn(8, 1, 4, 4), torch.zeros(8)))
    drive(task)
    assert weights.weights_checksum(network) == before
    assert network.training


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bits": 0}, r"bits must be an integer in \[1, 8\], got 0"),
        ({"bits": 9}, r"bits must be an integer in \[1, 8\], got 9"),
        ({"bits": True}, r"bits must be an integer in \[1, 8\], got True"),
        ({"grid": "lsq"}, "grid must be one of code, minmax, mse, fit, got 'lsq'"),
        ({"per": "group"}, "per must be tensor or channel, got 'group'"),
        ({"block": -1}, "block must be an integer of at least 0, got -1"),
        ({"block": 0.5}, "block must be an integer of at least 0, got 0.5"),
        ({"bit": 4}, "no parameter of adaround named 'bit'; did you mean 'bits'"),
    ],
)
def test_a_parameter_outside_its_range_is_refused(parameters, message) -> None:
    with pytest.raises(InputError, match=message):
        drive(mlp_task(), **parameters)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_weights_with_nan_are_refused(name) -> None:
    task = mlp_task()
    with torch.no_grad():
        task.network[2].get_parameter(name).view(-1)[0] = torch.nan
    with pytest.raises(
        InputError, match="weights of layer 2 must be finite, got NaN or infinity; train it again"
    ):
        drive(task)


def test_a_network_whose_weights_are_made_as_it_runs_is_refused_with_the_reason() -> None:
    class Standardised(nn.Linear):
        def forward(self, x):
            return nn.functional.linear(x, self.weight - self.weight.mean(1, keepdim=True), self.bias)

    match = "it has none; of 0.weight only mean takes it, no product"
    with pytest.raises(InputError, match=match):
        drive(network_task(nn.Sequential(Standardised(3, 2)), 3))


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(
        InputError, match="the network must have a Linear or Conv2d layer to round; it has none"
    ):
        drive(network_task(nn.Sequential(nn.Flatten(), nn.ReLU()), 3))


class Residual(nn.Module):
    """A stride of 2, a grouped and a depthwise convolution, a residual add, functions that are no modules."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.stem = nn.Conv2d(1, 4, 3, stride=2, padding=1)
            self.norm = nn.BatchNorm2d(4)
            self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
            self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
            self.after = nn.BatchNorm2d(4)
            self.head = nn.Linear(4, 3)
            for norm in (self.norm, self.after):
                nn.init.uniform_(norm.running_mean, -0.5, 0.5)
                nn.init.uniform_(norm.running_var, 0.5, 2.0)
                nn.init.uniform_(norm.weight, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.stem(x)))
        x = functional.relu(x + self.after(self.depthwise(self.grouped(x))))
        return self.head(x.mean(dim=(2, 3)))


def residual_task() -> Task:
    return network_task(Residual(), 1, 6, 6)


def test_a_residual_network_of_groups_is_rounded_group_by_group() -> None:
    shapes = [instance.shape for instance in stages(residual_task())]
    assert shapes == [(4, 10), *[(2, 19)] * 2, *[(1, 10)] * 4, (3, 5)]


def test_each_weight_of_a_grouped_convolution_moves_by_less_than_a_step() -> None:
    task = residual_task()
    folded = task.copy()
    assert fold_batch_norms(folded) == ["stem", "depthwise"]
    compressed = drive(task, bits=4, per="channel")
    for name in ("stem", "grouped", "depthwise", "head"):
        before = folded.get_submodule(name).weight.detach().double().flatten(1).numpy()
        after = compressed.get_submodule(name).weight.detach().double().flatten(1).numpy()
        step = grid_for(before, bits=4, grid="minmax", per="channel").step
        assert (np.abs(after - before) < step).all()
        assert (after != before).any()


def test_the_loss_of_a_group_is_the_error_of_its_own_outputs() -> None:
    part = nn.Conv2d(2, 4, (1, 2), groups=2)
    x = inputs_of((2, 3, 3))
    grams, low, high = gram_of_inputs(nn.Sequential(part), "0", x)
    made = grid_for(matrix_of(part), bits=2, grid="minmax", per="tensor")
    step = (max(high, 0) - min(low, 0)) / 255
    weights, bias = matrix_of(part), bias_of(part)
    exact = part.double()(x.double()).detach()
    for group, gram in enumerate(grams):
        rows = slice(2 * group, 2 * group + 2)
        layer = rows_rounding(weights, bias, gram, made, rows=rows, input_step=step)
        rounded = copy.deepcopy(part)
        bits = layer.instance.settle(np.random.default_rng(group).integers(0, 2, layer.instance.shape))
        with torch.no_grad():
            rounded.weight[layer.rows] = torch.tensor(layer.weights(bits)).reshape(2, 1, 1, 2)
            rounded.bias[layer.rows] = torch.tensor(layer.bias(bits))
        error = (rounded(x.double()) - exact).detach()
        assert float((error**2).mean(dim=(0, 2, 3)).sum()) == pytest.approx(layer.instance.loss(bits))
        assert float((error[:, : 2 * group] ** 2).sum() + (error[:, 2 * group + 2 :] ** 2).sum()) == 0.0


# ---- BatchNorms


def test_folding_leaves_the_output_as_it_was() -> None:
    for network, shape in ((cnn(), (1, 4, 4)), (Residual().eval(), (1, 6, 6))):
        x = inputs_of(shape)
        before = network(x).detach()
        folded = copy.deepcopy(network)
        assert fold_batch_norms(folded)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        torch.testing.assert_close(folded(x).detach(), before, rtol=1e-5, atol=1e-6)


def test_a_layer_that_feeds_more_than_its_batch_norm_is_not_folded() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.layer(x)
            return y + self.norm(y)

    network = Shared().eval()
    before = weights.weights_checksum(network)
    assert fold_batch_norms(network) == []
    assert weights.weights_checksum(network) == before


def test_a_batch_norm_without_statistics_stays() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)).eval()
    assert fold_batch_norms(network) == []


def test_a_batch_norm_of_a_network_that_cannot_be_traced_stays_and_the_reason_is_told() -> None:
    class Untraceable(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if float(x.sum()) > 0 else x

    network = Untraceable(nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    folds = fold_batch_norms(network)
    assert folds == []
    assert folds.left.keys() == {"1"}
    assert folds.left["1"].startswith("torch.fx cannot trace the network: ")
    assert "\n" not in folds.left["1"]


# ---- int8 activations


def test_eight_bit_inputs_lie_on_a_grid_that_holds_zero() -> None:
    x = torch.linspace(-1.5, 3.0, 1000)
    rounded = QuantizedInput(-1.0, 3.0)(x)
    step = 4.0 / 255
    assert float((rounded - x.clamp(-1.0, 3.0)).abs().max()) <= step * 0.5001 + 1e-6
    assert len(torch.unique(rounded)) == 256
    assert float(QuantizedInput(0.5, 3.0)(torch.zeros(1))) == 0.0


def test_eight_bit_activations_are_in_the_gram_matrix_and_in_the_network() -> None:
    task = mlp_task()
    exact, rounded = (stages(task, activations=kind)[1].gram for kind in ("float", "int8"))
    assert 0 < np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()
    compressed = drive(task, activations="int8")
    assert isinstance(compressed[2], nn.Linear)
    assert isinstance(compressed[2].input_quantizer, QuantizedInput)
    torch.testing.assert_close(compressed[2].weight, drive(task)[2].weight, rtol=0, atol=1)


def test_activations_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match="activations must be one of float, int8, got 'int4'"):
        drive(mlp_task(), activations="int4")


def test_a_layer_of_two_names_is_refused_for_eight_bit_activations() -> None:
    layer = nn.Linear(3, 3)
    network = nn.Sequential(layer, nn.ReLU(), layer)
    with pytest.raises(InputError, match="layers must not share a module for int8 activations, got 0 and 2"):
        quantize_input(network, "0", QuantizedInput(0.0, 1.0))


def neuron(task: Task, **parameters) -> tuple[list[problems.Rounding], nn.Module]:
    """The one instance of `adaround-neuron`, and the network with all its bits down."""
    return replay("adaround-neuron", task, lambda _, one: one.settle(np.zeros(one.shape)), **parameters)


def test_one_neuron_is_a_row_of_its_layer_and_changes_no_other() -> None:
    task = mlp_task()
    whole = stages(task, bits=3)[1]
    (one,), compressed = neuron(task, layer=1, neuron=2, bits=3)
    np.testing.assert_array_equal(one.gram, whole.gram)
    np.testing.assert_array_equal(one.shift, whole.shift[[2]])
    np.testing.assert_array_equal(one.fixed, whole.fixed[[2]])
    down = drive(task, lambda _, instance: instance.settle(np.zeros(instance.shape)), bits=3)
    assert torch.equal(compressed[2].weight[2], down[2].weight[2])
    assert torch.equal(compressed[2].bias[2], down[2].bias[2])
    rest = [0, 1, 3]
    assert torch.equal(compressed[2].weight[rest], task.network[2].weight[rest])
    assert torch.equal(compressed[2].bias[rest], task.network[2].bias[rest])
    assert torch.equal(compressed[0].weight, task.network[0].weight)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"layer": 3}, r"layer must be an integer in \[0, 2\], got 3"),
        ({"layer": 1, "neuron": 4}, r"neuron must be an integer in \[0, 3\], got 4"),
    ],
)
def test_a_neuron_that_is_not_there_is_refused(parameters, message) -> None:
    with pytest.raises(InputError, match=message):
        neuron(mlp_task(), **parameters)


@pytest.mark.parametrize("sequential", [False, True])
def test_the_network_that_calibrates_is_folded_once(sequential: bool) -> None:
    layers = WeightLayers(problems.classification_task("digits-mlp", calibration=20), sequential=sequential)
    seen = [one.layers.source for one in layers]
    assert len(seen) == 2
    assert all(one is seen[0] for one in seen)
    assert (seen[0] is layers.network) is sequential
    for one in layers:
        rows = [span for span, _ in one.groups()]
        assert [(span.start, span.stop) for span in rows] == [(0, len(one.part.weight))]
