"""Networks of known kinds, with random weights: eight bits move their outputs by at most 1 %, by default.

Random weights are the worst case of their sizes: no input tells more than another, so no search finds less
error than rounding to nearest. With a step a row each matrix errs by 0.65 % here, and several add up; so
groups of 32 inputs have a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny import drawn, error, keywords, one_thread
from torch import nn

from qubopress import suites

pytestmark = [pytest.mark.usefixtures(one_thread.__name__), pytest.mark.slow]

WIDTH = 192
TOKENS = torch.tensor(np.random.default_rng(3).integers(3, 990, (64, 16)))
IMAGES = torch.tensor(np.random.default_rng(1).standard_normal((64, 3, 32, 32)), dtype=torch.float32)

SIZES = {"vocab_size": 1000, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZES, "intermediate_size": 4 * WIDTH}
CUTS = {"image_size": 32, "patch_size": 8}
ENDS = {"bos_token_id": 1, "eos_token_id": 2}

TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Bert": ("BertModel", WIDE),
    "GPT2": ("GPT2LMHeadModel", {"vocab_size": 1000, "n_embd": WIDTH, "n_layer": 2, "n_head": 2, **ENDS}),
    "ViT": ("ViTModel", {**{name: size for name, size in WIDE.items() if name != "vocab_size"}, **CUTS}),
    "T5": (
        "T5ForConditionalGeneration",
        {
            "vocab_size": 1000,
            "d_model": WIDTH,
            "d_kv": 48,
            "d_ff": 2 * WIDTH,
            "num_layers": 2,
            "num_heads": 4,
        },
    ),
    "Llama": ("LlamaForCausalLM", {**WIDE, "num_key_value_heads": 2}),
    "Phi3": ("Phi3ForCausalLM", {**WIDE, "num_key_value_heads": 2, "pad_token_id": 0, **ENDS}),
    "Segformer": (
        "SegformerForSemanticSegmentation",
        {
            "hidden_sizes": [16, 32, 64, 64],
            "depths": [1, 1, 1, 1],
            "decoder_hidden_size": 64,
            "num_attention_heads": [1, 2, 4, 4],
        },
    ),
}
"""Class and settings by the kind's name."""


def transformer(kind: str) -> tuple[nn.Module, Any]:
    transformers = pytest.importorskip("transformers")
    name, settings = TRANSFORMERS[kind]
    config = getattr(transformers, f"{kind}Config")(**settings)
    network = drawn(lambda: getattr(transformers, name)(config))
    if kind in ("ViT", "Segformer"):
        return network, keywords(8, pixel_values=IMAGES)
    mask = torch.ones(64, 16, dtype=torch.long)
    mask[::2, 12:] = 0
    more = {"decoder_input_ids": TOKENS[:, :7].clone()} if kind == "T5" else {}
    return network, keywords(8, input_ids=TOKENS, attention_mask=mask, **more)


def tables(network: nn.Module) -> set[str]:
    """Names of the tables that rows are looked up in."""
    return {name for name, one in network.named_modules() if isinstance(one, nn.Embedding)}


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_eight_bits_move_outputs_by_at_most_one_percent_which_a_step_a_row_would_not(kind: str) -> None:
    network, inputs = transformer(kind)
    data = [batch.kwargs for batch in inputs.batches]
    # Most of SegFormer's matrices are convolutions', which keep a step a filter by default.
    wished = {"group": 32} if kind == "Segformer" else {}
    whole, grouped = (suites.compress(network, data, bits=8, **one) for one in ({"group": 0}, wished))
    report = suites.report_of(grouped)
    left = sum(fate.numbers for fate in report.fates if fate.outcome == "float")
    errors = [error(network, one, inputs) for one in (whole, grouped)]
    assert errors[1] <= 0.01
    assert errors[1] < errors[0] <= 0.015
    assert left <= 0.02 * sum(fate.numbers for fate in report.fates)
    steps = {name.removesuffix(".weight"): one for name, one in suites.quantized(grouped).items()}
    wide = [steps[name] for name in tables(grouped) & steps.keys() if steps[name].codes.shape[1] >= 64]
    assert all(one.group == 32 for one in wide)
