"""Our own packed file: what was saved comes back, into the float network too, and nothing else passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from qubopress import suites
from qubopress.problems import InputError


class Mixed(nn.Module):
    """Convolutions with a norm to fold, a table tied to a head, packed projections and a recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.ConvTranspose2d(8, 6, 2, groups=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.table = nn.Embedding(5, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.recurrence = nn.GRU(6, 6, batch_first=True)
        self.head = nn.Linear(6, 5, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.seen(x)[:, None] + self.table(torch.arange(4))
        return self.head(self.recurrence(self.attention(h, h, h)[0])[0])


def model() -> Mixed:
    torch.manual_seed(0)
    return Mixed().eval()


X = torch.linspace(0, 9, 16 * 3 * 64).reshape(16, 3, 8, 8).sin()


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    parts = ("codes", "step", "zero")
    return one.keys() == other.keys() and all(
        np.array_equal(getattr(one[name], part), getattr(other[name], part)) for name in one for part in parts
    )


@pytest.mark.parametrize(
    "wishes",
    [
        {"bits": 1, "grid": "code", "activations": "int8"},
        {"bits": 3, "grid": "minmax", "embeddings": 5},
        {"bits": 4, "grid": "mse", "skip": ["table"]},
        {"bits": 8, "grid": "minmax", "per": "tensor"},
    ],
)
def test_a_saved_network_comes_back_into_the_float_one_and_into_itself(
    wishes: dict[str, Any], tmp_path: Path
) -> None:
    network = suites.compress(model(), X, **wishes)
    saved = suites.save(network, tmp_path / "net.safetensors")
    assert saved.bytes == (tmp_path / "net.safetensors").stat().st_size
    for into in (model(), network):
        back = suites.load(tmp_path / "net.safetensors", into=into)
        assert same(suites.quantized(back), suites.quantized(network))
        assert torch.equal(back(X), network(X))
        assert back.head.weight is back.table.weight


def test_packed_codes_take_their_bits_and_no_more(tmp_path: Path) -> None:
    network = suites.compress(nn.Sequential(nn.Linear(256, 128)), torch.randn(300, 256), bits=3, grid="code")
    saved = suites.save(network, tmp_path / "net.safetensors")
    assert saved.float_bytes == 4 * (128 * 256 + 128)
    codes, steps, bias = 128 * 256 * 3 // 8, 4 * 128, 4 * 128
    assert codes + steps + bias < saved.bytes < codes + steps + bias + 1000


def test_the_type_of_the_network_comes_back(tmp_path: Path) -> None:
    network = suites.compress(model(), X).half()
    suites.save(network, tmp_path / "net.safetensors")
    back = suites.load(tmp_path / "net.safetensors", into=model())
    assert {one.dtype for one in back.parameters()} == {torch.float16}
    assert same(suites.quantized(back), suites.quantized(network))


def test_what_is_to_be_left_must_be_there(tmp_path: Path) -> None:
    network = suites.compress(nn.Sequential(nn.Linear(4, 2)), torch.randn(30, 4))
    with pytest.raises(InputError, match=r"must name rounded parameters, got 'fc.\*'; they are 0.weight"):
        suites.save(network, tmp_path / "net.safetensors", leave="fc.*")


def test_a_sparse_tensor_is_refused_by_name(tmp_path: Path) -> None:
    network = nn.Module()
    network.register_buffer("held", torch.eye(3).to_sparse())
    with pytest.raises(InputError, match=r"must be dense to be written, got held as torch.sparse_coo"):
        suites.save(network, tmp_path / "net.safetensors")


def test_a_matrix_that_the_caller_leaves_is_written_as_floats(tmp_path: Path) -> None:
    network = suites.compress(model(), X)
    saved = suites.save(network, tmp_path / "net.safetensors", leave="recurrence.*")
    assert saved.left == ("recurrence.weight_ih_l0", "recurrence.weight_hh_l0")
    back = suites.load(tmp_path / "net.safetensors", into=model())
    assert suites.quantized(back).keys() == suites.quantized(network).keys() - {*saved.left}
    assert torch.equal(back(X), network(X))


@pytest.mark.parametrize(
    ("into", "said"),
    [
        (nn.Sequential(nn.Linear(6, 4)), "has nothing and lacks 1.bias"),
        (nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)), r"1.bias: copying .* shape"),
        (nn.Sequential(nn.Linear(6, 4), nn.Linear(5, 2)), r"1.weight of shape \(2, 5\) for \(2, 4\)"),
        (nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2), nn.Linear(2, 2)), "has 2.bias, 2.weight and lacks"),
    ],
)
def test_another_network_is_refused(into: nn.Module, said: str, tmp_path: Path) -> None:
    network = suites.compress(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)), torch.randn(20, 6))
    suites.save(network, tmp_path / "net.safetensors")
    with pytest.raises(InputError, match=said):
        suites.load(tmp_path / "net.safetensors", into=into)


def changed(path: Path, key: str, value: object) -> None:
    """Another value in what a file's metadata says of its first matrix, below `use` or `weight` too."""
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["qubopress"])
    told = next(iter(content["matrices"].values()))
    for place in (told, told["use"], told["use"]["weight"]):
        if key in place:
            place[key] = value
    save_file(load_file(path), path, {"qubopress": json.dumps(content)})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("offset", 1, "must lay 0.weight inside itself"),
        ("offset", -1, "must lay 0.weight inside itself"),
        ("stride", [600, 1], "must lay 0.weight inside itself"),
        ("bits", 5, "5 bits in 0.weight"),
        ("bits", 9, "9 bits in 0.weight"),
        ("group", 2, "steps for groups of 2 of 6"),
        ("inputs", "many", "must say of each matrix how it lies"),
        ("kind", None, "must say of each matrix how it lies"),
        ("dtype", "nn", "must say of each matrix how it lies"),
    ],
)
def test_a_file_that_lies_about_a_matrix_is_refused(
    key: str, value: object, said: str, tmp_path: Path
) -> None:
    network = suites.compress(nn.Sequential(nn.Linear(6, 4)), torch.randn(20, 6))
    path = suites.save(network, tmp_path / "net.safetensors").path
    changed(path, key, value)
    with pytest.raises(InputError, match=said):
        suites.load(path, into=network)


def test_what_is_no_file_of_ours_is_refused_in_a_line(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    plain, text = tmp_path / "plain.safetensors", tmp_path / "text.safetensors"
    save_file(network.state_dict(), plain)
    text.write_text("no tensors")
    for path, said in ((plain, "must hold packed codes"), (text, "must be a safetensors file")):
        with pytest.raises(InputError, match=said):
            suites.load(path, into=network)
    with pytest.raises(InputError, match="no file at"):
        suites.load(tmp_path / "none.safetensors", into=network)
    with pytest.raises(InputError, match="into must be the module"):
        suites.load(plain)


def test_an_unknown_format_or_ending_or_folder_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"path must end in \.safetensors, \.onnx, \.gguf"):
        suites.save(network, tmp_path / "net.pt")
    with pytest.raises(InputError, match="no format named 'packd'; did you mean 'packed'"):
        suites.save(network, tmp_path / "net", format="packd")
    with pytest.raises(InputError, match="path must lie in a folder that exists"):
        suites.save(network, tmp_path / "none" / "net.safetensors")
    with pytest.raises(InputError, match="network must be a torch module, got a str"):
        suites.quantized("net")
