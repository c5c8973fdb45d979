"""A folder in the format pack-quantized of compressed-tensors, which it and transformers read.

A rounded Linear or Embedding NAME is `NAME.weight_packed`, int32 words of one dense stream of codes a row (as
since version 0.18); `NAME.weight_scale`; `NAME.weight_zero_point`, packed down the rows; and
`NAME.weight_shape`. Codes are signed there: unsigned ones and their zero points lose half of their range.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ...problems.errors import InputError, one_line
from ...problems.quantization.codes import Codes
from ...results.storage.whole_files import write_whole
from .bitstream import packed
from .extras import needed
from .packed import untied

__all__ = ["load_compressed", "save_compressed"]

FORMAT = "pack-quantized"
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_compressed(network: nn.Module, codes: Mapping[str, Codes], folder: Path) -> list[str]:
    """Write a network's tensors and what they mean, with the config of a transformers model.

    Raises:
        InputError: a matrix that is no weight of a Linear or Embedding, or whose last group is short.
    """
    for key, one in codes.items():
        _check(network, key, one)
    state = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    kept, tied = untied(state)
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in kept.items()
        if name not in codes
    }
    for key, one in codes.items():
        tensors |= _tensors(key.removesuffix(".weight"), one)
    own = getattr(network, "config", None)
    config: dict[str, Any] = own.to_dict() if own is not None and hasattr(own, "to_dict") else {}
    if config:
        config["architectures"] = [type(network).__name__]
    config["quantization_config"] = _config(codes)
    folder.mkdir(exist_ok=True)
    write_whole(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_whole(folder / CONFIG, json.dumps(config, indent=2, default=str) + "\n")
    return [f"{name} is another name of {other}, which alone is stored" for name, other in tied.items()]


def _check(network: nn.Module, key: str, codes: Codes) -> None:
    """Whether a matrix is one that the format has."""
    layer = network.get_submodule(codes.parameter.rpartition(".")[0])
    place, cure = codes.use.weight, f"pass leave=[{key!r}]"
    plain = isinstance(layer, nn.Linear | nn.Embedding) and codes.parameter.endswith(".weight")
    whole = key == codes.parameter and place.stride == (codes.codes.shape[1], 1)
    if not plain or not whole:
        kind = type(layer).__name__
        raise InputError(
            f"compressed-tensors must have weights of Linear or Embedding, got {key} of {kind}; {cure}"
        )
    if codes.group and codes.codes.shape[1] % codes.group:
        width = codes.codes.shape[1]
        raise InputError(
            f"compressed-tensors must have whole groups, got {width} inputs in groups of {codes.group} in "
            f"{key}; {cure} or round it with another group"
        )


def _tensors(name: str, codes: Codes) -> dict[str, Tensor]:
    half = 2 ** (codes.bits - 1)
    shift = half if codes.low < 0 else 0  # what makes codes unsigned
    found = {
        f"{name}.weight_packed": torch.from_numpy(_words(codes.codes.astype(np.int16) + shift, codes.bits)),
        f"{name}.weight_scale": torch.from_numpy(codes.step),
        f"{name}.weight_shape": torch.tensor(codes.codes.shape),
    }
    if not codes.symmetric:
        zero = _words((codes.zero.astype(np.int16) + shift).T, codes.bits).T
        found[f"{name}.weight_zero_point"] = torch.from_numpy(np.ascontiguousarray(zero))
    return found


def _words(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.int32]:
    """Rows of int32 words of values in [0, 2^bits), one dense stream a row."""
    rows = packed(values, bits)
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))).view("<i4")


def _config(codes: Mapping[str, Codes]) -> dict[str, Any]:
    """What the tensors mean, in the package's words: a group for each kind of grid."""
    kinds: dict[tuple[int, int, bool], list[str]] = {}
    for key, one in codes.items():
        kind = one.bits, one.group, one.symmetric
        kinds.setdefault(kind, []).append(key.removesuffix(".weight"))
    groups = {
        f"group_{i}": {
            "targets": sorted(names),
            "weights": {
                "num_bits": bits,
                "type": "int",
                "symmetric": symmetric,
                "strategy": "group" if group else "channel",
                "group_size": group or None,
                "dynamic": False,
            },
        }
        for i, ((bits, group, symmetric), names) in enumerate(kinds.items())
    }
    return {
        "quant_method": "compressed-tensors",
        "format": FORMAT,
        "quantization_status": "compressed",
        "config_groups": groups,
        "ignore": [],
    }


def load_compressed(folder: Path, into: nn.Module) -> nn.Module:
    """A copy of a module with the weights of a folder, unpacked by the package itself, in eval mode.

    Raises:
        InputError: the folder holds no such thing, or parameters of other names or shapes.
    """
    compressors = needed("compressed_tensors.compressors", "compressed-tensors")
    quantization = needed("compressed_tensors.quantization", "compressed-tensors")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["quantization_config"]
        tensors = load_file(folder / WEIGHTS)
        unpack = compressors.BaseCompressor.get_value_from_registry(config["format"]).decompress
        for group in config["config_groups"].values():
            scheme = quantization.QuantizationScheme(**group)
            for name in group["targets"]:
                own = {key: tensors.pop(key) for key in [*tensors] if key.startswith(f"{name}.weight_")}
                local = {key.removeprefix(f"{name}."): value for key, value in own.items()}
                tensors[f"{name}.weight"] = unpack(local, scheme)["weight"]
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} must be a folder that suites.save wrote, got {one_line(error)}") from None
    network = copy.deepcopy(into).eval()
    tied = untied({name: one for name, one in network.state_dict().items() if isinstance(one, Tensor)})[1]
    state = {**tensors, **{name: tensors[other] for name, other in tied.items() if other in tensors}}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{folder} must meet the module that was compressed, got {one_line(error)}"
        ) from None
    return network
