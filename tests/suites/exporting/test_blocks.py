"""GGUF files: the package dequantizes to our weights, where float16 holds the steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from torch import nn

from qubopress import suites
from qubopress.problems import InputError

X = torch.linspace(0, 50, 5 * 64).sin().reshape(5, 64)


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 5, bias=False)
    ).eval()


@pytest.mark.parametrize("group", [0, 32])
@pytest.mark.parametrize(
    ("bits", "symmetric", "kind"),
    [(2, True, "Q4_0"), (4, True, "Q4_0"), (3, False, "Q4_0"), (4, False, "Q4_1"), (8, True, "Q8_0")],
)
def test_the_package_dequantizes_to_our_weights(
    bits: int, symmetric: bool, kind: str, group: int, plant: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = plant(layers(), X, bits=bits, group=group, symmetric=symmetric, half=True)
    path = suites.save(network, tmp_path / "net.gguf", tolerance=0.0 if symmetric else 2e-3).path
    found = {one.name: one for one in gguf.GGUFReader(path).tensors}
    assert found["0.weight"].tensor_type.name == kind
    back = suites.load(path, into=layers())
    ours, theirs = (one.get_parameter("0.weight").detach() for one in (network, back))
    if kind == "Q4_1":
        assert torch.allclose(ours, theirs, rtol=0, atol=2e-3 * ours.abs().max().item())
    else:
        assert torch.equal(ours, theirs)
        assert torch.equal(network(X), back(X))


def test_codes_survive_in_blocks_without_a_minus_eight(
    plant: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = plant(layers(), X, bits=3, symmetric=True, half=True)
    path = suites.save(network, tmp_path / "net.gguf").path
    blocks = next(one for one in gguf.GGUFReader(path).tensors if one.name == "0.weight").data
    apart = blocks.reshape(32, 2, 18)[:, :, 2:]
    codes = np.concatenate([apart & 15, apart >> 4], axis=2).reshape(32, 64).astype(int) - 8
    assert np.array_equal(codes, suites.quantized(network)["0.weight"].codes)


@pytest.mark.parametrize(
    ("network", "x", "wishes", "said"),
    [
        (
            layers(),
            X,
            {"bits": 4},
            r"must have steps that float16 holds to 0, got .*e-04 of error in 0\.weight",
        ),
        (layers(), X, {"bits": 4, "group": 16}, r"got 64 inputs in groups of 16 in 0\.weight; pass leave="),
        (
            nn.Sequential(nn.Linear(60, 3)),
            X[:, :60],
            {"bits": 4},
            r"blocks of 32, got 60 inputs in 0\.weight",
        ),
        (nn.Sequential(nn.Conv1d(1, 4, 32)), X[:, None], {"bits": 4}, r"two dimensions, got 0\.weight"),
        (layers(), X, {"bits": 8, "symmetric": False, "half": True}, r"within 128 of their zero point, got"),
    ],
)
def test_what_no_block_holds_is_refused(
    network: nn.Module,
    x: torch.Tensor,
    wishes: dict[str, int],
    said: str,
    plant: Callable[..., nn.Module],
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=said):
        suites.save(plant(network, x, **wishes), tmp_path / "net.gguf")


def test_the_tolerance_that_the_refusal_names_is_enough(
    plant: Callable[..., nn.Module], tmp_path: Path
) -> None:
    network = plant(layers(), X, bits=4)
    saved = suites.save(network, tmp_path / "net.gguf", tolerance=4.9e-4)
    back = suites.load(saved.path, into=layers())
    ours, theirs = (one.get_parameter("0.weight").detach() for one in (network, back))
    assert 0 < ((ours - theirs).abs() / ours.abs().max()).max().item() < 5e-4


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.gguf").write_text("no tensors, and long enough for a header")
    with pytest.raises(InputError, match=r"must be a GGUF file that suites\.save wrote"):
        suites.load(tmp_path / "net.gguf", into=layers())
