"""Trained weights: load them, their checksum, what their file says of itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from ..errors import InputError, MissingDataError
from .real import package_version
from .zoo import network

__all__ = ["WEIGHTS", "load_network", "narrowed", "weights_checksum", "weights_metadata"]

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def load_network(name: str, *, weights: Path | None = None) -> nn.Module:
    """Build a network with trained weights: in eval mode, no parameter asks for a gradient.

    `weights` is a file that `training.save_weights` wrote; without it, the weights the package carries.
    Raises InputError for an unknown name or a file that does not fit, MissingDataError without a file.
    """
    spec = network(name)
    if spec.package and weights is None:
        return spec.build()
    path = _weights_path(name, weights)
    if weights_metadata(name, weights=weights).get("network") != name:
        raise InputError(
            f"{path} must hold the weights of {name}, got another network's; pass the file of {name}"
        )
    with torch.device("meta"):  # no initial weights are drawn, so the global generator stays as it was
        module = spec.build()
    kinds = {key: tensor.dtype for key, tensor in module.state_dict().items()}
    # A file may be narrower than the network is in memory.
    state = {key: tensor.to(kinds.get(key, tensor.dtype)) for key, tensor in load_file(path).items()}
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InputError(
            f"{path} must fit the layers of {name}, got other tensors; train {name} again"
        ) from error
    return module.eval().requires_grad_(False)


def weights_metadata(name: str, *, weights: Path | None = None) -> dict[str, str]:
    """What the weights file says of itself.

    Keys: network, dataset, dataset_checksum, seed, epochs, torch and test_accuracy, or test_psnr (dB) of a
    denoiser, or test_frechet of a generator. Of a package's weights: network, dataset, package, its version.
    Raises as `load_network` does.
    """
    spec = network(name)
    if spec.package and weights is None:
        return {"network": name, "dataset": spec.dataset, "package": package_version(spec.package)}
    path = _weights_path(name, weights)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(
            f"{path} must be a safetensors file, got damaged content; train {name} again"
        ) from error


def narrowed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors by name in 16 bits each: floats in half precision, integers where all of a tensor's fit."""
    return {key: _narrow(tensor) for key, tensor in state.items()}


def _narrow(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_floating_point():
        return tensor.half()
    small = tensor.short()
    return small if torch.equal(small.to(tensor.dtype), tensor) else tensor


def weights_checksum(module: nn.Module) -> str:
    """A module's identity: sha256 over names, shapes and float32 values of its state dict, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):  # a module's extra state may be anything
            continue
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        numbers = tensor.detach().cpu().to_dense().to(torch.float32).contiguous().numpy()
        digest.update(numbers.astype("<f4", copy=False).data)  # in place, as a table may be most of a network
    return digest.hexdigest()


def _weights_path(name: str, weights: Path | None) -> Path:
    """The file to read. Raises InputError for an unknown network, MissingDataError where there is no file."""
    path = weights or WEIGHTS / f"{network(name).name}.safetensors"
    if not path.is_file():
        raise MissingDataError(
            f"the weights of {name} must be in {path}, got no such file; run: qubopress train {name}"
        )
    return path
