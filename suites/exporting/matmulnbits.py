"""Products with weights of few bits as onnxruntime's own MatMulNBits, whose activations stay float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...problems.errors import InputError
from ...problems.quantization.codes import Codes
from .extras import needed
from .products import attributes
from .qdq import Piece, matrix_name

__all__ = ["blocked", "put_products"]

BLOCKS = (256, 128, 64, 32, 16)
WIDTHS = (2, 4, 8)
DOMAIN = "com.microsoft"


def put_products(model: Any, held: Mapping[str, list[Codes]]) -> None:
    """Make MatMulNBits of the products with rounded matrices, which are Gemm with transB = 1 by now.

    Raises:
        InputError: groups of inputs that no block divides.
    """
    helper = needed("onnx", "ONNX").helper
    own = {matrix: one[0] for name, one in held.items() if (matrix := matrix_name(name, one))}
    made, piece, done = list[Any](), Piece(), set[str]()
    for node in model.graph.node:
        name = node.input[1] if len(node.input) > 1 else ""
        if name not in own or node.op_type != "Gemm" or not _plain(node):
            made.append(node)
            continue
        one = own[name]
        if name not in done:
            _operands(name, one, piece)
            done.add(name)
        operands = [f"{name}.{part}" for part in ("blocks", "steps", "zeros")]
        bias = ["", node.input[2]] if len(node.input) > 2 else []
        sizes = {
            "K": one.codes.shape[1],
            "N": len(one.codes),
            "bits": _width(one),
            "block_size": blocked(one),
        }
        inputs = [node.input[0], *operands, *bias]
        made.append(helper.make_node("MatMulNBits", inputs, [*node.output], domain=DOMAIN, **sizes))
    del model.graph.node[:]
    model.graph.node.extend(made)
    model.graph.initializer.extend(piece.initializers)
    if done:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _plain(node: Any) -> bool:
    """Whether a Gemm is x Wᵀ and a bias."""
    told = {name: value for name, value in attributes(node).items() if name != "transB"}
    usual = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    return attributes(node).get("transB") == 1 and all(
        told.get(name, one) == one for name, one in usual.items()
    )


def blocked(codes: Codes) -> int:
    """Block of inputs with one step: a power of two from 16 to 256 that the groups are made of.

    Raises:
        InputError: no such power divides the group.
    """
    if not codes.group:
        return next((one for one in reversed(BLOCKS) if one >= codes.codes.shape[1]), BLOCKS[0])
    found = next((one for one in BLOCKS if codes.group % one == 0), 0)
    if not found:
        raise InputError(
            f"MatMulNBits must have groups that a power of two from 16 to 256 divides, got {codes.group} in "
            f"{codes.parameter}; pass leave=[{codes.parameter!r}] or format='onnx'"
        )
    return found


def _width(codes: Codes) -> int:
    return next(one for one in WIDTHS if codes.bits <= one)


def _operands(name: str, codes: Codes, piece: Piece) -> None:
    """Codes (n, blocks, bytes), steps (n · blocks) and zero points (n, bytes) in the operator's layout."""
    rows, inputs = codes.codes.shape
    block, width = blocked(codes), _width(codes)
    blocks = -(-inputs // block)
    firsts = np.minimum(np.arange(blocks) * block, inputs - 1) // (codes.group or inputs)
    # Counted from the middle of the operator's width, so that signed codes need no other zero point.
    shift = 2 ** (width - 1) if codes.low < 0 else 0
    unsigned = np.zeros((rows, blocks * block), dtype=np.uint8)
    unsigned[:, :inputs] = codes.codes.astype(np.int16) + shift
    zero = (codes.zero.astype(np.int16) + shift).astype(np.uint8)[:, firsts]
    piece.array(f"{name}.blocks", _nibbles(unsigned, width).reshape(rows, blocks, -1))
    piece.array(f"{name}.steps", codes.step[:, firsts].reshape(-1))
    piece.array(f"{name}.zeros", _nibbles(zero, width).reshape(-1))


def _nibbles(values: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Rows of bytes, the first value in the least bits."""
    each = 8 // width
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % each)))
    apart = padded.reshape(len(values), -1, each) << (width * np.arange(each, dtype=np.uint8))
    return np.asarray(np.bitwise_or.reduce(apart, axis=2), dtype=np.uint8)
