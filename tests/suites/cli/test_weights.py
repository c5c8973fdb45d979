"""Weights are written so that the architecture loads them, however its tensors lie in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model
from torch import Tensor, nn

from qubopress.suites.cli.weights import write_weights


class Tied(nn.Module):
    """A language model's head shares the weight of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x))


class Extra(nn.Linear):
    """Its extra state is no tensor."""

    def get_extra_state(self) -> Any:
        return {"version": 2}

    def set_extra_state(self, state: Any) -> None:
        """Nothing to set."""


def test_tied_tensors_are_stored_once_and_load_into_the_architecture(tmp_path: Path) -> None:
    model, file = Tied(), tmp_path / "tied.safetensors"
    write_weights(model, file)
    with safe_open(file, framework="pt") as stored:
        assert list(stored.keys()) == ["embedding.weight"]
        assert stored.metadata() == {"format": "pt", "head.weight": "embedding.weight"}
    again = Tied()
    assert load_model(again, file) == (set(), [])
    assert torch.equal(again.head.weight, model.embedding.weight)


def test_tensors_that_are_not_in_order_are_put_in_order(tmp_path: Path) -> None:
    model, file = nn.Linear(3, 5), tmp_path / "transposed.safetensors"
    model.weight = nn.Parameter(torch.randn(3, 5).t())
    assert not model.weight.is_contiguous()
    write_weights(model, file)
    assert torch.equal(load_file(file)["weight"], model.weight)
    image = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    write_weights(image, file)
    assert torch.equal(load_file(file)["weight"], image.weight)


def test_parts_of_one_storage_are_stored_apart(tmp_path: Path) -> None:
    whole, file = torch.randn(6, 3), tmp_path / "parts.safetensors"
    model = nn.ModuleList([nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)])
    for part, rows in zip(model, (whole[:3], whole[3:]), strict=True):
        part.weight = nn.Parameter(rows)
    write_weights(model, file)
    stored = load_file(file)
    assert torch.equal(torch.cat([stored["0.weight"], stored["1.weight"]]), whole)


def test_empty_tensors_are_no_ties(tmp_path: Path) -> None:
    file = tmp_path / "empty.safetensors"
    model = nn.Module()
    model.register_buffer("one", torch.empty(0))
    model.register_buffer("two", torch.empty(0))
    write_weights(model, file)
    assert sorted(load_file(file)) == ["one", "two"]


def test_bfloat16_stays_bfloat16(tmp_path: Path) -> None:
    file = tmp_path / "half.safetensors"
    write_weights(nn.Linear(3, 2).bfloat16(), file)
    assert load_file(file)["weight"].dtype == torch.bfloat16


def test_what_is_no_tensor_is_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "extra.safetensors"
    write_weights(nn.Sequential(Extra(3, 2)), file)
    assert sorted(load_file(file)) == ["0.bias", "0.weight"]
    assert "leaves out 0._extra_state: no tensor" in capsys.readouterr().err
