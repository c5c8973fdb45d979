"""The size that is computed from shapes is that of the file, to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from qubopress import suites
from qubopress.suites.exporting.size import ORDER, stored_bytes


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Flatten(), nn.Linear(128, 10)
    ).eval()


X = torch.linspace(0, 1, 4 * 3 * 64).reshape(4, 3, 8, 8)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(("group", "symmetric"), [(0, True), (32, False), (7, True)])
def test_the_computed_size_is_the_files(
    plant: Any, bits: int, group: int, symmetric: bool, tmp_path: Path
) -> None:
    network = plant(convolutional(), X, bits=bits, group=group, symmetric=symmetric)
    saved = suites.save(network, tmp_path / "net.safetensors")
    assert stored_bytes(network) == saved.bytes


class Odd(nn.Module):
    """Every type of tensor, one name for two, one tensor for two names, names beyond ASCII, nothing."""

    def __init__(self) -> None:
        super().__init__()
        for number, dtype in enumerate(ORDER):
            self.register_buffer(f"of_{number}", torch.zeros(3 * number + 1, 2).to(dtype))
        self.register_buffer("größe\t", torch.zeros(0, 4))
        self.register_buffer('a"quote', torch.tensor(1.0))
        self.one = nn.Parameter(torch.ones(1000))
        self.other = self.one

    def get_extra_state(self) -> dict[str, int]:
        return {"no": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


def test_types_ties_and_names_of_any_kind_are_counted_as_they_are_written(tmp_path: Path) -> None:
    saved = suites.save(Odd(), tmp_path / "net.safetensors")
    assert stored_bytes(Odd()) == saved.bytes


def test_a_compressed_network_of_any_kind_has_the_size_that_is_told(tmp_path: Path) -> None:
    data = torch.randn(60, 3, 8, 8)
    network = suites.compress(convolutional(), data, bits=3, activations="int8", grid="minmax")
    assert stored_bytes(network) == suites.save(network, tmp_path / "net.safetensors").bytes


def test_what_save_refuses_has_no_size(plant: Any) -> None:
    network = plant(convolutional(), X, bits=4)
    with torch.no_grad():
        network[0].weight.add_(1.0)  # type: ignore[operator, union-attr]
    assert stored_bytes(network) is None
    sparse = nn.Module()
    sparse.register_buffer("held", torch.eye(3).to_sparse())
    assert stored_bytes(sparse) is None
