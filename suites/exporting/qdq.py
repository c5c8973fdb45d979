"""Integer weights in an ONNX graph: codes behind DequantizeLinear take the place of the parameters.

A matrix stays (n, f), a row a neuron, in Gemm with transB = 1; see `products`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from ...problems.errors import InputError
from ...problems.layers.uses import parameter_of
from ...problems.quantization.codes import Codes
from .extras import needed

__all__ = ["Piece", "dequantized", "held_by", "matrix_name", "opset_for", "put_codes"]

WIDTHS = (2, 4, 8)

TWO_BITS = 25
"""Version of ONNX that has integers of two bits."""

IR = {21: 10, TWO_BITS: 13}
"""Version of the file for a version of ONNX."""


def opset_for(codes: Iterable[Codes]) -> int:
    """Version of ONNX that has the integers of all these codes."""
    return TWO_BITS if any(one.bits <= 2 for one in codes) else 21


@dataclass
class Piece:
    """Nodes and initializers to be added to a graph.

    Attributes:
        narrow: whether integers of two bits may be used.
        nodes, initializers: so far.
    """

    narrow: bool = True
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node of one output, and give its name."""
        helper = needed("onnx", "ONNX").helper
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def array(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add an initializer of a type that numpy has."""
        self.initializers.append(
            needed("onnx.numpy_helper", "ONNX").from_array(np.ascontiguousarray(values), name)
        )
        return name

    def integers(self, name: str, values: npt.NDArray[Any], codes: Codes) -> str:
        """Add an initializer of the narrowest integers that hold the codes."""
        self.initializers.append(_integers(name, values, codes, WIDTHS if self.narrow else WIDTHS[1:]))
        return name

    def reshaped(self, source: str, shape: tuple[int, ...], output: str) -> str:
        """Add a change of shape."""
        return self.node("Reshape", [source, self.array(f"{output}.shape", np.array(shape))], output)


def held_by(model: Any, network: nn.Module, codes: Mapping[str, Codes]) -> dict[str, list[Codes]]:
    """The matrices of each initializer that is a rounded parameter, by the initializer's name.

    Raises:
        InputError: a parameter that the graph does not have as it is.
    """
    there = {one.name for one in model.graph.initializer}
    names = defaultdict[int, list[str]](list)
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    held = defaultdict[str, list[Codes]](list)
    for one in codes.values():
        found = [name for name in names[id(parameter_of(network, one.parameter))] if name in there]
        if not found:
            cure = f"pass leave=[{one.parameter!r}]"
            raise InputError(f"the exported graph must hold {one.parameter} as it is, and does not; {cure}")
        for name in found:
            held[name].append(one)
    return dict(held)


def put_codes(model: Any, held: Mapping[str, list[Codes]], *, narrow: bool = True) -> None:
    """Let codes take the place of the initializers that they are.

    Parameters:
        model: the graph.
        held: see `held_by`.
        narrow: whether integers of two bits may be used.

    Raises:
        InputError: a layout that ONNX cannot say.
    """
    there = {one.name: one for one in model.graph.initializer}
    for name, matrices in held.items():
        piece = Piece(narrow=narrow)
        _look_up(model, name, matrices, piece)
        dequantized(matrices, tuple(there[name].dims), name, piece)
        _replace(model, there[name], piece)
    _prune(model)
    model.ir_version = IR[next(one.version for one in model.opset_import if not one.domain)]


def matrix_name(name: str, matrices: list[Codes]) -> str:
    """What the (n, f) matrix of a parameter of two dimensions is called, "" where it is no whole one."""
    one = matrices[0]
    if len(matrices) > 1 or one.kind not in ("linear", "embedding") or len(one.use.weight.size) != 2:
        return ""
    return name if _order(one) == [0, 1] else f"{name}.matrix"


def _prune(model: Any) -> None:
    """Drop nodes and initializers that nothing takes."""
    graph = model.graph
    wanted = {one.name for one in graph.output}
    kept = []
    for node in reversed([*graph.node]):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    initializers = [one for one in graph.initializer if one.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(initializers)


def _replace(model: Any, initializer: Any, piece: Piece) -> None:
    """Put the nodes of a piece before all others, and its initializers for the one that they make."""
    model.graph.initializer.remove(initializer)
    model.graph.initializer.extend(piece.initializers)
    rest = [*model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*piece.nodes, *rest])


def dequantized(matrices: list[Codes], shape: tuple[int, ...], name: str, piece: Piece) -> None:
    """Nodes that make a parameter of that shape and name out of its codes."""
    if len(matrices) == 1:
        _whole(matrices[0], shape, name, piece)
        return
    places = sorted(matrices, key=lambda one: one.use.weight.offset)
    width = math.prod(shape[1:])
    ends = [(one.use.weight.offset, one.use.weight.offset + one.codes.size) for one in places]
    follow = all(last == first for (_, last), (first, _) in pairwise(ends))
    rows = all(
        one.kind == "linear" and one.codes.shape[1] == width and _order(one) == [0, 1] for one in places
    )
    if len(shape) != 2 or not rows or not follow or ends[0][0] or ends[-1][1] != math.prod(shape):
        raise _unlike(places[0], "parts that are not its rows")
    parts = []
    for i, one in enumerate(places):
        _whole(one, one.codes.shape, f"{name}.{i}", piece)
        parts.append(f"{name}.{i}")
    piece.node("Concat", parts, name, axis=0)


def _unlike(codes: Codes, got: str) -> InputError:
    return InputError(
        f"ONNX must be able to lay out {codes.parameter}, got {got}; pass leave=[{codes.parameter!r}]"
    )


def _order(codes: Codes) -> list[int]:
    """The axes of a matrix's view in the order in which they lie in memory."""
    place = codes.use.weight
    return sorted(range(len(place.size)), key=lambda axis: (-place.stride[axis], axis))


def _whole(codes: Codes, shape: tuple[int, ...], name: str, piece: Piece) -> None:
    """Nodes that make one matrix, which is all of a parameter."""
    if math.prod(shape) != codes.codes.size:
        raise _unlike(codes, f"a part of {codes.codes.size} of its {math.prod(shape)} numbers")
    if codes.kind == "transposed":
        _transposed(codes, shape, name, piece)
        return
    size, order = codes.use.weight.size, _order(codes)
    turned = order != [*range(len(size))]
    if not turned and not _grouped(codes) and codes.kind == "convolution":
        _linear(codes, shape, name, piece)
        return
    steps: list[tuple[str, tuple[int, ...]]] = []
    now: tuple[int, ...] = codes.codes.shape
    if turned:
        steps += [("Reshape", size)] if size != now else []
        steps.append(("Transpose", tuple(order)))
        now = tuple(size[axis] for axis in order)
    if now != shape:
        steps.append(("Reshape", shape))
    source = _linear(codes, codes.codes.shape, f"{name}.matrix" if steps else name, piece)
    _follow(source, steps, name, piece)


def _follow(source: str, steps: list[tuple[str, tuple[int, ...]]], name: str, piece: Piece) -> None:
    """Nodes that lay a matrix out, the last of which bears the name."""
    for i, (kind, value) in enumerate(steps):
        output = name if i == len(steps) - 1 else f"{name}.{kind.lower()}{i}"
        if kind == "Reshape":
            source = piece.reshaped(source, value, output)
        else:
            source = piece.node("Transpose", [source], output, perm=list(value))


def _transposed(codes: Codes, shape: tuple[int, ...], name: str, piece: Piece) -> None:
    """Of a transposed convolution (inputs, outputs / groups, ...): its rows are outputs of the plain one."""
    if _grouped(codes):
        raise _unlike(codes, f"groups of {codes.group} in a transposed convolution")
    groups, spaces = codes.use.groups, len(shape) - 2
    inputs, outputs = shape[0] // groups, shape[1]
    kernel = codes.codes.reshape(groups, outputs, inputs, *shape[2:])
    unflipped = np.flip(kernel, axis=tuple(range(3, 3 + spaces))).reshape(codes.codes.shape)
    source = _linear(codes, codes.codes.shape, f"{name}.matrix", piece, unflipped)
    steps = [
        ("Reshape", (groups, outputs, inputs, *shape[2:])),
        ("Transpose", (0, 2, 1, *range(3, 3 + spaces))),
        ("Reshape", shape),
    ]
    _follow(source, steps, name, piece)


def _grouped(codes: Codes) -> bool:
    """Whether a row has several steps; a group that is all of it is none, which more runtimes read."""
    return bool(0 < codes.group < codes.codes.shape[1])


def _linear(
    codes: Codes,
    shape: tuple[int, ...],
    name: str,
    piece: Piece,
    values: npt.NDArray[Any] | None = None,
) -> str:
    """The DequantizeLinear of a matrix; without groups its rows may have more than one dimension."""
    grouped = _grouped(codes)
    blocks = {"axis": 1, "block_size": codes.group} if grouped else {"axis": 0}
    small = codes.step.shape if grouped else (len(codes.step),)
    given = codes.codes if values is None else values
    inputs = [
        piece.integers(f"{name}.codes", given.reshape(shape), codes),
        piece.array(f"{name}.step", codes.step.reshape(small)),
    ]
    if codes.zero.any():
        inputs.append(piece.integers(f"{name}.zero", codes.zero.reshape(small), codes))
    return piece.node("DequantizeLinear", inputs, name, **blocks)


def _integers(name: str, values: npt.NDArray[Any], codes: Codes, widths: tuple[int, ...]) -> Any:
    """A tensor of signed or unsigned integers, the narrowest of these widths that holds the codes."""
    onnx = needed("onnx", "ONNX")
    width = next(one for one in widths if codes.bits <= one)
    kind = getattr(onnx.TensorProto, f"{'INT' if codes.low < 0 else 'UINT'}{width}")
    flat = values.reshape(-1).astype(np.int64)
    if width < 8:
        each = 8 // width
        flat = np.append(flat, np.zeros(-len(flat) % each, dtype=np.int64)) & (2**width - 1)
        flat = (flat.reshape(-1, each) << (width * np.arange(each))).sum(axis=1)
    raw = flat.astype(np.uint8 if width < 8 or codes.low >= 0 else np.int8).tobytes()
    return onnx.helper.make_tensor(name, kind, values.shape, raw, raw=True)


def _look_up(model: Any, name: str, matrices: list[Codes], piece: Piece) -> None:
    """Let look-ups in a table take codes, steps and zero points of the rows asked for, not of all."""
    codes = matrices[0]
    plain = len(matrices) == 1 and codes.kind in ("embedding", "linear") and _order(codes) == [0, 1]
    apart = _grouped(codes)
    whole = not apart or codes.codes.shape[1] % codes.group == 0
    if not plain or not whole or codes.bits <= 4:  # ONNX gathers nothing narrower than a byte
        return
    helper = needed("onnx", "ONNX").helper
    made: list[Any] = []
    for node in model.graph.node:
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        if node.op_type != "Gather" or node.input[0] != name or axis:
            made.append(node)
            continue
        if not piece.initializers:
            kind = needed("onnx", "ONNX").TensorProto.FLOAT
            n, groups = codes.step.shape
            shape = (n, groups, -1) if apart else codes.codes.shape
            piece.integers(f"{name}.table", codes.codes.reshape(shape), codes)
            for part, value in (("step", codes.step), ("zero", codes.zero)):
                piece.array(f"{name}.rows.{part}", value[:, :, None] if apart else value)
            if apart:
                piece.array(f"{name}.width", np.array([codes.codes.shape[1]], dtype=np.int64))
        out, places = node.output[0], node.input[1]
        parts = {"table": "codes", "rows.zero": "zero", "rows.step": "step"}
        for source, part in parts.items():
            made.append(helper.make_node("Gather", [f"{name}.{source}", places], [f"{out}.{part}"], axis=0))
        for part in ("codes", "zero"):
            made.append(helper.make_node("Cast", [f"{out}.{part}"], [f"{out}.{part}.float"], to=kind))
        made.append(helper.make_node("Sub", [f"{out}.codes.float", f"{out}.zero.float"], [f"{out}.apart"]))
        made.append(
            helper.make_node("Mul", [f"{out}.apart", f"{out}.step"], [f"{out}.groups" if apart else out])
        )
        if apart:
            made.append(helper.make_node("Shape", [places], [f"{out}.places"]))
            made.append(
                helper.make_node("Concat", [f"{out}.places", f"{name}.width"], [f"{out}.shape"], axis=0)
            )
            made.append(helper.make_node("Reshape", [f"{out}.groups", f"{out}.shape"], [out]))
    del model.graph.node[:]
    model.graph.node.extend(made)
