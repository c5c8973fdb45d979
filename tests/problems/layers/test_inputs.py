"""What flows into a layer is what its Gram matrix is made of."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny import cnn, mlp, one_thread
from torch import nn
from torch.nn import functional

from qubopress.problems import InputError
from qubopress.problems.layers import inputs
from qubopress.problems.layers.inputs import calls, gram_of_inputs, running_order

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def samples(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


CONVS = {
    "plain": nn.Conv2d(2, 1, 3),
    "stride": nn.Conv2d(2, 1, 2, stride=(2, 1)),
    "padding": nn.Conv2d(2, 1, (3, 2), padding=(2, 1)),
    "dilation": nn.Conv2d(2, 1, 2, dilation=(2, 3)),
    "all": nn.Conv2d(2, 1, (2, 3), stride=2, padding=(1, 2), dilation=(2, 1)),
    "same": nn.Conv2d(2, 1, (2, 4), padding="same", dilation=(1, 2)),
    "valid": nn.Conv2d(2, 1, 2, padding="valid"),
    "no bias": nn.Conv2d(2, 1, 2, bias=False),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("conv", CONVS.values(), ids=CONVS.keys())
def test_the_gram_of_a_conv_gives_its_mean_squared_output_for_any_weights(conv) -> None:
    x = samples(5, 2, 7, 6)
    (gram,), _, _ = gram_of_inputs(nn.Sequential(conv), "0", x)
    rng = np.random.default_rng(1)
    for _ in range(5):
        w, b = torch.tensor(rng.standard_normal(conv.weight.shape)), torch.tensor(rng.standard_normal(1))
        output = functional.conv2d(x.double(), w, b, conv.stride, conv.padding, conv.dilation)
        whole = np.append(w.flatten().numpy(), b)
        assert whole @ gram @ whole == pytest.approx(float((output**2).mean()), rel=1e-10)


@pytest.mark.parametrize("shape", [(600, 4), (3, 5, 4)])
def test_the_gram_of_a_linear_is_the_mean_over_all_rows_and_batches(shape) -> None:
    x = samples(*shape)
    (gram,), low, high = gram_of_inputs(nn.Sequential(nn.Linear(4, 2)), "0", x)
    rows = np.column_stack([x.reshape(-1, 4).double().numpy(), np.ones(x.numel() // 4)])
    np.testing.assert_allclose(gram, rows.T @ rows / len(rows), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(gram, gram.T)
    assert (low, high) == (float(x.min()), float(x.max()))


def test_the_gram_of_a_later_layer_is_of_what_reaches_it() -> None:
    network, x = mlp(3, 4, 2), samples(9, 3)
    hidden = network[1](network[0](x)).detach().double().numpy()
    (gram,), low, _ = gram_of_inputs(network, "2", x)
    np.testing.assert_allclose(gram[:4, :4], hidden.T @ hidden / 9)
    assert low == 0.0


@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_pieces_bound_the_memory_and_do_not_change_the_gram(limit, monkeypatch) -> None:
    network, x = cnn(), samples(20, 1, 4, 4)
    whole = [gram_of_inputs(network, name, x) for name in ("0", "3", "6")]
    monkeypatch.setattr(inputs, "ELEMENTS", limit)
    for name, before in zip(("0", "3", "6"), whole, strict=True):
        after = gram_of_inputs(network, name, x)
        np.testing.assert_allclose(after[0], before[0], rtol=1e-12)
        assert after[1:] == before[1:]


def test_a_layer_that_runs_twice_sees_the_rows_of_both_runs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    network, x = Twice(), samples(4, 3)
    rows = torch.cat([x, network.layer(x).detach()]).double().numpy()
    np.testing.assert_allclose(gram_of_inputs(network, "layer", x)[0][0, :3, :3], rows.T @ rows / 8)


class Backwards(nn.Module):
    """Registers its layers against the order in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.relu, self.first = nn.Linear(3, 2), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.last(self.relu(self.first(x))))


def test_the_running_order_is_that_of_the_forward_pass() -> None:
    assert running_order(Backwards(), samples(1, 4)) == ["first", "relu", "last"]
    assert [call.name for call in calls(Backwards(), samples(1, 4))] == ["first", "relu", "last", "relu"]
    assert running_order(nn.Linear(4, 2), samples(1, 4)) == [""]


def test_a_call_follows_another_where_its_argument_is_the_others_output() -> None:
    first, relu, last, _ = calls(Backwards(), samples(1, 4))
    assert relu.argument is first.output
    assert last.argument is relu.output
    assert last.argument is not first.output


def test_hooks_are_gone_afterwards_even_if_the_network_fails() -> None:
    network = mlp(3, 2)
    gram_of_inputs(network, "0", samples(2, 3))
    with pytest.raises(InputError, match="the network must run on the calibration data"):
        running_order(network, samples(2, 5))
    assert not any(module._forward_hooks for module in network.modules())


def test_data_that_the_network_does_not_run_on_is_refused_in_one_line() -> None:
    message = (
        r"the network must run on .* got RuntimeError: .* for a sample of shape \(1, 5\) and torch.float32"
    )
    with pytest.raises(InputError, match=message) as caught:
        running_order(mlp(3, 2), samples(2, 5))
    assert "\n" not in str(caught.value)


def test_no_calibration_data_is_refused() -> None:
    with pytest.raises(InputError, match="calibration data must hold at least one sample, got none"):
        running_order(mlp(3, 2), samples(0, 3))


def test_each_group_of_a_convolution_has_the_gram_matrix_of_its_own_channels() -> None:
    x = samples(3, 4, 3, 3)
    whole = nn.Conv2d(4, 6, 2, groups=2, stride=2, padding=1)
    grams, _, _ = gram_of_inputs(nn.Sequential(whole), "0", x)
    assert grams.shape == (2, 9, 9)
    part = nn.Conv2d(2, 3, 2, stride=2, padding=1)
    for group, gram in enumerate(grams):
        (own,), _, _ = gram_of_inputs(nn.Sequential(part), "0", x[:, 2 * group : 2 * group + 2])
        np.testing.assert_allclose(gram, own, rtol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(2, 2, 2, padding=1, padding_mode="reflect"), nn.ConvTranspose2d(2, 2, 2), nn.ReLU()],
)
def test_a_layer_without_one_gram_matrix_is_refused(layer) -> None:
    with pytest.raises(InputError, match="layer 0 must be Linear or Conv2d with zero padding, got"):
        gram_of_inputs(nn.Sequential(layer), "0", samples(1, 2, 4, 4))


def test_infinite_activations_are_refused() -> None:
    network = mlp(3, 2, 2)
    with torch.no_grad():
        network[0].weight.fill_(torch.inf)
    with pytest.raises(
        InputError, match="inputs of layer 2 must be finite; check the network's weights for NaN"
    ):
        gram_of_inputs(network, "2", samples(2, 3))


PEAK = """
import resource, sys, torch
from torch import nn
from qubopress.problems.layers.inputs import gram_of_inputs
torch.set_num_threads(1)
images = torch.randn(1, 3, 32, 32).expand(int(sys.argv[1]), 3, 32, 32)
gram_of_inputs(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1)).eval(), "0", images)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_the_memory_of_a_gram_matrix_does_not_grow_with_the_images() -> None:
    few, many = (
        int(subprocess.run([sys.executable, "-c", PEAK, images], capture_output=True, check=True).stdout)
        for images in ("600", "6000")
    )
    assert many < 1.05 * few
