"""Transformers of each family, tiny and of random weights, called on one tensor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from qubopress import problems

__all__ = ["TRANSFORMERS", "transformer_task"]

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
