"""Bytes that our packed file takes, from the shapes of what it holds: nothing is packed or written.

safetensors is eight bytes of length, a JSON header padded to a multiple of eight, and the tensors without a
gap. The header names each tensor's place, so that the order in which they lie decides how many digits it has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import nn

from ...problems.errors import InputError
from ...problems.quantization.codes import Codes, codes_of
from .bitstream import width
from .packed import content_of, parts_of

__all__ = ["stored_bytes"]

Shape: TypeAlias = tuple[torch.dtype, tuple[int, ...]]

ORDER = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Types by their names in a header, in the order in which tensors of them lie in a file."""


def stored_bytes(network: nn.Module) -> int | None:
    """The size of the file that `suites.save(network, "net.safetensors")` would write.

    None where `save` refuses: a sparse tensor, one of a type that such a file lacks, or weights that changed
    since they were rounded.
    """
    try:
        codes = codes_of(network)
        kept, plain, tied = parts_of(network, codes)
    except InputError:
        return None
    shapes: dict[str, Shape] = {name: (one.dtype, tuple(one.shape)) for name, one in plain.items()}
    for name, one in codes.items():
        shapes |= _shapes(name, one)
    if any(dtype not in ORDER for dtype, _ in shapes.values()):
        return None
    return _file_bytes(shapes, content_of(codes, kept, tied))


def _shapes(name: str, codes: Codes) -> dict[str, Shape]:
    """Of the tensors that a rounded matrix is written as."""
    rows, inputs = codes.codes.shape
    found: dict[str, Shape] = {
        f"{name}.codes": (torch.uint8, (rows, width(inputs, codes.bits))),
        f"{name}.step": (torch.float32, codes.step.shape),
    }
    if codes.zero.any():
        found[f"{name}.zero"] = (torch.int8, codes.zero.shape)
    return found


def _file_bytes(shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> int:
    places, order = 0, [*ORDER]
    header: dict[str, object] = {"__metadata__": metadata}
    for name, (dtype, shape) in sorted(shapes.items(), key=lambda one: (order.index(one[1][0]), one[0])):
        end = places + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": ORDER[dtype], "shape": shape, "data_offsets": (places, end)}
        places = end
    told = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return 8 + 8 * math.ceil(told / 8) + places
