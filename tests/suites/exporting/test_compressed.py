"""Folders for compressed-tensors: the package unpacks the very codes, and transformers loads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from safetensors.torch import load_file
from torch import nn

from qubopress import suites
from qubopress.problems import InputError

X = torch.linspace(0, 50, 5 * 256).sin().reshape(5, 256)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 33), nn.ReLU(), nn.Linear(33, 5, bias=False))


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("group", [0, 32, 128])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_the_package_unpacks_the_very_codes_and_weights(
    bits: int, group: int, symmetric: bool, plant: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = plant(layers(), X, bits=bits, group=group, symmetric=symmetric)
    leave = ["2.weight"] if group else []
    suites.save(network, tmp_path / "net", format="compressed-tensors", leave=leave)
    one, half = suites.quantized(network)["0.weight"], 2 ** (bits - 1)
    tensors = load_file(tmp_path / "net" / "model.safetensors")
    shift = 0 if one.low < 0 else half
    codes = unpack_from_int32(tensors["0.weight_packed"], bits, torch.Size((33, 256))).numpy()
    assert np.array_equal(codes.astype(int), one.codes.astype(int) - shift)
    if not one.symmetric:
        shape = torch.Size(one.zero.shape)
        zero = unpack_from_int32(tensors["0.weight_zero_point"], bits, shape, packed_dim=0).numpy()
        assert np.array_equal(zero.astype(int), one.zero.astype(int) - shift)
    back = suites.load(tmp_path / "net", into=layers())
    assert torch.equal(back[0].weight, network.get_parameter("0.weight"))
    assert torch.equal(back(X), network(X))


@pytest.mark.filterwarnings("ignore:You passed `quantization_config`:UserWarning")  # to say how to load
@pytest.mark.parametrize(("grid", "dense"), [("code", False), ("code", True), ("minmax", True)])
def test_a_transformer_loads_from_its_folder(grid: str, dense: bool, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, CompressedTensorsConfig

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    plain = BertModel(config).eval()
    tokens = torch.arange(24).reshape(4, 6)
    network = suites.compress(plain, {"input_ids": tokens}, bits=4, grid=grid, embeddings=0)
    saved = suites.save(network, tmp_path / "net", format="compressed-tensors")
    told = json.loads((tmp_path / "net" / "config.json").read_text())["quantization_config"]
    assert told["format"] == "pack-quantized"
    assert saved.bytes == sum(one.stat().st_size for one in (tmp_path / "net").iterdir())
    # transformers 5.24 makes no room for packed zero points unless it unpacks all as it loads.
    wish = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dense else {}
    back = BertModel.from_pretrained(tmp_path / "net", **wish).eval()
    with torch.no_grad():
        ours, theirs = (one(input_ids=tokens).last_hidden_state for one in (network, back))
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "group", "said"),
    [
        (
            nn.Sequential(nn.Conv1d(1, 4, 3)),
            0,
            r"must have weights of Linear or Embedding, got 0\.weight of Conv1d",
        ),
        (layers(), 96, r"must have whole groups, got 256 inputs in groups of 96 in 0\.weight"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    network: nn.Module, group: int, said: str, plant: Callable[..., nn.Module], tmp_path: Path
) -> None:
    x = X if group else X[:, None]
    with pytest.raises(InputError, match=said):
        suites.save(plant(network, x, bits=4, group=group), tmp_path / "net", format="compressed-tensors")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a folder that suites\.save wrote"):
        suites.load(tmp_path, into=layers())
