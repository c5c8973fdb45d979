"""Trained weights: what is refused, and what tells them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from data_files import offline
from torch import nn

from qubopress.problems.errors import InputError, MissingDataError
from qubopress.problems.networks import weights, zoo
from qubopress.problems.tasks import training

pytestmark = pytest.mark.usefixtures(offline.__name__)


def test_missing_weights_say_how_to_train_them(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="run: qubopress train digits-mlp"):
        weights.load_network("digits-mlp", weights=tmp_path / "absent.safetensors")


def test_another_networks_weights_are_refused() -> None:
    with pytest.raises(InputError, match="must hold the weights of digits-mlp, got another network's"):
        weights.load_network("digits-mlp", weights=weights.WEIGHTS / "digits-cnn.safetensors")


def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    path = training._write(nn.Linear(2, 2), {"network": "digits-mlp"}, tmp_path / "wrong.safetensors")
    with pytest.raises(InputError, match="must fit the layers of digits-mlp") as error:
        weights.load_network("digits-mlp", weights=path)
    assert "\n" not in str(error.value)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    whole = (weights.WEIGHTS / "digits-mlp.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="must be a safetensors file, got damaged content"):
        weights.load_network("digits-mlp", weights=tmp_path / "half.safetensors")


def test_the_checksum_tells_names_and_shapes_apart() -> None:
    one, other = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        other.weight.copy_(one.weight.reshape(2, 3))
    sums = {weights.weights_checksum(module) for module in (one, other, nn.Sequential(one))}
    assert len(sums) == 3


def test_half_precision_is_on_disk_alone(tmp_path: Path) -> None:
    made = training.initialised(zoo.network("fashion-generator-flat"), seed=0)
    origin = {"network": "fashion-generator-flat"}
    path = training._write(made, origin, tmp_path / "half.safetensors", half=True)
    loaded = weights.load_network("fashion-generator-flat", weights=path)
    assert path.stat().st_size < 0.4 * sum(one.nbytes for one in made.state_dict().values())
    for (name, one), (_, other) in zip(made.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert one.dtype == other.dtype, name
        torch.testing.assert_close(one.half().to(one.dtype) if one.is_floating_point() else one, other)


def test_integers_that_16_bits_do_not_hold_stay_as_they_are() -> None:
    found = weights.narrowed({"small": torch.tensor([32767]), "large": torch.tensor([32768])})
    assert (found["small"].dtype, found["large"].dtype) == (torch.int16, torch.int64)
    assert found["large"].item() == 32768


def test_a_sparse_buffer_counts_by_its_numbers() -> None:
    def network(diagonal: float) -> nn.Module:
        made = nn.Linear(2, 2)
        nn.init.ones_(made.weight)
        nn.init.zeros_(made.bias)
        made.register_buffer("graph", (diagonal * torch.eye(2)).to_sparse())
        return made

    assert weights.weights_checksum(network(1.0)) == weights.weights_checksum(network(1.0))
    assert weights.weights_checksum(network(1.0)) != weights.weights_checksum(network(2.0))
