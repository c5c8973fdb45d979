"""Data as their users pass them, to models as they are called, end in rounded networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import one_thread
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from qubopress import suites

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

DRAWN = torch.Generator().manual_seed(0)
X, Z = torch.randn(24, 5, generator=DRAWN), torch.randn(24, 4, generator=DRAWN)
Y = torch.arange(24) % 3
IDS = torch.randint(0, 9, (24, 6), generator=DRAWN)
MASK = torch.ones_like(IDS)


class Keywords(nn.Module):
    """Takes keywords and puts out a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(9, 5), nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, *, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        hidden = torch.relu(self.body(self.embed(input_ids))) * attention_mask[..., None]
        return {"logits": self.head(hidden.sum(1) / attention_mask.sum(1, keepdim=True))}


class Several(nn.Module):
    """Takes two inputs and puts out a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(5, 6), nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.one(x) + self.two(z))
        return self.head(hidden), hidden


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x)))


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return X[place], int(Y[place])


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make().eval()


def rounded(model: nn.Module, data: Any) -> nn.Module:
    return suites.compress(model, data, problem="adaround", bits=8, solver="round-to-nearest")


def error(one: Tensor, other: Tensor) -> float:
    """Relative error of one tensor about the other."""
    return float((one - other).norm() / other.norm())


def tokens(*rows: int) -> dict[str, Tensor]:
    places = torch.arange(*rows)
    return {"input_ids": IDS[places], "attention_mask": MASK[places]}


@pytest.mark.parametrize(
    ("make", "data", "call"),
    [
        (Keywords, [tokens(0, 9), tokens(9, 24)], lambda net: net(**tokens(0, 24))["logits"]),
        (Keywords, [{**tokens(0, 24), "labels": Y}], lambda net: net(**tokens(0, 24))["logits"]),
        (Several, [(X, Z)], lambda net: net(X, Z)[0]),
        (Several, DataLoader(TensorDataset(X, Z, Y), 7), lambda net: net(X, Z)[0]),
        (Plain, DataLoader(TensorDataset(X), 7), lambda net: net(X)),
        (Plain, DataLoader(TensorDataset(X), 7, shuffle=True), lambda net: net(X)),
        (Plain, Rows(), lambda net: net(X)),
        (Plain, [X[:12], X[12:]], lambda net: net(X)),
        (Plain, [X[:20], X[20:]], lambda net: net(X)),
        (Plain, X.numpy(), lambda net: net(X)),
        (Plain, [{"image": X, "label": Y}], lambda net: net(X)),
    ],
    ids=[
        "mappings",
        "labels",
        "pairs",
        "triples",
        "x",
        "shuffled",
        "dataset",
        "two x",
        "uneven",
        "array",
        "names",
    ],
)
def test_each_form_of_data_rounds_every_layer(make: Any, data: Any, call: Any) -> None:
    model = seeded(make)
    smaller = rounded(model, data)
    with torch.no_grad():
        assert 0 < error(call(smaller), call(model)) < 0.02
    for name, part in model.named_modules():
        if isinstance(part, nn.Linear):
            assert not torch.equal(part.weight, smaller.get_submodule(name).weight), name


def test_a_bfloat16_network_is_rounded_and_stays_one() -> None:
    model = seeded(Plain).bfloat16()
    smaller = rounded(model, [X[:12], X[12:]])
    with torch.no_grad():
        assert error(smaller(X.bfloat16()).float(), model(X.bfloat16()).float()) < 0.03
    assert {parameter.dtype for parameter in smaller.parameters()} == {torch.bfloat16}


def test_ragged_batches_of_tokens_round_a_bert() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    model = seeded(lambda: transformers.BertForSequenceClassification(config))
    data = [
        transformers.BatchEncoding({"input_ids": IDS[start : start + 8, :n], "attention_mask": MASK[:8, :n]})
        for start, n in ((0, 3), (8, 6), (16, 4))
    ]
    smaller = rounded(model, data)
    with torch.no_grad():
        assert 0 < error(smaller(**tokens(0, 24)).logits, model(**tokens(0, 24)).logits) < 0.02
    left = [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear) and torch.equal(part.weight, smaller.get_submodule(name).weight)
    ]
    assert not left
    assert [tuple(batch["input_ids"].shape) for batch in data] == [(8, 3), (8, 6), (8, 4)]
