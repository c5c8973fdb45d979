"""The formats of compressed networks by name, and what each takes; nothing slow is imported to refuse one."""

from __future__ import annotations

from pathlib import Path

from ...problems.arrays import number
from ...problems.errors import InputError, unknown_name
from .extras import needed

__all__ = ["ENDINGS", "FORMATS", "SHORTENING", "check_packages", "check_tolerance", "format_of"]

FORMATS = ("packed", "onnx", "matmulnbits", "compressed-tensors", "gguf")

SHORTENING = ("gguf",)
"""Formats whose steps are shorter than float32, which a tolerance is for."""

ENDINGS = {".safetensors": "packed", ".onnx": "onnx", ".gguf": "gguf"}

PACKAGES = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "matmulnbits": ("onnx", "onnxscript", "onnxruntime"),
    "compressed-tensors": ("compressed_tensors",),
    "gguf": ("gguf",),
}
"""What writing a format and running its file takes."""


def check_packages(name: str) -> None:
    """InputError where a package is missing that a format takes."""
    for package in PACKAGES.get(name, ()):
        needed(package, name)


def check_tolerance(tolerance: float) -> None:
    """InputError where it is no relative error."""
    if not 0 <= number(tolerance, name="tolerance") < 1:
        raise InputError(f"tolerance must lie in [0, 1), got {tolerance:g}; 1e-3 takes most float16 steps")


def format_of(path: str | Path, name: str | None = None) -> str:
    """The format that is meant.

    Raises:
        InputError: there is no such format, or the ending does not tell.
    """
    if name is not None:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
        return name
    found = ENDINGS.get(Path(path).suffix)
    if found is None:
        endings = ", ".join(ENDINGS)
        raise InputError(f"path must end in {endings}, got {Path(path).name!r}; or pass format=")
    return found
