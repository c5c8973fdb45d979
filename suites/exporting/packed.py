"""Our own file: safetensors whose rounded matrices are packed codes, steps and zero points.

Of a rounded parameter NAME the file holds `NAME.codes`, uint8 rows of little-endian bit streams of the codes
counted from the least one, each row from a byte of its own; `NAME.step`, float32 (n, groups); and, where a
zero point is not 0, `NAME.zero`, int8 (n, groups). Weights are float32(step)·(code + low − zero). Everything
else stands as in the state dict. The metadata's `qubopress` is JSON: how each matrix lies in its parameter,
and which names share one tensor. Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...problems.errors import InputError, one_line
from ...problems.layers.patches import Kind
from ...problems.layers.uses import parameter_of
from ...problems.quantization.codes import Codes, attach, codes_from, codes_of
from ...problems.quantization.eight_bit import QuantizedInput, quantize_input
from ...results.storage.whole_files import write_whole
from .bitstream import packed, unpacked, width

__all__ = ["File", "content_of", "is_packed", "load_packed", "parts_of", "save_packed", "untied"]

VERSION = 1
METADATA = "qubopress"


def save_packed(network: nn.Module, codes: Mapping[str, Codes], path: Path) -> list[str]:
    """Write a network; what could not be written is named, in words."""
    kept, plain, tied = parts_of(network, codes)
    tensors = {name: _plain(value) for name, value in plain.items()}
    for name, one in codes.items():
        tensors |= _tensors(name, one)
    write_whole(path, save(tensors, metadata=content_of(codes, kept, tied)))
    others = [name for name, value in network.state_dict().items() if not isinstance(value, Tensor)]
    return [f"left out {name}: no tensor, so set it again after loading" for name in others]


def parts_of(
    network: nn.Module, codes: Mapping[str, Codes]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """A network's tensors, each once; those of them that are written as floats; and other names of some."""
    kept, tied = untied({name: one for name, one in network.state_dict().items() if isinstance(one, Tensor)})
    whole = {one.parameter for name, one in codes.items() if name == one.parameter}
    return kept, {name: one for name, one in kept.items() if name not in whole}, tied


def content_of(
    codes: Mapping[str, Codes], kept: Mapping[str, Tensor], tied: Mapping[str, str]
) -> dict[str, str]:
    """The metadata of a file: how each matrix lies in its parameter."""
    matrices = {name: _described(one, kept[one.parameter]) for name, one in codes.items()}
    content = {"version": VERSION, "matrices": matrices, "tied": tied}
    return {"format": "pt", METADATA: json.dumps(content)}


def untied(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors without those that are another one of them, and whose names those go by.

    Raises:
        InputError: a tensor that does not lie in memory number after number.
    """
    kept, tied, seen = dict[str, Tensor](), dict[str, str](), dict[tuple[object, ...], str]()
    for name, value in state.items():
        if value.layout != torch.strided:
            raise InputError(
                f"tensors must be dense to be written, got {name} as {value.layout}; make it dense"
            )
        place = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        # An empty tensor lies nowhere, so that all of them seem to be one.
        if value.numel() and place in seen:
            tied[name] = seen[place]
            continue
        seen[place] = name
        kept[name] = value
    return kept, tied


def _plain(value: Tensor) -> Tensor:
    """A copy in order: parts of one storage, or a transposed view, cannot be written as they are."""
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _tensors(name: str, codes: Codes) -> dict[str, Tensor]:
    rows = codes.unsigned if codes.bits == 8 else packed(codes.unsigned, codes.bits)
    found = {f"{name}.codes": torch.from_numpy(rows), f"{name}.step": torch.from_numpy(codes.step)}
    if codes.zero.any():
        found[f"{name}.zero"] = torch.from_numpy(codes.zero)
    return found


def _described(codes: Codes, whole: Tensor) -> dict[str, Any]:
    """What JSON tells of a matrix: all but its numbers."""
    plain = {key: value for key, value in asdict(codes).items() if key not in ("codes", "step", "zero")}
    dtype = str(whole.dtype).removeprefix("torch.")
    return {**plain, "inputs": codes.codes.shape[1], "shape": list(whole.shape), "dtype": dtype}


@dataclass(frozen=True)
class File:
    """What such a file holds.

    Attributes:
        tensors: by the names of the state dict.
        codes: of the rounded matrices.
        shapes, dtypes: of the parameters that those are.
        tied: other names of some tensors.
    """

    tensors: dict[str, Tensor]
    codes: dict[str, Codes]
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    tied: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> File:
        """Read and check one.

        Raises:
            InputError: it is none, or what it says of a matrix does not hold.
        """
        tensors, content = _read(path)
        try:
            found = cls(tensors, {}, {}, {}, {str(a): str(b) for a, b in content["tied"].items()})
            for name, told in content["matrices"].items():
                found._take(name, dict(told))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"{path} must say of each matrix how it lies, got {one_line(error)}") from None
        return found

    def _take(self, name: str, told: dict[str, Any]) -> None:
        """Make the codes of a matrix out of its tensors."""
        inputs, bits, low = int(told.pop("inputs")), int(told["bits"]), int(told["low"])
        shape, dtype = told.pop("shape"), getattr(torch, told.pop("dtype"))
        if not isinstance(dtype, torch.dtype) or told["use"]["kind"] not in get_args(Kind):
            raise ValueError(f"dtype {dtype} and kind {told['use']['kind']} of {name}")
        rows, step = (self.tensors.pop(f"{name}.{what}").numpy() for what in ("codes", "step"))
        if not 1 <= bits <= 8 or rows.ndim != 2 or rows.shape[1] != width(inputs, bits):
            raise ValueError(f"{rows.shape} bytes for {inputs} codes of {bits} bits in {name}")
        unsigned = rows if bits == 8 else unpacked(rows, bits, inputs)
        zero = self.tensors.pop(f"{name}.zero", None)
        zeros = np.zeros(step.shape, dtype=np.int8) if zero is None else zero.numpy()
        told["use"] = {**told["use"], **_places(told["use"])}
        codes = codes_from(
            {**told, "codes": (unsigned.astype(np.int16) + low).astype(np.int8), "step": step, "zero": zeros}
        )
        group = codes.group or inputs
        if step.shape != (len(rows), -(-inputs // group)) or zeros.shape != step.shape:
            raise ValueError(f"{step.shape} steps for groups of {group} of {inputs} in {name}")
        self.codes[name] = codes
        self.shapes[codes.parameter], self.dtypes[codes.parameter] = tuple(map(int, shape)), dtype


def _places(use: Mapping[str, Any]) -> dict[str, Any]:
    """The places of a use, whose sizes JSON made lists."""
    made = {}
    for what in ("weight", "bias"):
        place = use[what]
        if place is not None:
            made[what] = {**place, **{key: tuple(map(int, place[key])) for key in ("size", "stride")}}
    return made


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    cure = "name a file that suites.save wrote"
    try:
        with safe_open(path, framework="pt") as file:
            told = (file.metadata() or {}).get(METADATA)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} must be a safetensors file, got {one_line(error)}; {cure}") from None
    if told is None:
        raise InputError(f"{path} must hold packed codes, got plain tensors; {cure}, or load them with torch")
    content = json.loads(told)
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise InputError(f"{path} must be of version {VERSION} of our format, got another; save it again")
    return tensors, content


def is_packed(path: Path) -> bool:
    """Whether a file is one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            return METADATA in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def load_packed(path: Path, into: nn.Module) -> nn.Module:
    """A copy of a module with the weights and the codes of a file, in eval mode.

    The module may be the float one that was compressed: BatchNorms that compression folded become identities,
    layers gain the biases that came of them, and inputs that were rounded to eight bits are rounded again.

    Raises:
        InputError: no such file, or parameters of other names or shapes.
    """
    file, network = File.read(path), copy.deepcopy(into).eval()
    _adapt(network, {*file.tensors, *file.shapes, *file.tied})
    with torch.no_grad():
        _fill(network, file, path)
    for codes in file.codes.values():
        attach(network, codes)
    codes_of(network)
    return network


def _adapt(network: nn.Module, names: set[str]) -> None:
    """Give a float network the parts that its compressed copy has."""
    for name, module in [*network.named_modules()]:
        folded = isinstance(module, _BatchNorm) and not any(one.startswith(f"{name}.") for one in names)
        if folded and name:
            network.set_submodule(name, nn.Identity())
        if f"{name}.input_quantizer.step" in names and not hasattr(module, "input_quantizer"):
            quantize_input(network, name, QuantizedInput(0.0, 1.0))
        bias = f"{name}.bias".removeprefix(".")
        if bias in names and getattr(module, "bias", module) is None:
            weight = module.weight
            assert isinstance(weight, Tensor)
            rows = getattr(module, "out_channels", len(weight))
            module.register_parameter("bias", nn.Parameter(weight.new_zeros(rows)))


def _fill(network: nn.Module, file: File, path: Path) -> None:
    """Write a file's numbers into a network, in the types that the file says."""
    state = {
        **file.tensors,
        **{other: file.tensors[name] for other, name in file.tied.items() if name in file.tensors},
    }
    for name, one in network.named_parameters():
        kept = state.get(name)
        one.data = one.data.to(file.dtypes.get(name, one.dtype if kept is None else kept.dtype))
    try:
        told = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise _unlike(path, one_line(error)) from None
    coded = {name for name, other in file.tied.items() if other in file.shapes} | {*file.shapes}
    missing = sorted({*told.missing_keys} - coded)
    if missing or told.unexpected_keys:
        lacks = ", ".join(missing[:3]) or "nothing"
        more = ", ".join(told.unexpected_keys[:3]) or "nothing"
        raise _unlike(path, f"a module that has {lacks} and lacks {more}")
    for codes in file.codes.values():
        _write(network, codes, file.shapes[codes.parameter], path)


def _write(network: nn.Module, codes: Codes, shape: tuple[int, ...], path: Path) -> None:
    name, place = codes.parameter, codes.use.weight
    try:
        whole = parameter_of(network, name)
    except AttributeError:
        raise _unlike(path, f"a module that lacks {name}") from None
    if tuple(whole.shape) != shape:
        raise _unlike(path, f"{name} of shape {tuple(whole.shape)} for {shape}")
    ends = place.offset + sum((size - 1) * step for size, step in zip(place.size, place.stride, strict=True))
    sound = min((place.offset, *place.stride, *(size - 1 for size in place.size))) >= 0
    if not sound or ends >= whole.numel() or math.prod(place.size) != codes.codes.size:
        raise InputError(f"{path} must lay {name} inside itself, got another place; save it again")
    codes.use.put(network, codes.matrix().astype(np.float64))


def _unlike(path: Path, got: str) -> InputError:
    return InputError(f"{path} must meet the module that was compressed, got {got}; pass that as into=")
