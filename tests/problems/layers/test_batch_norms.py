"""BatchNorms go into the layers before them where the network then does what it did, and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from qubopress import suites
from qubopress.problems import InputError
from qubopress.problems.layers.agreement import same_outputs
from qubopress.problems.layers.batch_norms import Folds, fold_batch_norms


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def trained(make: Callable[[], nn.Module]) -> nn.Module:
    """A network in eval mode whose BatchNorms have statistics, scales and shifts of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        network = make().eval()
        for norm in network.modules():
            if isinstance(norm, _BatchNorm) and norm.running_mean is not None:
                for tensor, low, high in (
                    (norm.running_mean, -0.5, 0.5),
                    (norm.running_var, 0.2, 3.0),
                    *(((norm.weight, -1.5, 1.5), (norm.bias, -0.5, 0.5)) if norm.affine else ()),
                ):
                    nn.init.uniform_(tensor, low, high)
    return network


def fold(network: nn.Module, x: Tensor) -> tuple[Folds, nn.Module]:
    """A copy with its BatchNorms folded, and what was; both put out the same."""
    folded = copy.deepcopy(network)
    folds = fold_batch_norms(folded, x)
    assert same_outputs(network, folded, x)
    stay = {name for name, module in folded.named_modules() if isinstance(module, _BatchNorm)}
    assert folds.left.keys() == stay
    return folds, folded


EXACT = {
    "Linear": (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)), (9, 4)),
    "Linear without affine": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False)),
        (9, 4),
    ),
    "Conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6)), (9, 4, 6)),
    "Conv1d on as many places as channels": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6)),
        (9, 4, 6),
    ),
    "Conv2d": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)), (9, 4, 5, 5)),
    "Conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3)), (9, 2, 3, 4, 3)),
    "ConvTranspose1d": (lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 3), nn.BatchNorm1d(6)), (9, 4, 5)),
    "ConvTranspose2d of groups": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, bias=False), nn.BatchNorm2d(6)),
        (9, 4, 3, 3),
    ),
    "ConvTranspose3d": (
        lambda: nn.Sequential(nn.ConvTranspose3d(2, 3, 2), nn.BatchNorm3d(3)),
        (9, 2, 3, 3, 3),
    ),
    "SyncBatchNorm": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.SyncBatchNorm(6)), (9, 4, 5, 5)),
}


@pytest.mark.parametrize("kind", EXACT)
def test_a_batch_norm_goes_into_a_layer_of_any_kind_whose_outputs_it_scales(kind: str) -> None:
    make, shape = EXACT[kind]
    folds, folded = fold(trained(make), drawn(*shape))
    assert (folds, folds.left) == (["0"], {})
    assert type(folded[1]) is nn.Identity


@pytest.mark.parametrize("tokens", [5, 6])
def test_a_batch_norm_of_tokens_stays_behind_a_linear(tokens: int) -> None:
    network = trained(lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(tokens)))
    folds, _ = fold(network, drawn(9, tokens, 4))
    assert folds == []
    words = "another axis than that of the outputs of 0" if tokens == 6 else "Linear puts out other features"
    assert words in folds.left["1"]


@pytest.mark.parametrize("tokens", [5, 6])
def test_a_network_with_a_batch_norm_of_tokens_is_rounded_to_a_hundredth(tokens: int) -> None:
    network = trained(
        lambda: nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(tokens), nn.ReLU(), nn.Flatten(), nn.Linear(6 * tokens, 3)
        )
    )
    x = drawn(40, tokens, 4)
    smaller = suites.compress(network, (x, torch.arange(40) % 3), bits=8, solver="round-to-nearest")
    with torch.no_grad():
        error = (smaller(x) - network(x)).norm() / network(x).norm()
    assert 0 < error <= 0.01


class Blend(nn.Module):
    """A traceable block inside a network that chooses by its data."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return self.norm(self.conv(x)) if float(x.sum()) > 0 else x


def test_in_a_network_that_cannot_be_traced_the_parts_that_can_be_are_folded() -> None:
    folds, _ = fold(trained(Blend), drawn(9, 3, 5, 5))
    assert folds == ["block.0"]
    assert folds.left["norm"].startswith("torch.fx cannot trace the network: ")
    assert "\n" not in folds.left["norm"]


def test_a_network_that_cannot_be_traced_is_rounded_with_its_batch_norms_in_place() -> None:
    network = trained(lambda: nn.Sequential(Blend(), nn.Flatten(), nn.Linear(36, 3)))
    x = drawn(40, 3, 5, 5)
    smaller = suites.compress(network, (x, torch.arange(40) % 3), bits=8, solver="round-to-nearest")
    with torch.no_grad():
        error = (smaller(x) - network(x)).norm() / network(x).norm()
    assert 0 < error <= 0.01
    assert isinstance(smaller[0].norm, nn.BatchNorm2d)


class Standardised(nn.Conv2d):
    """A subclass that undoes what scales its filters."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / self.weight.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        return functional.conv2d(x, weight, self.bias)


class Padded(nn.Conv2d):
    """A subclass that pads what comes in by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, (0, 1, 0, 1)))


class Active(nn.BatchNorm2d):
    """A subclass with an activation of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Peeking(nn.Sequential):
    """Reads a layer's output beside its BatchNorm through another method of the layer."""

    def forward(self, x: Tensor) -> Tensor:
        return self[1](self[0](x)) + functional.conv2d(x, self[0].weight)


STAY = {
    "weights are standardised": (
        lambda: nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)),
        "something else",
    ),
    "norm is active": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), Active(4)),
        "Active does more than normalise",
    ),
    "weight is also read": (lambda: Peeking(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "something else"),
    "norm comes first": (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)), "follows no Linear"),
    "no statistics": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        "no fixed statistics",
    ),
}


@pytest.mark.parametrize("kind", STAY)
def test_a_batch_norm_stays_where_the_network_would_put_out_something_else(kind: str) -> None:
    make, words = STAY[kind]
    network = trained(make)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folds = fold_batch_norms(network, drawn(9, 3, 5, 5))
    assert folds == []
    assert [words in reason for reason in folds.left.values()] == [True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_one_bad_fold_is_taken_back_and_the_others_stay() -> None:
    network = trained(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.BatchNorm2d(4),
            Standardised(4, 4, 3),
            nn.BatchNorm2d(4),
            Padded(4, 2, 2),
            nn.BatchNorm2d(2),
        )
    )
    folds, _ = fold(network, drawn(9, 3, 5, 5))
    assert folds == ["0", "4"]
    assert folds.left.keys() == {"3"}


def test_a_hook_between_layer_and_batch_norm_keeps_them_apart() -> None:
    network = trained(lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)))
    network[0].register_forward_hook(lambda module, arguments, output: output.relu())
    folds, _ = fold(network, drawn(9, 4))
    assert folds.left == {"1": "a hook sees what passes between it and its layer"}


def test_a_branch_that_no_sample_takes_keeps_its_batch_norm() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rare = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
            self.usual = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.rare(x) if float(x.sum()) > 1e6 else self.usual(x)

    folds, _ = fold(trained(Branch), drawn(9, 4))
    assert folds == ["usual.0"]
    assert folds.left == {"rare.1": "it does not run on the calibration data"}


def test_a_network_in_bfloat16_is_folded_in_bfloat16() -> None:
    network = trained(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).to(torch.bfloat16)
    folds, folded = fold(network, drawn(9, 3, 5, 5).to(torch.bfloat16))
    assert folds == ["0"]
    assert folded[0].weight.dtype == torch.bfloat16


def test_a_network_that_does_not_run_on_the_samples_is_refused_in_one_line() -> None:
    network = trained(lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)))
    with pytest.raises(
        InputError, match=r"must run on the calibration data, got RuntimeError: .* for samples of"
    ):
        fold_batch_norms(network, drawn(9, 3))
