"""Channels that go together are found, each in its place, and each costs what it should."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from grouped import IMAGE, OURS, SHARING, Net, conv, head, masks, sharing_task
from tiny import mlp, network_task, one_thread
from torch import nn
from torch.nn import functional

from qubopress.problems import InputError
from qubopress.problems.layers.costs import costs
from qubopress.problems.networks import weights
from qubopress.problems.pruning.groups import UNITS, Groups, prunable, shares
from qubopress.problems.pruning.surgery import mask, shrink
from qubopress.problems.tasks.rules import Rules

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

CHANNELS = {
    "residual": [("a", 5, ["a"]), ("b", 4, ["norm", "side"])],
    "identity_residual": [("stem", 4, ["stem", "norm2"]), ("c1", 3, ["relu1"])],
    "pre_activation": [("stem", 4, ["stem", "c"])],
    "concatenation": [("a", 3, ["a"]), ("b", 4, ["b"]), ("last", 3, ["last"])],
    "dense_block": [("a", 3, ["a"]), ("b", 4, ["b"]), ("last", 3, ["last"])],
    "twice": [("a", 3, ["a"]), ("last", 3, ["last"])],
    "separable": [("0", 4, ["2", "5"]), ("6", 5, ["6"])],
    "strided": [("0", 4, ["2"]), ("3", 3, ["4"])],
    "half_unet": [("a", 4, ["a", "b"]), ("last", 3, ["last"])],
    "unet": [("a", 4, ["a"]), ("down", 5, ["down"]), ("up", 3, ["up"]), ("last", 3, ["last"])],
    "with_inputs": [("a", 3, ["a"]), ("b", 4, ["b"]), ("last", 3, ["last"])],
    "squeeze": [("a", 4, ["a", "up"]), ("down", 2, ["down"]), ("last", 3, ["last"])],
    "slopes": [("0", 4, ["2"]), ("3", 3, ["4"])],
    "denoiser": [("a", 4, ["a"])],
}
"""Of each network: name and width of its groups, and where their chains end."""


def short(name: str) -> str:
    return name.removeprefix("layers.")


def found(name: str) -> Groups:
    return prunable(sharing_task(SHARING[name]))


def places(groups: Groups, name: str) -> dict[str, list[list[int]]]:
    """Where the channels of a group lie in the layers that read them."""
    group = groups.groups[[short(own) for own in groups.names].index(name)]
    return {short(taker.name): taker.places.tolist() for taker in group.takers}


# ---- Which groups there are


@pytest.mark.parametrize("name", SHARING)
def test_channels_that_are_added_or_multiplied_are_one_group_and_others_are_apart(name) -> None:
    groups = found(name)
    ends = [[short(chain[-1]) for chain in group.chains] for group in groups.groups]
    listed = [(short(own), width, e) for own, width, e in zip(groups.names, groups.widths, ends, strict=True)]
    assert listed == CHANNELS[name]


def test_a_chain_is_a_layer_its_norms_and_its_activation() -> None:
    groups = found("separable")
    assert groups.groups[0].chains == (("0", "1", "2"), ("3", "4", "5"))


def test_a_chain_ends_where_another_layer_reads_too() -> None:
    assert [short(name) for name in found("identity_residual").groups[0].chains[0]] == ["stem"]


def test_a_chain_ends_before_an_addition_in_place() -> None:
    def run(f, x):
        side, h = f["b"](x), f["a"](x)
        h += side
        return f["head"](f["relu"](f["norm"](h)))

    parts = {"norm": nn.BatchNorm2d(4), "relu": nn.ReLU(), "head": head(4)}
    groups = prunable(sharing_task(lambda: Net(run, a=conv(2, 4), b=conv(2, 4), **parts)))
    assert groups.groups[0].chains == (("layers.b",), ("layers.a",))


def test_a_residual_network_of_ours_has_a_group_a_stage_and_one_inside_each_block() -> None:
    groups = prunable(network_task(weights.load_network("fashion-resnet"), *OURS["fashion-resnet"]))
    assert groups.widths == (8, 8, 8, 16, 16, 16)
    assert groups.groups[0].chains == (
        ("stem", "norm", "relu"),
        ("block1a.conv2", "block1a.norm2"),
        ("block1b.conv2", "block1b.norm2"),
    )
    readers = [taker.name for taker in groups.groups[0].takers]
    assert set(readers) == {"block1a.conv1", "block1b.conv1", "block2a.conv1", "block2a.shortcut"}


def test_hidden_units_of_dense_layers_are_groups() -> None:
    groups = prunable(network_task(mlp(5, 6, 4, 3), 5))
    assert (groups.names, groups.widths, groups.total) == (("0", "2"), (6, 4), 10)
    assert groups.spans() == [slice(0, 6), slice(6, 10)]


def test_concatenated_channels_are_offset_in_the_layer_that_reads_them() -> None:
    groups = found("concatenation")
    assert places(groups, "a") == {"last": [[0], [1], [2]]}
    assert places(groups, "b") == {"last": [[3], [4], [5], [6]]}


def test_concatenated_inputs_of_the_network_move_the_channels_behind_them() -> None:
    assert places(found("with_inputs"), "a") == {"b": [[2], [3], [4]]}


def test_a_channel_that_is_concatenated_twice_has_two_places() -> None:
    assert places(found("twice"), "a") == {"last": [[0, 3], [1, 4], [2, 5]]}


def test_a_flattened_channel_has_a_feature_for_each_position() -> None:
    assert places(found("strided"), "3") == {"6": np.arange(12).reshape(3, 4).tolist()}


def test_every_channel_of_every_layer_knows_its_variable() -> None:
    groups = found("dense_block")
    outputs = {short(name): variables.tolist() for name, variables in groups.outputs.items()}
    inputs = {short(name): variables.tolist() for name, variables in groups.inputs.items()}
    both = [0, 1, 2, 3, 4, 5, 6]
    assert outputs == {"a": [0, 1, 2], "b": [3, 4, 5, 6], "norm": both, "depth": both, "last": [7, 8, 9]}
    assert inputs == {"b": [0, 1, 2], "last": both, "head.2": [7, 8, 9]}


def test_a_channel_that_is_no_variable_is_marked() -> None:
    inputs = found("with_inputs").inputs
    assert inputs["layers.b"].tolist() == [-1, -1, 0, 1, 2]


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (lambda: nn.Sequential(conv(2, 4), nn.GroupNorm(2, 4), conv(4, 3), head(3)), ("2",)),
        (lambda: nn.Sequential(conv(2, 4), conv(4, 6, groups=2), conv(6, 3), head(3)), ("2",)),
        (lambda: nn.Sequential(conv(2, 4), conv(4, 8, groups=4), conv(8, 3), head(3)), ("2",)),
        (lambda: nn.Sequential(conv(2, 8), nn.PixelShuffle(2), conv(2, 3), head(3)), ("2",)),
        (lambda: nn.Sequential(conv(2, 1), nn.ReLU(), conv(1, 3), head(3)), ("2",)),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 6), nn.LayerNorm(6), mlp(6, 4, 3)),
            ("3.0",),
        ),
        (
            lambda: Net(
                lambda f, x: f["head"](f["b"](f["a"](x)[:, 1:])), a=conv(2, 4), b=conv(3, 3), head=head(3)
            ),
            ("layers.b",),
        ),
        (
            lambda: Net(
                lambda f, x: f["head"](f["b"](f["a"](x) + x.mean(dim=1, keepdim=True))),
                a=conv(2, 4),
                b=conv(4, 3),
                head=head(3),
            ),
            ("layers.b",),
        ),
    ],
    ids=["group norm", "grouped", "multiplier", "shuffled", "single", "layer norm", "sliced", "with inputs"],
)
def test_channels_that_cannot_go_alone_are_left_out(build, names) -> None:
    assert prunable(sharing_task(build)).names == names


def test_channels_that_are_added_to_some_of_another_layer_are_left_out() -> None:
    def run(f, x):
        both = torch.cat([f["a"](x), f["b"](x)], dim=1)
        return f["head"](f["last"](both + f["wide"](x)))

    parts = {"wide": conv(2, 7), "last": conv(7, 3), "head": head(3)}
    assert prunable(sharing_task(lambda: Net(run, a=conv(2, 3), b=conv(2, 4), **parts))).names == (
        "layers.last",
    )


# ---- Networks that cannot be pruned


def plain(middle: nn.Module) -> nn.Module:
    return nn.Sequential(conv(2, 4), middle, conv(4, 3), head(3))


def functional_net(change) -> nn.Module:
    return Net(lambda f, x: f["head"](f["b"](change(f["a"](x)))), a=conv(2, 4), b=conv(4, 3), head=head(3))


def shuffled() -> nn.Module:
    def run(f, x):
        h = f["b"](f["a"](x).view(-1, 2, 2, 6, 6).transpose(1, 2).reshape(-1, 4, 6, 6))
        return f["head"](f["c"](h))

    return Net(run, a=conv(2, 4), b=conv(4, 2, groups=2), c=conv(2, 3), head=head(3))


def branching() -> nn.Module:
    def run(f, x):
        h = f["a"](x)
        return f["head"](f["b"](h) if h.mean() > 0 else f["c"](h))

    return Net(run, a=conv(2, 4), b=conv(4, 3), c=conv(4, 3), head=head(3))


def repeated() -> nn.Module:
    layer = conv(4, 4)
    return nn.Sequential(conv(2, 4), layer, nn.ReLU(), layer, head(4))


def tied() -> nn.Module:
    network = nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), conv(4, 4), head(4))
    network[4].weight = network[2].weight
    return network


def fixed_view() -> nn.Module:
    return Net(lambda f, x: f["out"](f["a"](x).view(-1, 144)), a=conv(2, 4), out=nn.Linear(144, 3))


def broken() -> nn.Module:
    network = plain(nn.ReLU())
    nn.init.constant_(network[0].weight, torch.nan)
    return network


ZERO = "must mean nothing to later layers once they are zero, got other outputs than without them"

LEFT = {
    "sigmoid": (lambda: plain(nn.Sigmoid()), "0", ZERO, ("2",)),
    "functional sigmoid": (lambda: functional_net(torch.sigmoid), "layers.a", ZERO, ("layers.b",)),
    "softmax": (lambda: plain(nn.Softmax(1)), "0", ZERO, ("2",)),
    "constant": (lambda: functional_net(lambda h: h + 1), "layers.a", ZERO, ("layers.b",)),
    "constant on one channel": (
        lambda: functional_net(lambda h: h + (torch.arange(h.shape[1]) == 0).view(1, -1, 1, 1)),
        "layers.a",
        ZERO,
        ("layers.b",),
    ),
    "second group": (
        lambda: nn.Sequential(conv(2, 4), nn.ReLU(), conv(4, 4), nn.Sigmoid(), conv(4, 3), head(3)),
        "2",
        ZERO,
        ("0", "4"),
    ),
    "mean": (
        lambda: functional_net(lambda h: h * h.mean(dim=1, keepdim=True)),
        "layers.a",
        ZERO,
        ("layers.b",),
    ),
    "division": (
        lambda: functional_net(lambda h: h / h.norm(dim=(2, 3), keepdim=True)),
        "layers.a",
        ZERO,
        ("layers.b",),
    ),
    "flipped": (lambda: functional_net(lambda h: h.flip(1)), "layers.a", ZERO, ("layers.b",)),
    "shuffled": (shuffled, "layers.a", "its channels run through a layer that mixes", ("layers.c",)),
    "fixed view": (
        lambda: Net(
            lambda f, x: f["out"](f["b"](f["a"](x)).view(-1, 144)),
            a=conv(2, 3),
            b=conv(3, 4),
            out=nn.Linear(144, 3),
        ),
        "layers.b",
        ZERO,
        ("layers.a",),
    ),
    "repeated": (
        lambda: Net(
            lambda f, x: f["head"](f["last"](f["again"](f["again"](f["a"](x))))),
            a=conv(2, 4),
            again=conv(4, 4),
            last=conv(4, 3),
            head=head(3),
        ),
        "layers.again",
        r"layer layers\.again must run once in a pass to be pruned, got 2; give each run a layer",
        ("layers.last",),
    ),
    "tied": (
        lambda: nn.Sequential(tied(), nn.Linear(3, 5), nn.Linear(5, 3)),
        "0.2",
        r"must have weights of their own to be pruned, got 0\.2\.weight as 0\.4\.weight too; copy it",
        ("0.5.2", "1"),
    ),
    "detached": (
        lambda: functional_net(lambda h: h.detach()),
        "layers.a",
        r"gradients must reach layer layers\.a from the network's outputs for it to be pruned, got none",
        ("layers.b",),
    ),
    "sequences": (
        lambda: Net(
            lambda f, x: f["out"](f["b"](f["a"](x).relu()).flatten(1)),
            a=nn.Linear(6, 5),
            b=nn.Linear(5, 4),
            out=nn.Linear(48, 3),
        ),
        "layers.b",
        r"layer layers\.b must put out \(samples, units\) to be pruned, got shape \(1, 2, 6, 4\)",
        ("layers.a",),
    ),
}
"""Of each network: a layer that is left, why, and the groups that are pruned all the same."""

REFUSED = {
    "fixed view": (fixed_view, rf"channels of layer layers\.a {ZERO}"),
    "tied": (tied, r"must have weights of their own to be pruned, got 2\.weight as 4\.weight too; copy it"),
    "repeated": (repeated, "layer 1 must run once in a pass to be pruned, got 2; give each run a layer"),
    "branching": (branching, r"layer layers\.[bc] must run once in a pass to be pruned, got 0"),
    "detached": (
        lambda: Net(lambda f, x: f["head"](f["a"](x).detach()), a=conv(2, 4), head=head(4)),
        r"gradients must reach layer layers\.a from the network's outputs for it to be pruned, got none",
    ),
    "sigmoid": (lambda: nn.Sequential(conv(2, 4), nn.Sigmoid(), head(4)), rf"channels of layer 0 {ZERO}"),
    "sequences": (
        lambda: nn.Sequential(nn.Linear(6, 4), nn.Flatten(), nn.Linear(48, 3)),
        r"layer 0 must put out \(samples, units\) to be pruned, got shape \(1, 2, 6, 4\)",
    ),
    "outputs alone": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 3)),
        "must have a layer before its last .* it has none; of 1, its channels are inputs or outputs of the",
    ),
    "single channels": (
        lambda: nn.Sequential(conv(2, 1), head(1)),
        "two channels or more that can be pruned; it has none; of 0, it has a single channel; of 1.2, its",
    ),
    "mixed layers": (
        lambda: nn.Sequential(
            *(conv(2, 4), nn.GroupNorm(2, 4), conv(4, 4), nn.GroupNorm(2, 4), conv(4, 4), nn.GroupNorm(2, 4)),
            head(4),
        ),
        r"it has none; of 0 and 2 more, its channels run through a layer that mixes them; of 6\.2, ",
    ),
    "no layer": (nn.Flatten, "must have a layer before its last one"),
    "nan": (broken, "must put out finite numbers on the calibration data; check its weights for NaN"),
    "no gradient": (
        lambda: Net(torch.no_grad()(lambda f, x: f["head"](f["a"](x))), a=conv(2, 4), head=head(4)),
        "gradients must reach layer",
    ),
}


@pytest.mark.parametrize(("build", "name", "message", "others"), LEFT.values(), ids=LEFT)
def test_a_group_that_cannot_be_pruned_is_named_and_the_others_are_pruned(
    build, name, message, others
) -> None:
    task = sharing_task(build)
    groups = prunable(task)
    assert groups.names == others
    assert re.search(message, groups.left[name])
    assert "\n" not in groups.left[name]
    for x in masks(groups):
        network = task.copy()
        mask(network, groups, x, original=task.network)
        smaller = shrink(task.network, groups, x)
        with torch.no_grad():
            expected, found = network(task.inputs), smaller(task.inputs)
        assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_a_layer_whose_weight_is_made_at_each_run_is_left() -> None:
    task = sharing_task(lambda: nn.Sequential(conv(2, 4), conv(4, 3), head(3)))
    task = replace(task, network=task.copy())
    nn.utils.parametrizations.weight_norm(task.network[0])
    groups = prunable(task)
    assert groups.names == ("1",)
    assert "layer 0 must hold its weights itself to be pruned, got ParametrizedConv2d" in groups.left["0"]


def test_layers_that_rules_name_are_left_and_may_not_lose_an_input() -> None:
    task = sharing_task(SHARING["concatenation"])
    skipped = prunable(replace(task, rules=Rules(skip=("layers.b",))))
    assert skipped.names == ("layers.a", "layers.last")
    assert skipped.left["layers.b"] == "layer layers.b must be allowed to change, got skip names it"
    only = prunable(replace(task, rules=Rules(only=("layers.last",))))
    assert only.names == ("layers.last",)
    assert only.left["layers.a"] == "layer layers.a must be allowed to change, got only does not name it"
    with pytest.raises(InputError, match=r"layer layers\.a must be allowed to change, got skip names it"):
        prunable(replace(task, rules=Rules(skip=("layers.last",))))


def test_a_layer_with_a_weight_norm_is_pruned_by_the_weights_that_it_makes() -> None:
    made = nn.utils.parametrizations.weight_norm
    task = sharing_task(lambda: nn.Sequential(made(conv(2, 4)), conv(4, 3), head(3)))
    assert list(prunable(task).widths) == [4, 3]


@pytest.mark.parametrize(("build", "message"), REFUSED.values(), ids=REFUSED)
def test_a_network_that_cannot_be_pruned_is_refused_in_one_line(build, message) -> None:
    task = sharing_task(build)
    with pytest.raises(InputError, match=message) as caught:
        prunable(task)
    assert "\n" not in str(caught.value)


def test_a_network_that_puts_out_no_tensor_is_refused() -> None:
    task = sharing_task(SHARING["strided"])
    task.network.register_forward_hook(lambda *_: (torch.ones(1), torch.ones(1)))
    with pytest.raises(
        InputError, match="torch-pruning must be able to trace the network, got TypeError: the"
    ):
        prunable(task)


def test_a_network_that_runs_on_single_samples_only_is_refused() -> None:
    task = sharing_task(SHARING["strided"])
    task.network.register_forward_hook(lambda _, __, output: output.view(1, 3))
    with pytest.raises(
        InputError, match="must run on 8 samples of the calibration data at once, got Runtime"
    ):
        prunable(task)


# ---- What the search leaves behind


def test_the_network_is_left_as_it_was() -> None:
    task = sharing_task(SHARING["residual"])
    task.network.train()
    task.network.layers["norm"].eval()
    task.network.layers["a"].requires_grad_(False)
    before = weights.weights_checksum(task.network)
    modes = [part.training for part in task.network.modules()]
    asking = [parameter.requires_grad for parameter in task.network.parameters()]
    prunable(task)
    assert weights.weights_checksum(task.network) == before
    assert [part.training for part in task.network.modules()] == modes
    assert [parameter.requires_grad for parameter in task.network.parameters()] == asking
    assert all(parameter.grad is None for parameter in task.network.parameters())


def test_groups_are_found_where_gradients_are_switched_off() -> None:
    with torch.no_grad():
        assert found("residual").widths == (5, 4)
        assert not torch.is_grad_enabled()


def test_nothing_is_printed(capsys) -> None:
    class Scaled(nn.Module):
        """A parameter of its own, which Torch-Pruning tells of."""

        def __init__(self) -> None:
            super().__init__()
            self.scale, self.a, self.b = nn.Parameter(torch.ones(1, 4, 1, 1)), conv(2, 4), conv(4, 3)
            self.head = head(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(functional.relu(self.b(self.a(x) * self.scale)))

    assert prunable(sharing_task(Scaled)).names == ("b",)
    assert capsys.readouterr() == ("", "")


def test_torch_pruning_is_imported_by_need() -> None:
    code = "import sys, qubopress.suites; print('torch_pruning' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


# ---- Costs


def test_a_weight_between_two_channels_counts_half_to_each() -> None:
    task = sharing_task(lambda: nn.Sequential(conv(2, 4), nn.BatchNorm2d(4), conv(4, 5), head(5)))
    groups = prunable(task)
    first, second = 2 * 9, 4 * 5 * 9 / 2
    parameters = [first + 1 + 2 + second / 4] * 4 + [second / 5 + 1 + 3] * 5
    assert shares(task, groups, "parameters").tolist() == pytest.approx(parameters)
    products = [36 * (first + second / 4)] * 4 + [36 * second / 5 + 3] * 5
    assert shares(task, groups, "products").tolist() == pytest.approx(products)
    assert shares(task, groups, "filters").tolist() == [1.0] * 9


@pytest.mark.parametrize("name", OURS)
def test_the_costs_of_all_channels_are_those_of_the_network_but_for_its_last_bias(name) -> None:
    task = network_task(weights.load_network(name), *OURS[name])
    groups = prunable(task)
    parameters = sum(parameter.numel() for parameter in task.network.parameters()) - 10
    assert shares(task, groups, "parameters").sum() == pytest.approx(parameters)
    assert shares(task, groups, "products").sum() == costs(task.network, task.inputs).products
    assert shares(task, groups, "filters").sum() == groups.total


@pytest.mark.parametrize("name", SHARING)
def test_every_channel_costs_something_and_no_more_than_there_is(name) -> None:
    task = sharing_task(SHARING[name])
    groups = prunable(task)
    all_of = {
        "filters": groups.total,
        "parameters": sum(parameter.numel() for parameter in task.network.parameters()),
        "products": costs(task.network, task.inputs).products,
    }
    for unit in UNITS:
        cost = shares(task, groups, unit)
        assert cost.shape == (groups.total,)
        assert (cost > 0).all()
        assert cost.sum() <= all_of[unit]


def test_products_of_a_transposed_convolution_are_counted_by_its_inputs() -> None:
    network = nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2), head(3))
    assert costs(network, torch.zeros(1, *IMAGE)).products == 36 * 2 * 3 * 4 + 9


def test_an_unknown_unit_is_refused() -> None:
    task = sharing_task(SHARING["strided"])
    with pytest.raises(InputError, match="unit must be one of filters, parameters, products, got 'macs'"):
        shares(task, prunable(task), "macs")
