"""Rounding reaches every matrix of any network: outputs hardly move, levels are few, the rest is named."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny import (
    Attention,
    Bare,
    Cells,
    Experts,
    Head,
    Stack,
    Transposed,
    drawn,
    error,
    keywords,
    one_thread,
    rounded,
    task_on,
)
from torch import Tensor, nn
from torch.nn import functional

from qubopress import solvers
from qubopress.problems import InputError
from qubopress.problems.layers.samples import Inputs
from qubopress.problems.layers.uses import uses_of
from qubopress.problems.quantization import adaround, book
from qubopress.problems.quantization.codes import codes_of
from qubopress.problems.tasks.rules import Rules

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

TOKENS = torch.tensor(np.random.default_rng(0).standard_normal((24, 6, 16)), dtype=torch.float32)


def images(channels: int, *size: int) -> Tensor:
    return torch.tensor(np.random.default_rng(1).standard_normal((6, channels, *size)), dtype=torch.float32)


def chain(*parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(*parts)


CASES = {
    "packed attention": (Attention, TOKENS),
    "attention to others": (lambda: Attention(cross=True, batch_first=True), TOKENS),
    "attention of three widths": (lambda: Attention(kdim=8, vdim=4, cross=True), TOKENS),
    "Conv1d": (lambda: nn.Conv1d(6, 8, 3, padding=1, padding_mode="circular"), TOKENS),
    "Conv2d": (lambda: nn.Conv2d(2, 8, 3, padding=1, padding_mode="reflect"), images(2, 5, 5)),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1, padding_mode="replicate"), images(2, 3, 4, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(6, 8, 3, stride=2), TOKENS),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), images(4, 4, 4)),
    "bare parameters": (Bare, TOKENS),
    "tied weights": (Head, torch.arange(40).reshape(8, 5) % 20),
    "one matrix there and back": (Transposed, TOKENS),
    "experts": (Experts, TOKENS),
    "stack": (Stack, TOKENS),
    "cells": (Cells, TOKENS),
    "LSTM": (lambda: nn.LSTM(16, 8, 2, batch_first=True, bidirectional=True), TOKENS),
    "GRU": (lambda: nn.GRU(16, 8), TOKENS),
    "bfloat16": (lambda: chain(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).bfloat16(), TOKENS.bfloat16()),
    "float16": (lambda: chain(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).half(), TOKENS.half()),
}
each_case = pytest.mark.parametrize(("make", "x"), CASES.values(), ids=CASES.keys())


def most_levels(network: nn.Module, inputs: Inputs) -> int:
    """Of all rows of all matrices of a network, the most unlike weights that one holds."""
    return max(
        len(np.unique(row)) for use in uses_of(network, inputs).matrices for row in use.matrix(network)
    )


def left_float(task) -> dict[str, str]:
    return {one.parameter: one.why for one in task.ledger.fates.values() if one.outcome == "float"}


@each_case
def test_eight_bits_move_the_outputs_by_at_most_one_percent(make, x) -> None:
    network = drawn(make)
    before = copy.deepcopy(network.state_dict())
    compressed, _ = rounded(task_on(network, x), bits=8)
    assert 0 < error(network, compressed, x) <= 0.01
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert {one.dtype for one in compressed.parameters()} == {one.dtype for one in network.parameters()}


@each_case
def test_no_row_holds_more_levels_than_its_bits(make, x) -> None:
    compressed, _ = rounded(task_on(drawn(make), x), bits=2)
    assert most_levels(compressed, x) <= 4


def test_every_parameter_has_a_fate_and_a_reason_where_it_is_left() -> None:
    task = task_on(drawn(Experts), TOKENS)
    rounded(task)
    assert {*task.ledger.fates} == {name for name, _ in task.network.named_parameters()}
    assert left_float(task) == {"experts.3.weight": "nothing reached it", "experts.3.bias": "a vector"}
    one = task.ledger.fates["experts.0.weight"]
    assert (one.bits, one.numbers, one.why) == (4, 256, "")
    assert one.loss == one.nearest_loss == one.held_loss > 0


def test_rules_name_layers_to_leave_and_give_others_bits_of_their_own() -> None:
    network = drawn(lambda: chain(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 4)))
    task = task_on(network, TOKENS, rules=Rules(skip=("2",), layers={"3": {"bits": 8}}))
    compressed, stages = rounded(task, bits=2)
    assert len(stages) == 2
    assert torch.equal(compressed[2].weight, network[2].weight)
    assert left_float(task) == {"2.weight": "skip names it", "2.bias": "a vector"}
    assert [task.ledger.fates[name].bits for name in ("0.weight", "3.weight")] == [2, 8]


def test_a_rule_that_names_no_layer_is_refused() -> None:
    with pytest.raises(InputError, match="no layer named 'head'"):
        rounded(task_on(drawn(Bare), TOKENS, rules=Rules(skip=("head",))))


@pytest.mark.parametrize(("width", "most"), [(8, 256), (2, 4)])
def test_tables_are_rounded_row_by_row(width, most) -> None:
    network = drawn(lambda: chain(nn.Embedding(20, 300), nn.Linear(300, 4)))
    x = torch.arange(40).reshape(8, 5) % 20
    compressed, stages = rounded(task_on(network, x), embeddings=width)
    assert len(stages) == 1
    assert max(len(torch.unique(row)) for row in compressed[0].weight) <= most
    left = task_on(network, x)
    compressed, _ = rounded(left, embeddings=0)
    assert torch.equal(compressed[0].weight, network[0].weight)
    assert left_float(left) == {"0.weight": "embeddings=0 leaves it"}


def table(**wishes):
    network = drawn(lambda: chain(nn.Embedding(20, 300), nn.Linear(300, 4)))
    x = torch.arange(40).reshape(8, 5) % 20
    compressed, _ = rounded(task_on(network, x, **wishes.pop("on", {})), bias="float", **wishes)
    left = (compressed[0].weight - network[0].weight).norm() / network[0].weight.norm()
    return float(left.detach()), codes_of(compressed)["0.weight"]


def test_tables_have_a_step_for_each_group_as_matrices_have() -> None:
    whole, plain = table()
    grouped, codes = table(group=32)
    assert (plain.step.shape, codes.step.shape, codes.group) == ((20, 1), (20, 10), 32)
    assert grouped < 0.8 * whole
    rules = Rules(layers={"0": {"group": 32}})
    alone, codes = table(on={"rules": rules})
    assert (alone, codes.group) == (grouped, 32)


@pytest.mark.parametrize("group", [0, 32])
def test_a_table_is_the_same_however_many_rows_are_rounded_at_a_time(group, monkeypatch) -> None:
    error, codes = table(group=group)
    monkeypatch.setattr(book, "ROWS", 3)
    again, parts = table(group=group)
    assert error == again
    for name in ("codes", "step", "zero"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(codes, name))


# ---- groups


def depthwise() -> nn.Sequential:
    return chain(nn.Conv2d(40, 80, 3, groups=40), nn.ReLU(), nn.Conv2d(80, 4, 1))


def test_many_groups_are_few_stages_of_the_same_losses_and_weights(monkeypatch) -> None:
    x = images(40, 6, 6)
    together, stages = rounded(task_on(drawn(depthwise), x), bits=3)
    monkeypatch.setattr(adaround, "APART", 40)
    apart, each = rounded(task_on(drawn(depthwise), x), bits=3)
    assert (len(stages), len(each)) == (2, 41)
    losses = [sum(one.loss(one.baseline()) for one in some[:-1]) for some in (stages, each)]
    assert losses[0] == pytest.approx(losses[1])
    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_loss_of_any_answer_to_many_groups_is_the_sum_of_their_own_losses(monkeypatch) -> None:
    x, rng = images(40, 6, 6), np.random.default_rng(2)
    task = task_on(drawn(depthwise), x)
    losses = []

    def decide(stage, instance):
        bits = instance.settle(rng.integers(0, 2, instance.shape))
        losses.append(instance.loss(bits))
        return bits

    rounded(task, decide, bits=3)
    told = [one.loss for one in task.ledger.fates.values() if one.loss is not None]
    np.testing.assert_allclose(losses, told)


# ---- samples held out


def overfitted(task, **parameters):
    """A network whose answers are the best for the calibration data alone, by trying each bit."""

    def decide(stage, instance):
        x = np.array(instance.baseline())
        for place in [*np.ndindex(*instance.shape)] * 2:
            other = x.copy()
            other[place] ^= 1
            other = instance.settle(other)
            x = other if instance.loss(other) < instance.loss(x) else x
        return x

    return rounded(task, decide, **parameters)


def test_losses_on_samples_held_out_tell_of_an_answer_that_fits_noise() -> None:
    network = drawn(lambda: nn.Linear(16, 4))
    few, others = TOKENS[:1], TOKENS[4:]
    task = task_on(network, few, held=others)
    compressed, _ = overfitted(task, bits=3)
    fate = task.ledger.fates["weight"]
    assert fate.loss < fate.nearest_loss
    assert fate.held_loss > fate.held_nearest_loss
    kept = task_on(network, few, held=others)
    guarded, _ = overfitted(kept, bits=3, guard=True)
    assert torch.equal(guarded.weight, rounded(task, bits=3)[0].weight)
    assert not torch.equal(guarded.weight, compressed.weight)
    fate = kept.ledger.fates["weight"]
    assert fate.held_loss == fate.held_nearest_loss
    assert fate.why == "nearest: the answer is worse on samples held out"


# ---- int8 activations


class Reading(nn.Module):
    """Reads the weight of a module that it calls, as T5 does."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(16, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(functional.relu(self.inner(x.to(self.inner.weight.dtype))))


def test_eight_bit_inputs_leave_modules_where_they_are() -> None:
    network = drawn(Reading)
    compressed, _ = rounded(task_on(network, TOKENS), bits=8, activations="int8")
    assert type(compressed.inner) is nn.Linear
    assert error(network, compressed, TOKENS) <= 0.02
    again = copy.deepcopy(compressed)
    assert torch.equal(again(TOKENS), compressed(TOKENS))
    assert {"inner.input_quantizer.step", "inner.weight"} <= {*compressed.state_dict()}
    assert not torch.equal(compressed(TOKENS), rounded(task_on(network, TOKENS), bits=8)[0](TOKENS))


def test_a_projection_of_no_module_keeps_float_inputs_and_says_so() -> None:
    task = task_on(drawn(Attention), TOKENS)
    rounded(task, activations="int8")
    why = task.ledger.fates["attention.in_proj_weight"].why
    assert why == "its input stays float: no module takes it alone"


# ---- small networks of the usual kinds


class Dense(nn.Module):
    """Each layer sees all that came before, as in a DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(16 + 8 * i, 8, 3, padding=1) for i in range(3))
        self.head = nn.Linear(40, 8)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, functional.relu(layer(x))], dim=1)
        return self.head(x.mean(dim=(2, 3)))


class Unet(nn.Module):
    """Down, up by a transposed convolution, and across."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(16, 16, 2, stride=2), nn.Conv2d(32, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        low = functional.relu(self.down(x))
        return self.last(torch.cat([x, self.up(functional.relu(self.deep(low)))], dim=1))


class Shuffle(nn.Module):
    """Grouped convolutions and a channel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Conv2d(16, 32, 1, groups=2), nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.last = nn.Conv2d(32, 16, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first(x))
        y = y.unflatten(1, (2, 16)).transpose(1, 2).flatten(1, 2)
        return x + self.last(self.middle(y))


class Squeeze(nn.Module):
    """A fire block and the excitation of MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.one = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 16, 1)
        self.three = nn.Conv2d(8, 16, 3, padding=1)
        self.less, self.more = nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)
        self.depthwise = nn.Conv2d(32, 32, 5, padding=2, groups=32, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.squeeze(x))
        y = functional.hardswish(self.depthwise(torch.cat([self.one(y), self.three(y)], dim=1)))
        pooled = y.mean(dim=(2, 3), keepdim=True)
        return y * functional.hardsigmoid(self.more(functional.relu(self.less(pooled))))


@pytest.mark.parametrize("make", [Dense, Unet, Shuffle, Squeeze])
def test_convolutional_networks_are_rounded_whole(make) -> None:
    network, x = drawn(make), images(16, 8, 8)
    task = task_on(network, x)
    compressed, _ = rounded(task, bits=8)
    assert error(network, compressed, x) <= 0.01
    assert left_float(task) == {}


# ---- transformers, random and small


def _transformer(kind: str) -> tuple[nn.Module, Inputs]:
    transformers = pytest.importorskip("transformers")
    rng = np.random.default_rng(3)
    tokens = torch.tensor(rng.integers(3, 90, (8, 12)))
    mask = torch.ones(8, 12, dtype=torch.long)
    mask[::2, 8:] = 0
    # Wide enough that norms' vectors are a small share, as they are in real ones.
    small = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = {
        "Bert": ("BertModel", {**small, "intermediate_size": 256}),
        "GPT2": (
            "GPT2LMHeadModel",
            {
                "vocab_size": 100,
                "n_embd": 64,
                "n_layer": 2,
                "n_head": 2,
                "bos_token_id": 1,
                "eos_token_id": 2,
            },
        ),
        "ViT": (
            "ViTModel",
            {**small, "intermediate_size": 256, "image_size": 32, "patch_size": 8},
        ),
        "T5": (
            "T5ForConditionalGeneration",
            {"vocab_size": 100, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 1, "num_heads": 4},
        ),
        "Llama": ("LlamaForCausalLM", {**small, "num_key_value_heads": 2, "intermediate_size": 256}),
        "Mixtral": (
            "MixtralForCausalLM",
            {**small, "num_key_value_heads": 2, "intermediate_size": 96, "num_local_experts": 4},
        ),
    }
    name, settings = made[kind]
    settings.pop("vocab_size") if kind == "ViT" else None
    network = drawn(lambda: getattr(transformers, name)(getattr(transformers, f"{kind}Config")(**settings)))
    if kind == "ViT":
        return network, images(3, 32, 32)
    more = {"decoder_input_ids": tokens[:, :7].clone()} if kind == "T5" else {}
    return network, keywords(4, input_ids=tokens, attention_mask=mask, **more)


def _nearest_plane(stage: int, instance):
    return solvers.solve(instance, "nearest-plane", restarts=1).x


# A router that hardly prefers one of two experts sends a token to the other after the least change.
@pytest.mark.parametrize(
    ("kind", "most"),
    [("Bert", 0.01), ("GPT2", 0.01), ("ViT", 0.01), ("T5", 0.01), ("Llama", 0.01), ("Mixtral", 0.02)],
)
def test_transformers_are_rounded_whole(kind, most) -> None:
    network, inputs = _transformer(kind)
    task = task_on(network, inputs)
    compressed, _ = rounded(task, _nearest_plane, bits=8)
    assert error(network, compressed, inputs) <= most
    fates = task.ledger.fates.values()
    left = [one for one in fates if one.outcome == "float" and "embeddings" not in one.parameter]
    assert sum(one.numbers for one in left) <= 0.02 * sum(one.numbers for one in fates)
    assert {one.why for one in left} <= {"a vector"}


def test_a_network_that_reads_its_weights_runs_with_eight_bit_inputs() -> None:
    network, inputs = _transformer("T5")
    compressed, _ = rounded(task_on(network, inputs), bits=8, activations="int8")
    assert 0 < error(network, compressed, inputs) <= 0.03
