"""A network as an ONNX file: weights of few bits behind DequantizeLinear, or in MatMulNBits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...problems.errors import InputError
from ...problems.quantization.codes import Codes
from ...problems.quantization.eight_bit import QuantizedInput
from ...results.storage.whole_files import write_whole
from .extras import needed
from .graph import OPSET, float_graph
from .matmulnbits import put_products
from .products import straighten
from .qdq import held_by, opset_for, put_codes

__all__ = ["put_and_write", "save_onnx"]

LARGEST = 2**31 - 2**20
"""Bytes that one protobuf message may have."""


def save_onnx(
    network: nn.Module, codes: Mapping[str, Codes], path: Path, example: Any, *, products: bool = False
) -> None:
    """Write a network that is called on the example.

    Parameters:
        network: any module.
        codes: of its rounded matrices.
        path: of the file.
        example: see `suites.save`.
        products: whether the products with a Linear's weight become MatMulNBits, an operator of onnxruntime.

    Raises:
        InputError: a package is missing, or something does not go into such a file.
    """
    if example is None:
        raise InputError(
            "example must be a batch that the network is called on, got none; ONNX is traced on it"
        )
    # onnxruntime 1.31 takes two bits for the weights of a QLinearConv, and refuses what it made.
    narrow = not any(isinstance(module, QuantizedInput) for module in network.modules())
    model = float_graph(network, codes, example, opset=opset_for(codes.values()) if narrow else OPSET)
    put_and_write(model, network, codes, path, products=products, narrow=narrow)


def put_and_write(
    model: Any,
    network: nn.Module,
    codes: Mapping[str, Codes],
    path: Path,
    *,
    products: bool = False,
    narrow: bool = True,
) -> None:
    """Put codes in the place of a graph's weights and write it; `narrow` is whether two bits may be used.

    Raises:
        InputError: something does not go into such a file.
    """
    held = held_by(model, network, codes)
    straighten(model, held)
    if products:
        put_products(model, held)
    put_codes(model, held, narrow=narrow)
    _bare(model)
    if model.ByteSize() > LARGEST:
        raise InputError(
            f"an ONNX file must have at most {LARGEST} bytes, got {model.ByteSize()}; save it packed"
        )
    needed("onnx", "ONNX").checker.check_model(model)
    write_whole(path, model.SerializeToString())


def _bare(model: Any) -> None:
    """Drop what the exporter tells of each node's origin: files and lines of whoever exports."""
    graph = model.graph
    for one in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        one.doc_string = ""
        del one.metadata_props[:]
    del graph.value_info[:]
