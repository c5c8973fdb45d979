"""A GGUF file whose tensors are blocks of 32 codes, written from the codes and never quantized again.

Q4_0 is d·(q − 8), Q4_1 is d·q + m, Q8_0 is d·q with q signed; d and m are float16. The package's own
quantizer would take other steps for a layer that lies on a grid already.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...problems.errors import InputError, one_line
from ...problems.quantization.codes import Codes
from ...results.storage.whole_files import write_whole
from .extras import needed
from .packed import untied

__all__ = ["load_blocks", "save_blocks"]

BLOCK = 32
LONGEST = 63
"""Bytes of a tensor's name that readers of GGUF have room for."""

KINDS = {"float32": "F32", "float64": "F64", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64"}


def save_blocks(
    network: nn.Module, codes: Mapping[str, Codes], path: Path, *, tolerance: float = 0.0
) -> list[str]:
    """Write a network's tensors.

    Parameters:
        network: any module.
        codes: of its rounded matrices.
        path: of the file.
        tolerance: largest relative error that float16 may make of a step, or of a zero point's share of it.

    Raises:
        InputError: a matrix that no kind of block holds, or steps that float16 does not.
    """
    gguf = needed("gguf", "GGUF")
    blocks = {key: _blocks(key, one, tolerance) for key, one in codes.items()}
    state = {name: one for name, one in network.state_dict().items() if isinstance(one, Tensor)}
    kept, tied = untied(state)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made")
        writer = gguf.GGUFWriter(made, "qubopress")
        for name, value in kept.items():
            if len(name.encode()) > LONGEST:
                raise InputError(
                    f"names in GGUF must have at most {LONGEST} bytes, got {name}; save it packed"
                )
            if name in blocks:
                kind, rows = blocks[name]
                writer.add_tensor(name, rows, raw_dtype=gguf.GGMLQuantizationType[kind])
            else:
                writer.add_tensor(name, _plain(value))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        write_whole(path, made.read_bytes())
    return [f"{name} is another name of {other}, which alone is stored" for name, other in tied.items()]


def _plain(value: Tensor) -> npt.NDArray[Any]:
    """A tensor in a type that GGUF has: float32 of what is shorter, and one number as a list of it."""
    array = value.detach().cpu()
    if str(array.dtype).removeprefix("torch.") not in KINDS:
        array = array.float() if array.is_floating_point() else array.to(torch.int8)
    return np.ascontiguousarray(np.atleast_1d(array.numpy()))


def _blocks(key: str, codes: Codes, tolerance: float) -> tuple[str, npt.NDArray[np.uint8]]:
    """The kind of block and the bytes (n, ·) of a matrix."""
    cure = f"pass leave=[{key!r}]"
    inputs, place = codes.codes.shape[1], codes.use.weight
    if key != codes.parameter or place.size != codes.codes.shape or place.stride != (inputs, 1):
        raise InputError(f"GGUF must have whole matrices of two dimensions, got {key}; {cure}")
    if inputs % BLOCK or codes.group % BLOCK:
        got = f"{inputs} inputs in groups of {codes.group}" if codes.group else f"{inputs} inputs"
        raise InputError(f"GGUF must have inputs in blocks of {BLOCK}, got {got} in {key}; {cure}")
    apart = codes.codes.astype(np.int16) - codes.spread(codes.zero)
    step = codes.spread(codes.step)[:, ::BLOCK]
    halves = [_half(key, step, step, tolerance)]
    if apart.min() >= -8 and apart.max() <= 7:
        return "Q4_0", _joined(halves, _nibbles(apart + 8))
    if codes.bits <= 4:
        least = (codes.low - codes.spread(codes.zero).astype(np.float32))[:, ::BLOCK] * step
        halves.append(_half(key, least, step, tolerance))
        return "Q4_1", _joined(halves, _nibbles(codes.unsigned))
    if apart.min() >= -128 and apart.max() <= 127:
        return "Q8_0", _joined(halves, apart.astype(np.int8).view(np.uint8).reshape(len(apart), -1, BLOCK))
    raise InputError(f"GGUF must have codes within 128 of their zero point, got others in {key}; {cure}")


def _half(
    key: str, values: npt.NDArray[Any], unit: npt.NDArray[Any], tolerance: float
) -> npt.NDArray[np.uint8]:
    """Two bytes (n, blocks, 2) of each value in float16."""
    with np.errstate(over="ignore"):
        short = values.astype("<f2")
    error = np.abs(short.astype(np.float64) - values) / np.maximum(np.abs(values), np.abs(unit))
    worst = float(error.max(initial=0.0))
    if not worst <= tolerance:
        raise InputError(
            f"GGUF must have steps that float16 holds to {tolerance:g}, got {worst:.1e} of error in {key}; "
            f"pass tolerance={2.0 ** np.ceil(np.log2(worst)) if np.isfinite(worst) else 1:.1e} to take that"
        )
    return np.ascontiguousarray(short[..., None]).view(np.uint8)


def _nibbles(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Sixteen bytes (n, blocks, 16) of the values (n, f): i in the low half of byte i, i + 16 in the high."""
    apart = values.astype(np.uint8).reshape(len(values), -1, 2, BLOCK // 2)
    return np.asarray(apart[:, :, 0] | (apart[:, :, 1] << 4))


def _joined(halves: list[npt.NDArray[np.uint8]], codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(np.concatenate([*halves, codes], axis=2).reshape(len(codes), -1))


def _read(gguf: Any, one: Any) -> Tensor:
    """A tensor of a file in floats, or in its own integers."""
    whole = one.data.dtype.kind == "i"
    return torch.from_numpy(
        np.array(one.data if whole else gguf.quants.dequantize(one.data, one.tensor_type))
    )


def load_blocks(path: Path, into: nn.Module) -> nn.Module:
    """A copy of a module with the weights of a file, dequantized by the package itself, in eval mode.

    Raises:
        InputError: it is no such file, or of other names or shapes.
    """
    gguf = needed("gguf", "GGUF")
    try:
        found = {one.name: _read(gguf, one) for one in gguf.GGUFReader(path).tensors}
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{path} must be a GGUF file that suites.save wrote, got {one_line(error)}"
        ) from None
    network = copy.deepcopy(into).eval()
    own = {name: one for name, one in network.state_dict().items() if isinstance(one, Tensor)}
    tied = untied(own)[1]
    state = {**found, **{name: found[other] for name, other in tied.items() if other in found}}
    state = {
        name: one.reshape(own[name].shape) if name in own and not own[name].dim() else one
        for name, one in state.items()
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} must meet the module that was compressed, got {one_line(error)}") from None
    return network
