"""Products with rounded matrices as Gemm with transB = 1, the layout that stays exact.

Where a dequantized weight of few bits lies as (K, N), or where its transposition could be moved so that it
does, onnxruntime 1.31 makes one operator of both whose activations are rounded to int8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...problems.quantization.codes import Codes
from .extras import needed
from .qdq import Piece, matrix_name

__all__ = ["attributes", "straighten"]


def straighten(model: Any, held: Mapping[str, list[Codes]]) -> None:
    """Write each product with a rounded matrix as Gemm on rows; a matrix goes by the name it will have."""
    names = {name: matrix for name, one in held.items() if (matrix := matrix_name(name, one))}
    widths = {name: held[name][0].codes.shape for name in names}
    nodes = [*model.graph.node]
    turned = {
        node.output[0]: node.input[0]
        for node in nodes
        if node.op_type == "Transpose" and node.input[0] in names and attributes(node).get("perm") == [1, 0]
    }
    swapped = {name for name, matrix in names.items() if matrix != name}
    ranks = _ranks(model)
    made = list[Any]()
    for node in nodes:
        second = node.input[1] if len(node.input) > 1 else ""
        name = turned.get(second, second)
        sideways = second in swapped or (second in turned and turned[second] not in swapped)
        if sideways and node.op_type == "MatMul":
            made += _rows(node, names[name], widths[name], flat=ranks.get(node.input[0]) == 2)
        elif sideways and node.op_type == "Gemm" and not attributes(node).get("transB"):
            made.append(_gemm(node, names[name]))
        else:
            made.append(node)
    del model.graph.node[:]
    model.graph.node.extend(made)


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name."""
    read = needed("onnx", "ONNX").helper.get_attribute_value
    return {one.name: list(read(one)) if one.ints else read(one) for one in node.attribute}


def _ranks(model: Any) -> dict[str, int]:
    """Dimensions of the values whose shapes the graph tells."""
    told: Iterable[Any] = (*model.graph.input, *model.graph.value_info)
    return {
        one.name: len(one.type.tensor_type.shape.dim)
        for one in told
        if one.type.tensor_type.HasField("shape")
    }


def _gemm(node: Any, matrix: str) -> Any:
    helper = needed("onnx", "ONNX").helper
    inputs = [node.input[0], matrix, *node.input[2:]]
    return helper.make_node("Gemm", inputs, [*node.output], **{**attributes(node), "transB": 1})


def _rows(node: Any, matrix: str, shape: tuple[int, ...], *, flat: bool) -> list[Any]:
    """A product of any rank as one of rows, shaped back."""
    helper, out = needed("onnx", "ONNX").helper, node.output[0]
    if flat:
        return [helper.make_node("Gemm", [node.input[0], matrix], [out], transB=1)]
    piece = Piece()
    for name, numbers in (("rows", [-1, shape[1]]), ("width", [shape[0]])):
        array = needed("onnx.numpy_helper", "ONNX").from_array(np.array(numbers))
        piece.node("Constant", [], f"{out}.{name}", value=array)
    piece.node("Reshape", [node.input[0], f"{out}.rows"], f"{out}.x")
    piece.node("Gemm", [f"{out}.x", matrix], f"{out}.y", transB=1)
    piece.node("Shape", [node.input[0]], f"{out}.before", end=-1)
    piece.node("Concat", [f"{out}.before", f"{out}.width"], f"{out}.shape", axis=0)
    piece.node("Reshape", [f"{out}.y", f"{out}.shape"], out)
    return piece.nodes
