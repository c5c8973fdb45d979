"""Layers of a network in the order they run, and the Gram matrix of what flows into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arrays import Floats
from ..errors import InputError, one_line
from ..threads import blas_as_torch
from .patches import ELEMENTS
from .samples import Inputs, described, forward, pieces
from .sums import Sums

__all__ = [
    "BATCH",
    "Call",
    "calling",
    "calls",
    "gram_of_inputs",
    "groups_of",
    "hooked",
    "run",
    "running_order",
]

BATCH = 256
"""Calibration samples in one forward pass, which bounds the memory."""

Hook: TypeAlias = Callable[[nn.Module, Any, Any], Any]


@contextmanager
def hooked(hooks: Mapping[nn.Module, Hook]) -> Iterator[None]:
    """Forward hooks for a while."""
    with ExitStack() as stack:
        for module, hook in hooks.items():
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@dataclass(frozen=True, eq=False)
class Call:
    """One run of a leaf module: its name, its first argument and what it returned.

    A call follows another where its argument is the very object that the other returned.
    """

    name: str
    argument: Any
    output: Any


@contextmanager
def calling(modules: Mapping[nn.Module, str]) -> Iterator[list[Call]]:
    """Note every run of some modules, by the names given; an argument by keyword counts as one by place."""
    made: list[Call] = []

    def note(name: str) -> Callable[..., None]:
        def add(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            made.append(Call(name, next(iter((*args, *named.values())), None), output))

        return add

    with ExitStack() as stack:
        for module, name in modules.items():
            stack.callback(module.register_forward_hook(note(name), with_kwargs=True).remove)
        yield made


def calls(network: nn.Module, inputs: Inputs, *, samples: int = 1) -> list[Call]:
    """Every run of a leaf module of `network` (in eval mode) on the first of `inputs`, in order.

    Raises:
        InputError: there is no input, or the network does not run on it.
    """
    if not len(inputs):
        raise InputError("calibration data must hold at least one sample, got none")
    leaves = {module: name for name, module in network.named_modules() if not list(module.children())}
    with calling(leaves) as made:
        run(network, inputs[:samples], "a sample" if samples == 1 else "a batch")
    return made


def run(network: nn.Module, inputs: Inputs, what: str = "a batch") -> None:
    """Run the network for those who listen.

    Raises:
        InputError: it fails, whatever a foreign forward raises.
    """
    try:
        with torch.no_grad():
            forward(network, inputs)
    except InputError:  # of a hook of ours
        raise
    except Exception as error:
        reason = one_line(error)
        sample = f"{what} of {described(inputs)}"
        raise InputError(
            f"the network must run on the calibration data, got {reason} for {sample}"
        ) from error


def running_order(network: nn.Module, inputs: Inputs) -> list[str]:
    """Names of the leaf modules in the order in which they first run. Raises as `calls` does."""
    return list(dict.fromkeys(call.name for call in calls(network, inputs)))


def gram_of_inputs(
    network: nn.Module, name: str, inputs: Inputs, *, through: nn.Module | None = None
) -> tuple[Floats, float, float]:
    """Mean of x̃ x̃ᵀ over all rows x̃ = (x, 1) that reach a layer, and the least and greatest x.

    Rows are samples of a Linear, unfolded patches of a Conv2d, apart for each of its groups; they stream
    through in pieces, so memory is O(f²) whatever the number of samples. Gram is (groups, f + 1, f + 1)
    float64.

    Parameters:
        network: in eval mode.
        name: of the layer.
        inputs: (N, ...) of the network.
        through: what the layer's inputs pass first, None for nothing.

    Raises:
        InputError: the layer is of another kind or has no weights, the network does not run on the inputs,
            or nothing or something not finite reaches the layer.
    """
    layer = network.get_submodule(name)
    if not _supported(layer):
        raise InputError(f"layer {name} must be Linear or Conv2d with zero padding, got {layer}")
    weight = layer.get_parameter("weight")
    if not weight.numel():
        raise InputError(f"layer {name} must have weights, got {layer}; leave it out")
    sums = Sums()

    def add(_: nn.Module, arguments: Any, output: Tensor) -> None:
        if not output.numel():
            return
        size = output.numel() // len(weight) * (weight[0].numel() + 1) * groups_of(layer)
        for piece in arguments[0].chunk(-(-size // ELEMENTS)):
            sums.add(_rows(layer, piece if through is None else through(piece)))

    with blas_as_torch(), hooked({layer: add}):
        for piece in pieces(inputs, BATCH):
            run(network, piece)
    if not sums.rows:
        raise InputError(f"something must reach layer {name}, got no row; use other calibration data")
    gram = sums.mean()
    if not np.isfinite(gram).all():
        raise InputError(f"inputs of layer {name} must be finite; check the network's weights for NaN")
    return gram, sums.low, sums.high


def groups_of(layer: nn.Module) -> int:
    """Groups of a convolution, whose outputs see inputs of their own; 1 of any other layer."""
    return layer.groups if isinstance(layer, nn.Conv2d) else 1


def _supported(layer: nn.Module) -> bool:
    plain = isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros"
    return plain or isinstance(layer, nn.Linear)


def _rows(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer multiplies with its weights: (groups, rows, f)."""
    if not isinstance(layer, nn.Conv2d):
        return x.reshape(1, -1, x.shape[-1])
    x = x if x.dim() == 4 else x[None]  # one image may come without a batch
    padded = functional.pad(x, _padding(layer))
    patches = functional.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    # Channels come first in a patch, so a group's are neighbours.
    apart = patches.reshape(len(x), layer.groups, -1, patches.shape[2])
    return apart.permute(1, 0, 3, 2).reshape(layer.groups, -1, apart.shape[2])


def _padding(layer: nn.Conv2d) -> tuple[int, int, int, int]:
    """Zeros that a layer adds left, right, above and below; of an odd number, "same" adds more at the end."""
    if isinstance(layer.padding, str):
        spare = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        rows, columns = spare if layer.padding == "same" else (0, 0)
        return columns // 2, columns - columns // 2, rows // 2, rows - rows // 2
    rows, columns = layer.padding
    return columns, columns, rows, rows
