"""What is stated of a network without building it: how it is judged, and its metric in its weights file."""

from __future__ import annotations

import json
from pathlib import Path

from ..datasets.shipped import shipped
from ..errors import InputError, MissingDataError
from .zoo import network

__all__ = ["METRICS", "float_metric", "header"]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"

METRICS = {
    "classifier": ("accuracy", "test_accuracy"),
    "denoiser": ("PSNR", "test_psnr"),
    "generator": ("Fréchet distance", "test_frechet"),
    "text encoder": ("cosine", ""),
    "recogniser": ("top-1 agreement", ""),
}
"""By kind of network: the name of its metric, and the metric's name in a weights file."""

LONGEST = 100_000_000
"""Bytes of a header, as safetensors has it."""


def float_metric(name: str) -> tuple[str, float]:
    """The name and value of the metric that a network's weights state; 1 where it is held to its own outputs.

    Raises:
        InputError: there is no such network, or its file is damaged.
        MissingDataError: there are no weights, or the package that brings them is not installed.
    """
    spec = network(name)
    metric, key = METRICS[spec.kind]
    if spec.package:
        shipped(spec.package.replace("-", "_"))
        return metric, 1.0
    return metric, float(header(WEIGHTS / f"{name}.safetensors").get(key, 1.0))


def header(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself: eight bytes of length, then JSON; no tensor is read.

    Raises:
        MissingDataError: there is no such file.
        InputError: it is damaged.
    """
    if not path.is_file():
        raise MissingDataError(f"no weights at {path}; train the network")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(length) if length <= LONGEST else b"")
        return dict(content["__metadata__"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} must be a safetensors file, got damaged content") from None
