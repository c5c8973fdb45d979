"""save: a compressed network as a file, in a format that a runtime reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...problems.errors import InputError
from ...problems.quantization.codes import Codes, codes_of
from .formats import check_tolerance, format_of
from .packed import save_packed, untied

__all__ = ["WRITERS", "Saved", "quantized", "save"]


@dataclass(frozen=True)
class Saved:
    """What became of a network on disk.

    Attributes:
        path: of the file, or of the folder.
        format: its name.
        bytes: of everything that was written.
        float_bytes: of the network's parameters and buffers in float32.
        left: rounded matrices that were written as floats, because the caller wished it.
        notes: what else a reader should know.
    """

    path: Path
    format: str
    bytes: int
    float_bytes: int
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The sizes in a line."""
        share = self.bytes / max(1, self.float_bytes)
        whole = f"{self.float_bytes:,} bytes in float32, {self.bytes:,} as {self.format} in {self.path}"
        return f"{whole}: {share:.1%}"


@dataclass(frozen=True)
class Order:
    """What is to be written.

    Attributes:
        network, codes, path: without the codes that the caller leaves float.
        example: what the network is called on; None where nobody gave one.
        tolerance: largest relative error of a step that a format with shorter numbers may make.
    """

    network: nn.Module
    codes: dict[str, Codes]
    path: Path
    example: Any
    tolerance: float


def quantized(network: nn.Module) -> dict[str, Codes]:
    """The integers of a network that came out of `compress`, by parameter.

    Each has codes int8 (n, f), step float32 (n, groups), zero int8 (n, groups), bits and group; `matrix()` is
    the weights that they stand for, to the last bit those of the network. What is not among them is float.
    A deep copy, a pickle and `to(dtype)` keep them; a state dict holds the floats alone.

    Raises:
        InputError: it is no module, or its weights changed since.
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"network must be a torch module, got a {type(network).__name__}")
    return codes_of(network)


def save(
    network: nn.Module,
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    example: Any = None,
    leave: Iterable[str] = (),
    tolerance: float = 0.0,
) -> Saved:
    """Write a compressed network so that something else can run it, its rounded matrices as integers.

    Parameters:
        network: what `compress` returned, or any module.
        path: of the file; its ending chooses the format.
        format: "packed" (.safetensors), "onnx" and "matmulnbits" (.onnx), "compressed-tensors" (a folder) or
            "gguf" (.gguf).
        example: a batch that the network is called on, a tuple for several arguments, a dict for named ones;
            ONNX needs one.
        leave: globs of parameters to write as floats although they were rounded.
        tolerance: largest relative error of a step, for formats whose steps are shorter than float32.

    Raises:
        InputError: an unknown format, a package that is missing, or a parameter that the format cannot hold;
            the message names it.
    """
    name, place = format_of(path, format), Path(path)
    if not place.resolve().parent.is_dir():
        raise InputError(f"path must lie in a folder that exists, got {path}; create {place.parent} first")
    check_tolerance(tolerance)
    codes = quantized(network)
    left = _left(codes, (leave,) if isinstance(leave, str) else tuple(leave))
    kept = {key: one for key, one in codes.items() if key not in left}
    notes = WRITERS[name](Order(network, kept, place, example, tolerance))
    return Saved(place, name, _bytes(place), _float_bytes(network), left, tuple(notes))


def _left(codes: Mapping[str, Codes], globs: Iterable[str]) -> tuple[str, ...]:
    """The rounded parameters that globs name; each must name one."""
    for glob in globs:
        if not any(fnmatchcase(key, glob) for key in codes):
            raise InputError(f"leave must name rounded parameters, got {glob!r}; {_those(codes)}")
    return tuple(key for key in codes if any(fnmatchcase(key, glob) for glob in globs))


def _those(codes: Mapping[str, Codes]) -> str:
    names = [*codes]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"they are {', '.join(names[:3])}{more}" if names else "it has none"


def _packed(order: Order) -> list[str]:
    return save_packed(order.network, order.codes, order.path)


def _onnx(order: Order) -> list[str]:
    from .onnx_file import save_onnx

    save_onnx(order.network, order.codes, order.path, order.example)
    return []


def _matmulnbits(order: Order) -> list[str]:
    from .onnx_file import save_onnx

    save_onnx(order.network, order.codes, order.path, order.example, products=True)
    return []


def _compressed(order: Order) -> list[str]:
    from .compressed import save_compressed

    return save_compressed(order.network, order.codes, order.path)


def _gguf(order: Order) -> list[str]:
    from .blocks import save_blocks

    return save_blocks(order.network, order.codes, order.path, tolerance=order.tolerance)


WRITERS: dict[str, Callable[[Order], list[str]]] = {
    "packed": _packed,
    "onnx": _onnx,
    "matmulnbits": _matmulnbits,
    "compressed-tensors": _compressed,
    "gguf": _gguf,
}
"""Writers by the name of their format; each gives notes for the caller."""


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def _float_bytes(network: nn.Module) -> int:
    state = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    return 4 * sum(value.numel() for value in untied(state)[0].values())
