"""A foreign network's copy: unwrapped, in eval mode, weights plain, outputs as they were."""

from __future__ import annotations

import copy
import threading
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm

from qubopress import suites
from qubopress.problems import InputError
from qubopress.problems.layers.agreement import same_outputs
from qubopress.problems.layers.prepared import prepared


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return drawn(8, 3, 6, 6).to(dtype)


def plain() -> nn.Sequential:
    """Two convolutions and a head on images (3, 6, 6)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, 5),
        )


class Doubled(nn.Module):
    """A parametrization of a user's own, without an inverse."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.tanh() * 2


class Scaled:
    """A hook of a user's own that makes `weight` of `weight_orig`, as equalised learning rates do."""

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        module.weight = module.weight_orig * 0.5


def scaled(layer: nn.Module) -> nn.Module:
    weight = layer._parameters.pop("weight")
    layer.register_parameter("weight_orig", weight)
    layer.register_forward_pre_hook(Scaled())
    layer.weight = weight.detach() * 0.5
    return layer


def stateless(layer: nn.Module) -> nn.Module:
    """A weight that torch leaves a bare tensor: a frozen weight norm, taken off by torch."""
    parametrizations.weight_norm(layer).requires_grad_(False)
    return parametrize.remove_parametrizations(layer, "weight")


def old_norm(layer: nn.Module, name: str = "weight") -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return old_weight_norm(layer, name)


def pruned_norm(layer: nn.Module) -> nn.Module:
    return prune.l1_unstructured(old_norm(layer), "weight_v", amount=0.5)


MAKERS = {
    "old weight norm": old_norm,
    "weight norm": parametrizations.weight_norm,
    "old spectral norm": old_spectral_norm,
    "spectral norm": parametrizations.spectral_norm,
    "mask": lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5),
    "two masks": lambda layer: prune.random_unstructured(
        prune.ln_structured(layer, "weight", amount=2, n=2, dim=0), "weight", amount=3
    ),
    "masked bias": lambda layer: prune.random_unstructured(layer, "bias", amount=2),
    "masked weight norm": pruned_norm,
    "own parametrization": lambda layer: (
        parametrize.register_parametrization(layer, "weight", Doubled()) or layer
    ),
    "two parametrizations": lambda layer: (
        parametrize.register_parametrization(parametrizations.weight_norm(layer), "weight", Doubled())
        or layer
    ),
    "own hook": scaled,
    "bare tensor": stateless,
}


def norms(maker: str) -> nn.Sequential:
    """The plain network, every layer's weight made by one of `MAKERS`."""
    network = plain()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)  # a random mask is drawn from the global generator
        for at in (0, 2, 5):
            MAKERS[maker](network[at])
    return network


def looks(model: nn.Module) -> dict[str, Any]:
    """All that a caller can see of a model, values included."""
    return {
        "state": {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
        "grads": [(name, parameter.requires_grad) for name, parameter in model.named_parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [list(module._forward_pre_hooks.values()) for module in model.modules()],
        "kinds": [type(module) for module in model.modules()],
        "made": [key for module in model.modules() for key in vars(module)],
    }


def assert_untouched(model: nn.Module, before: dict[str, Any]) -> None:
    now = looks(model)
    state, was = now.pop("state"), before.pop("state")
    assert now == before
    assert state.keys() == was.keys()
    assert all(torch.equal(tensor, was[name]) for name, tensor in state.items())


@pytest.mark.parametrize("maker", MAKERS)
def test_weights_that_are_made_anew_become_plain_and_the_outputs_stay(maker: str) -> None:
    model, x = norms(maker), images()
    model.eval()(x)
    before = looks(model.train())
    network = prepared(model, x)
    assert_untouched(model, before)
    assert sorted(name for name, _ in network.named_parameters()) == sorted(dict(plain().named_parameters()))
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert not any(module.training for module in network.modules())
    with torch.no_grad():
        torch.testing.assert_close(network(x), model.eval()(x))
        torch.testing.assert_close(copy.deepcopy(network)(x), model(x))


@pytest.mark.parametrize("maker", sorted(MAKERS))
def test_a_made_weight_is_rounded_and_the_outputs_stay_close(maker: str) -> None:
    model, x = norms(maker).eval(), images()
    with torch.no_grad():
        expected = model(x)
    smaller = suites.compress(model, (x, torch.arange(8) % 5), bits=8, solver="round-to-nearest")
    with torch.no_grad():
        error = float((smaller(x) - expected).norm() / expected.norm())
    assert 0 < error <= 0.01
    for at in (0, 2, 5):
        rows = smaller[at].weight.detach().flatten(1)
        assert all(len(row.unique()) <= 256 for row in rows)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("grid", ["minmax", "mse", "code"])
def test_pruned_zeros_are_zeros_after_rounding_to_nearest(bits: int, grid: str) -> None:
    model, x = norms("mask"), images()
    y = torch.arange(8) % 5
    smaller = suites.compress(model, (x, y), bits=bits, grid=grid, solver="round-to-nearest")
    for at in (0, 2, 5):
        assert (smaller[at].weight[model[at].weight_mask == 0] == 0).all()


def test_a_made_weight_asks_for_a_gradient_where_its_parts_did() -> None:
    model = norms("weight norm")
    model[2].requires_grad_(False)
    network = prepared(model)
    assert [network[at].weight.requires_grad for at in (0, 2, 5)] == [True, False, True]
    assert isinstance(network[2].weight, nn.Parameter)


def test_a_parametrized_model_still_works_after_its_copy_was_baked() -> None:
    model, x = norms("weight norm").eval(), images()
    before = model(x)
    prepared(model)
    torch.testing.assert_close(model(x), before)
    assert all(parametrize.is_parametrized(model[at], "weight") for at in (0, 2, 5))


@pytest.mark.parametrize("norm", [old_norm, parametrizations.weight_norm], ids=["old", "new"])
def test_a_recurrent_layer_runs_on_its_baked_weights(norm: Any) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTM(4, 5, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.cell(x)[0][:, -1]

    model, x = Last().eval(), drawn(3, 6, 4)
    for name in ("weight_hh_l0", "weight_ih_l0_reverse"):
        norm(model.cell, name)
    network = prepared(model, x)
    torch.testing.assert_close(network(x), model(x))
    with torch.no_grad():
        network.cell.weight_hh_l0.zero_()
    assert not torch.allclose(network(x), model(x))


# ---- wrappers, and what only looks like one


@pytest.mark.filterwarnings("ignore")  # torch warns of what it has deprecated
@pytest.mark.parametrize(
    "wrap",
    [torch.compile, nn.DataParallel, lambda model: torch.compile(nn.DataParallel(model))],
    ids=["compile", "data-parallel", "both"],
)
def test_a_wrapper_is_taken_off_wherever_it_stands(wrap: Any) -> None:
    model, x = plain().eval(), images()
    network = prepared(wrap(model), x)
    assert type(network) is nn.Sequential
    assert network is not model
    torch.testing.assert_close(network(x), model(x))
    nested = prepared(nn.Sequential(wrap(model), nn.ReLU()), x)
    assert type(nested[0]) is nn.Sequential
    torch.testing.assert_close(nested(x), model(x).relu())


@pytest.mark.filterwarnings("ignore")  # torch warns of what it has deprecated
def test_a_model_compiled_in_place_is_copied_uncompiled() -> None:
    model, x = plain().eval(), images()
    model.compile()
    network = prepared(model, x)
    assert network._compiled_call_impl is None
    assert model._compiled_call_impl is not None


def test_a_model_in_half_precision_stays_so() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        model = norms("weight norm").to(dtype)
        network = prepared(model, images(dtype))
        assert {parameter.dtype for parameter in network.parameters()} == {dtype}
        assert same_outputs(network, model, images(dtype))


def test_shared_weights_stay_shared() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    network = prepared(model)
    assert network[2].weight is network[0].weight
    for layer in (model[0], model[2]):
        parametrize.register_parametrization(layer, "weight", Doubled())
    model[2].parametrizations.weight.original = model[0].parametrizations.weight.original
    network = prepared(model)
    assert network[2].weight is network[0].weight
    assert network[0].weight is not model[0].weight


def test_a_mask_on_one_of_two_layers_that_share_a_weight_leaves_the_other_whole() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    network = prepared(model, drawn(5, 4))
    assert (network[0].weight == 0).sum() == 8
    assert not (network[2].weight == 0).any()


def test_extra_state_survives() -> None:
    class Counting(nn.Linear):
        def get_extra_state(self) -> Any:
            return {"seen": self.seen}

        def set_extra_state(self, state: Any) -> None:
            self.seen = state["seen"]

    model = nn.Sequential(Counting(4, 3))
    model[0].seen = 7
    smaller = suites.compress(model, (drawn(8, 4), torch.arange(8) % 3), bits=8)
    assert smaller.state_dict()["0._extra_state"] == {"seen": 7}
    smaller.load_state_dict(model.state_dict())


def test_hooks_of_other_kinds_stay_and_count() -> None:
    model, x = norms("weight norm").eval(), images()
    model[2].register_forward_hook(lambda module, arguments, output: output * 2)
    model[5].register_forward_pre_hook(lambda module, arguments: (arguments[0] + 1,))
    network = prepared(model, x)
    torch.testing.assert_close(network(x), model(x))
    assert len(network[2]._forward_hooks) == len(network[5]._forward_pre_hooks) == 1


def test_a_tensor_that_a_graph_made_is_copied_by_value() -> None:
    model = plain().eval()
    model.kept = {"features": [model(images())]}
    network = prepared(model)
    assert network.kept["features"][0].grad_fn is None
    assert model.kept["features"][0].grad_fn is not None
    torch.testing.assert_close(network.kept["features"][0], model.kept["features"][0])


# ---- what is refused


class Locked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 3)
        self.lock = threading.Lock()


def quantized() -> nn.Module:
    return torch.ao.nn.quantized.Linear(3, 3)


def peeking() -> nn.Module:
    layer = nn.Linear(3, 3)
    made = layer._parameters.pop("weight")
    layer.register_forward_pre_hook(
        lambda module, arguments: setattr(module, "weight", made * arguments[0].sum())
    )
    layer.weight = made.detach()
    return layer


REFUSED = {
    "lazy": (
        lambda: nn.LazyLinear(3),
        "initialised, got no shape yet for 1.weight; run it once on a sample first",
    ),
    "lazy norm": (nn.LazyBatchNorm1d, "initialised, got no shape yet for 1.weight; run it once on a sample"),
    "scripted": (
        lambda: torch.jit.script(nn.Linear(3, 3)),
        "got a scripted or traced one in 1; pass the module",
    ),
    "traced": (
        lambda: torch.jit.trace(nn.Linear(3, 3), torch.zeros(1, 3)),
        "got a scripted or traced one in 1; pass the module that it was made from",
    ),
    "meta": (
        lambda: nn.Linear(3, 3, device="meta"),
        "got 1.weight on the meta device; load the weights first",
    ),
    "quantized": (quantized, "got a quantized Linear in 1; pass the float model that it was made from"),
    "locked": (Locked, r"copyable by copy\.deepcopy, got TypeError: .* for 1\.lock; take that attribute off"),
    "peeking": (
        peeking,
        "weight of layer 1 must be a parameter, got a tensor that a hook makes before each run",
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch warns of what it has deprecated
@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_real_weights_is_refused_in_one_line_with_the_cure(kind: str) -> None:
    make, words = REFUSED[kind]
    model = nn.Sequential(nn.Flatten(), make())
    with pytest.raises(InputError, match=words) as caught:
        prepared(model)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # torch warns of what it has deprecated
def test_an_exported_program_is_copied_as_other_modules_are() -> None:
    model, x = plain().eval(), images()
    network = prepared(torch.export.export(model, (x,)).module(), x)
    torch.testing.assert_close(network(x), model(x))


def test_a_hook_that_only_seems_to_make_a_weight_of_parameters_is_found_out_by_the_outputs() -> None:
    class Swaying:
        calls = 0

        def __call__(self, module: nn.Module, inputs: Any) -> None:
            Swaying.calls += 1
            module.weight = module.weight_orig * Swaying.calls

    layer = nn.Linear(4, 3)
    layer.register_parameter("weight_orig", layer._parameters.pop("weight"))
    layer.weight = layer.weight_orig.detach()
    layer.register_forward_pre_hook(Swaying())
    with pytest.raises(
        InputError, match="must put out the same once its weights are plain parameters, got other"
    ):
        prepared(nn.Sequential(layer), drawn(8, 4))


def test_nothing_global_changes() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    prepared(norms("old weight norm"), images())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
