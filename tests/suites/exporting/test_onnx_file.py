"""ONNX files: onnx reads the very codes that were put in, and onnxruntime computes what the network does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from qubopress import suites
from qubopress.problems import InputError
from qubopress.suites.exporting.graph import float_graph
from qubopress.suites.exporting.matmulnbits import put_products
from qubopress.suites.exporting.products import straighten
from qubopress.suites.exporting.qdq import held_by, put_codes

EXACT = 1e-5
"""Largest difference of an output, relative to the largest output."""


class Layers(nn.Module):
    """A Linear on rows and on tokens, and convolutions plain, grouped, depthwise and transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(160, 8)
        self.tokens = nn.Linear(160, 6, bias=False)
        self.plain = nn.Conv2d(4, 8, 3)
        self.grouped = nn.Conv2d(4, 8, 3, groups=2)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.back = nn.ConvTranspose2d(4, 6, (2, 3), groups=2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        image = x[:, :144].reshape(-1, 4, 6, 6)
        tokens = self.tokens(torch.stack([x, -x]).transpose(0, 1))
        seen = (self.plain(image), self.grouped(image), self.depthwise(image), self.back(image))
        return self.rows(x), tokens, *seen


def layers() -> Layers:
    torch.manual_seed(0)
    return Layers().eval()


X = torch.linspace(0, 50, 5 * 160).sin().reshape(5, 160)


@pytest.fixture(scope="module")
def graphs() -> dict[int, Any]:
    """The exported graph for each version of ONNX; exporting takes seconds and knows nothing of codes."""
    return {opset: float_graph(layers(), {}, X, opset=opset) for opset in (21, 25)}


def ran(model: Any, *inputs: Tensor) -> list[Tensor]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {one.name: x.numpy() for one, x in zip(session.get_inputs(), inputs, strict=True)}
    return [torch.from_numpy(one) for one in session.run(None, feed)]


def difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / ours.abs().max())


def integers(model: Any, name: str) -> np.ndarray[Any, Any]:
    found = {one.name: one for one in model.graph.initializer}
    return numpy_helper.to_array(found[name]).astype(np.int64)


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("group", [0, 32, 128])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8])
def test_codes_and_outputs_survive_in_every_layer_width_and_group(
    bits: int, group: int, symmetric: bool, plant: Callable[..., nn.Module], graphs: dict[int, Any]
) -> None:
    network = plant(layers(), X, bits=bits, group=group, symmetric=symmetric)
    codes = suites.quantized(network)
    if group:
        codes = {key: one for key, one in codes.items() if one.kind != "transposed"}
    model = copy.deepcopy(graphs[25 if bits <= 2 else 21])
    if group:  # what no code takes the place of is the float network's
        network.get_parameter("back.weight").data = layers().back.weight.data
    held = held_by(model, network, codes)
    straighten(model, held)
    put_codes(model, held)
    onnx.checker.check_model(model, full_check=False)
    for key, one in codes.items():
        name = key if f"{key}.codes" in {i.name for i in model.graph.initializer} else f"{key}.matrix"
        if one.kind != "transposed":
            assert np.array_equal(integers(model, f"{name}.codes").reshape(one.codes.shape), one.codes)
        assert np.array_equal(numpy_helper.to_array(_named(model, f"{name}.step")).ravel(), one.step.ravel())
        if one.zero.any():
            assert np.array_equal(integers(model, f"{name}.zero").ravel(), one.zero.ravel())
    with torch.no_grad():
        for ours, theirs in zip(network(X), ran(model, X), strict=True):
            assert difference(ours, theirs) <= EXACT


def _named(model: Any, name: str) -> Any:
    return next(one for one in model.graph.initializer if one.name == name)


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("group", [0, 16, 32, 96, 128, 512])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_products_in_the_runtimes_own_operator_are_exact(
    bits: int, group: int, symmetric: bool, plant: Callable[..., nn.Module], graphs: dict[int, Any]
) -> None:
    network = plant(layers(), X, bits=bits, group=group, symmetric=symmetric)
    model = copy.deepcopy(graphs[21])
    codes = {
        key: one for key, one in suites.quantized(network).items() if key in ("rows.weight", "tokens.weight")
    }
    held = held_by(model, network, codes)
    straighten(model, held)
    put_products(model, held)
    put_codes(model, held)
    assert [one.op_type for one in model.graph.node].count("MatMulNBits") == 2
    assert not any(one.op_type == "DequantizeLinear" for one in model.graph.node)
    with torch.no_grad():
        for ours, theirs in zip(network(X)[:2], ran(model, X)[:2], strict=True):
            assert difference(ours, theirs) <= EXACT


def test_groups_that_no_block_divides_are_refused(
    plant: Callable[..., nn.Module], graphs: dict[int, Any]
) -> None:
    network = plant(layers(), X, bits=4, group=40)
    held = held_by(graphs[21], network, {"rows.weight": suites.quantized(network)["rows.weight"]})
    model = copy.deepcopy(graphs[21])
    straighten(model, held)
    with pytest.raises(InputError, match=r"a power of two from 16 to 256 divides, got 40 in rows\.weight"):
        put_products(model, held)


def test_groups_in_a_transposed_convolution_are_refused(
    plant: Callable[..., nn.Module], graphs: dict[int, Any]
) -> None:
    network = plant(layers(), X, bits=4, group=4)
    held = held_by(graphs[21], network, {"back.weight": suites.quantized(network)["back.weight"]})
    with pytest.raises(InputError, match=r"lay out back\.weight, got groups of 4 in a transposed"):
        put_codes(copy.deepcopy(graphs[21]), held)


class Attending(nn.Module):
    """Packed projections taken whole and in parts, a table tied to a head, a recurrence, a weight (f, n)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 8)
        self.own = nn.MultiheadAttention(8, 2, batch_first=True)
        self.other = nn.MultiheadAttention(8, 2, batch_first=True)
        self.recurrence = nn.GRU(8, 8, batch_first=True)
        self.sideways = nn.Parameter(torch.randn(8, 8))
        self.experts = nn.Parameter(torch.randn(2, 8, 8))
        self.head = nn.Linear(8, 9, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        h = self.table(tokens)
        h = self.own(h, h, h)[0]
        h = self.other(h, 2 * h, 2 * h)[0] @ self.sideways
        both = torch.bmm(torch.stack([h[:, 0], h[:, 1]]), self.experts)
        return self.head(self.recurrence(h)[0]), both


def attending() -> Attending:
    torch.manual_seed(1)
    return Attending().eval()


@pytest.mark.parametrize("format", ["onnx", "matmulnbits"])
def test_attention_tables_recurrence_and_turned_weights_are_exact_on_batches_of_any_size(
    format: str,  # noqa: A002
    tmp_path: Path,
) -> None:
    tokens = torch.arange(24).reshape(4, 6) % 9
    network = suites.compress(attending(), tokens, bits=3, embeddings=6)
    assert len(suites.quantized(network)) == 11
    suites.save(network, tmp_path / "net.onnx", format=format, example=tokens[:1])
    runs = suites.load(tmp_path / "net.onnx")
    for batch in (tokens[:1], tokens, tokens[:3, :5]):
        with torch.no_grad():
            for ours, theirs in zip(network(batch), runs(batch), strict=True):
                assert difference(ours, theirs) <= EXACT


@pytest.mark.parametrize("group", [0, 32, 48])
def test_rows_of_a_table_are_looked_up_as_codes_where_groups_divide_them(group: int, tmp_path: Path) -> None:
    torch.manual_seed(1)
    tokens = torch.arange(24).reshape(4, 6) % 9
    plain = nn.Sequential(nn.Embedding(9, 64), nn.Linear(64, 3)).eval()
    network = suites.compress(plain, tokens, bits=8, group=group)
    suites.save(network, tmp_path / "net.onnx", example=tokens[:1])
    runs = suites.load(tmp_path / "net.onnx")
    for batch in (tokens[:1], tokens, tokens[:3, :5]):
        with torch.no_grad():
            assert difference(network(batch), runs(batch)) <= EXACT
    taken = {
        node.input[0] for node in onnx.load(tmp_path / "net.onnx").graph.node if node.op_type == "Gather"
    }
    assert ("0.weight.table" in taken) == (group != 48)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_activations_of_eight_bits_are_rounded_in_the_runtime_too(bits: int, tmp_path: Path) -> None:
    torch.manual_seed(2)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 5))
    x = torch.randn(20, 3, 8, 8)
    network = suites.compress(plain, x, bits=bits, activations="int8")
    path = suites.save(network, tmp_path / "net.onnx", example=x).path
    kinds = [one.op_type for one in onnx.load(path).graph.node]
    assert kinds.count("QuantizeLinear") == 3
    with torch.no_grad():
        # A value on the edge of two codes may fall to either side.
        assert difference(network(x), suites.load(path)(x)) <= 0.02


def test_a_pruned_network_is_smaller_in_its_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    plain = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.Flatten(), nn.Linear(512, 5)
    )
    x, y = torch.randn(40, 3, 8, 8), torch.randint(5, (40,))
    network = suites.compress(plain, (x, y), problem="l1", keep=0.5)
    saved = suites.save(network, tmp_path / "net.onnx", example=x)
    whole = suites.save(plain, tmp_path / "whole.onnx", example=x)
    assert saved.bytes < 0.6 * whole.bytes
    with torch.no_grad():
        assert difference(network(x), suites.load(saved.path)(x)) <= EXACT


def test_named_arguments_are_inputs_of_the_file(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
            out: Tensor = self.layer(x)
            return out if scale is None else out * scale

    network, x = Named().eval(), torch.randn(3, 4)
    batch = {"x": x, "scale": torch.full((3, 1), 2.0)}
    path = suites.save(network, tmp_path / "net.onnx", example=batch).path
    assert [one.name for one in onnx.load(path).graph.input] == ["x", "scale"]
    with torch.no_grad():
        assert difference(network(**batch), suites.load(path)(**batch)) <= EXACT


def test_a_file_tells_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    path = suites.save(nn.Linear(4, 3).eval(), tmp_path / "net.onnx", example=torch.randn(2, 4)).path
    assert b".py" not in path.read_bytes()


def test_what_cannot_be_written_is_refused_in_a_line(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    for network, example, said in (
        (nn.Linear(4, 3), None, "example must be a batch that the network is called on, got none"),
        (nn.Linear(4, 3), "text", "example must be a batch that the network is called on, got a str"),
        (Branching(), torch.ones(2, 2), "torch must be able to export the network to ONNX, got"),
    ):
        with pytest.raises(InputError, match=said):
            suites.save(network, tmp_path / "net.onnx", example=example)
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match="must be ONNX that onnxruntime runs"):
        suites.load(tmp_path / "text.onnx")
