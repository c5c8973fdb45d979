"""Feed-forward units and whole attention heads of transformers go, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from grouped import masks
from tiny import one_thread, replay
from torch import Tensor, nn

from qubopress import problems
from qubopress.problems.layers.samples import Batch, Samples
from qubopress.problems.networks import weights
from qubopress.problems.pruning.attention import unpacked
from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.surgery import mask, shrink

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}


class Called(nn.Module):
    """Logits of a model, or else its hidden state; a decoder reads what the encoder reads."""

    def __init__(self, model: nn.Module, *, decodes: bool = False) -> None:
        super().__init__()
        self.model, self.decodes = model, decodes

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.model(x, decoder_input_ids=x) if self.decodes else self.model(x)
        return outputs.logits if hasattr(outputs, "logits") else outputs.last_hidden_state


def bert() -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=40, max_position_embeddings=16, num_labels=3, **SIZES)
    return Called(BertForSequenceClassification(config))


def vit() -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification

    return Called(ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=3, **SIZES)))


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16, "n_inner": 24}
    return Called(GPT2LMHeadModel(GPT2Config(vocab_size=40, bos_token_id=1, eos_token_id=1, **sizes)))


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return Called(LlamaForCausalLM(LlamaConfig(vocab_size=40, num_key_value_heads=2, **SIZES)))


def t5() -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 4}
    config = T5Config(vocab_size=40, decoder_start_token_id=0, **sizes)
    return Called(T5ForConditionalGeneration(config), decodes=True)


TRANSFORMERS: dict[str, Callable[[], nn.Module]] = {
    make.__name__: make for make in (bert, vit, gpt2, llama, t5)
}


def transformer_task(name: str, *, samples: int = 16) -> problems.Task:
    """A task of what the model itself puts out for random tokens, or images."""
    pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = TRANSFORMERS[name]().eval()
        for parameter in network.parameters():  # not so small that a head says nothing
            nn.init.normal_(parameter, std=0.2) if parameter.dim() > 1 else None
        x = torch.randn(samples, 3, 8, 8) if name == "vit" else torch.randint(0, 40, (samples, 6))
    with torch.no_grad():
        y = network(x)
        generator = torch.Generator().manual_seed(1)
        return problems.own_task(network, (x, y + y.std() * torch.randn(y.shape, generator=generator)))


each_transformer = pytest.mark.parametrize("name", TRANSFORMERS)

HEADS = {"bert": [4, 4], "vit": [4, 4], "gpt2": [4, 4], "llama": [2, 2], "t5": [4, 4, 4]}
"""Heads that go one by one: of Llama those of keys and values, of T5 those of a whole stack."""

UNITS = {"bert": 2, "vit": 2, "gpt2": 2, "llama": 2, "t5": 4}
"""Feed-forward layers, of 24 units each."""


def outputs(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(x)


def distance(one: torch.Tensor, two: torch.Tensor) -> float:
    """Greatest difference against the greatest output."""
    return float((one - two).abs().max() / two.abs().max())


@each_transformer
def test_heads_and_units_are_groups(name: str) -> None:
    groups = prunable(unpacked(transformer_task(name)))
    assert [group.width for group in groups.groups if group.width < 8] == HEADS[name]
    assert [group.width for group in groups.groups].count(24) == UNITS[name]
    assert all(groups.left.values())


@each_transformer
def test_cut_heads_and_units_are_the_same_as_masked_ones(name: str) -> None:
    task = unpacked(transformer_task(name))
    groups = prunable(task)
    for x in masks(groups, count=4)[1:]:
        masked = task.copy()
        mask(masked, groups, x, original=task.network)
        expected = outputs(masked, task.inputs)
        assert distance(outputs(shrink(task.network, groups, x), task.inputs), expected) <= 1e-5
        assert distance(expected, outputs(task.network, task.inputs)) > 1e-3


@each_transformer
def test_each_formulation_gives_a_smaller_transformer_back(name: str) -> None:
    task = transformer_task(name)
    before = weights.weights_checksum(task.network)
    for problem in ("taylor", "reconstruction"):
        _, network = replay(problem, task, keep=0.75)
        assert outputs(network, task.inputs).shape == outputs(task.network, task.inputs).shape
        sizes = [sum(p.numel() for p in one.parameters()) for one in (network, task.network)]
        assert sizes[0] < sizes[1]
        pruned = [fate for fate in task.ledger.fates.values() if fate.outcome == "pruned"]
        assert pruned
        assert {fate.parameter for fate in pruned} < dict(task.network.named_parameters()).keys()
    assert weights.weights_checksum(task.network) == before


@pytest.mark.parametrize("name", ["gpt2"])
def test_transposed_projections_are_taken_apart_without_a_change(name: str) -> None:
    task = transformer_task(name)
    apart = unpacked(task)
    assert distance(outputs(apart.network, task.inputs), outputs(task.network, task.inputs)) <= 1e-6
    assert type(task.network.model.transformer.h[0].mlp.c_fc).__name__ == "Conv1D"
    assert type(apart.network.model.transformer.h[0].mlp.c_fc) is nn.Linear


def test_batches_that_are_dictionaries_are_pruned_alike() -> None:
    task = transformer_task("bert")
    model = task.network.model

    def batches(x: torch.Tensor) -> Samples:
        parts = [{"input_ids": one, "attention_mask": torch.ones_like(one)} for one in x.split(4)]
        return Samples([Batch((), part, len(part["input_ids"]), part) for part in parts])

    of_batches = replace(
        task, network=model, inputs=batches(task.inputs), held_inputs=batches(task.held_inputs)
    )
    plain, batched = (
        {
            "taylor": replay("taylor", one, keep=0.75),
            "reconstruction": replay("reconstruction", one, keep=0.75, weight="relative"),
        }
        for one in (task, of_batches)
    )
    for name, ((expected,), _) in plain.items():
        (found,), network = batched[name]
        np.testing.assert_allclose(found.Q, expected.Q, rtol=1e-3, atol=1e-4)
        assert network(**batches(task.inputs).batches[0].kwargs).logits.shape == (4, 3)


# ---- torch's own attention


class Encoder(nn.Module):
    """Two layers of torch's encoder between two Linears."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 12, batch_first=batch_first, activation="gelu")
        self.first, self.last, self.batch_first = nn.Linear(6, 16), nn.Linear(16, 3), batch_first
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h = self.encoder(h) if self.batch_first else self.encoder(h.transpose(0, 1)).transpose(0, 1)
        return self.last(h.mean(dim=1))


def encoder_task(*, batch_first: bool = True) -> problems.Task:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, x = Encoder(batch_first=batch_first).eval(), torch.randn(24, 5, 6)
    return problems.own_task(network, (x, torch.arange(24) % 3))


@pytest.mark.parametrize("batch_first", [True, False])
def test_heads_and_units_of_torchs_encoder_are_groups_and_go_alike(batch_first: bool) -> None:
    task = encoder_task(batch_first=batch_first)
    apart = unpacked(task)
    assert distance(outputs(apart.network, task.inputs), outputs(task.network, task.inputs)) <= 1e-5
    groups = prunable(apart)
    assert groups.widths == (4, 12, 4, 12)
    for x in masks(groups, count=4):
        masked = apart.copy()
        mask(masked, groups, x, original=apart.network)
        found = outputs(shrink(apart.network, groups, x), task.inputs)
        assert distance(found, outputs(masked, task.inputs)) <= 1e-5


def test_effects_do_not_depend_on_where_samples_lie() -> None:
    first, second = ({"batch_first": one} for one in (True, False))
    found = [replay("joint-fisher", encoder_task(**one), keep=0.75)[0][0].Q for one in (first, second)]
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("average", [True, False])
def test_attention_taken_apart_is_called_as_before(batch_first: bool, average: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    packed = nn.MultiheadAttention(8, 2, batch_first=batch_first).eval()
    for parameter in packed.parameters():
        nn.init.normal_(parameter, generator=generator)
    task = problems.own_task(nn.ModuleDict({"a": packed}), (torch.zeros(4, 2), torch.zeros(4, 1)))
    apart = unpacked(task).network["a"]
    shape = (3, 5, 8) if batch_first else (5, 3, 8)
    q, k = (torch.randn(shape, generator=generator) for _ in range(2))
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[:, 4] = True
    causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    options = {"key_padding_mask": padding, "attn_mask": causal, "average_attn_weights": average}
    for one, two in zip(apart(q, k, k, **options), packed(q, k, k, **options), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    assert apart(q, k, k, need_weights=False)[1] is None
    one, two = (attend(q[0], k[0], k[0])[0] for attend in (apart, packed))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_what_reads_a_packed_weight_itself_is_left_packed() -> None:
    class Reads(nn.Module):
        """A forward that asks for the packed weight."""

        def __init__(self) -> None:
            super().__init__()
            self.attend, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.attend(x, x, x)[0].mean(dim=1)) + self.attend.in_proj_weight.sum()

    x = torch.randn(8, 4, 8, generator=torch.Generator().manual_seed(0))
    task = problems.own_task(Reads(), (x, torch.arange(8) % 3))
    assert unpacked(task) is task
