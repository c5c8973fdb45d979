"""Whether two networks, or one before and after a step, put out the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import InputError, one_line
from .running import evaluating
from .samples import Inputs, described, forward, pieces

__all__ = ["TRIED", "difference", "outputs", "repeatable", "same", "same_outputs", "tolerance"]

TRIED = 8
"""Samples on which networks are compared."""


def same_outputs(one: nn.Module, other: nn.Module, inputs: Inputs) -> bool:
    """Whether two networks in eval mode put out the same for the first inputs, up to rounding.

    Both draw the same random numbers, so one that samples agrees with itself. Nothing global changes.
    """
    return same(outputs(one, inputs), outputs(other, inputs))


def outputs(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    """What a network in eval mode puts out for the first `TRIED` of the inputs, call by call.

    Raises:
        InputError: the network does not run on them.
    """
    with repeatable(), evaluating(network), torch.no_grad():
        try:
            return [forward(network, piece).clone() for piece in pieces(inputs[:TRIED], TRIED)]
        except Exception as error:  # a foreign forward may raise anything
            sample = f"samples of {described(inputs)}"
            raise InputError(
                f"the network must run on the calibration data, got {one_line(error)} for {sample}"
            ) from error


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether outputs agree up to what their type rounds."""
    return len(one) == len(other) and all(
        difference(a, b) <= tolerance(a.dtype) for a, b in zip(one, other, strict=True)
    )


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference as a share of the largest magnitude; infinite where shapes or NaN differ."""
    if one.shape != other.shape or not torch.equal(one.isfinite(), other.isfinite()):
        return float("inf")
    a, b = (_wide(tensor.where(tensor.isfinite(), torch.zeros_like(tensor))) for tensor in (one, other))
    if not a.numel():
        return 0.0
    largest = float(torch.maximum(a.abs(), b.abs()).max())
    return float((a - b).abs().max()) / largest if largest else 0.0


def tolerance(dtype: torch.dtype) -> float:
    """The share of the largest output by which two orders of the same sums may differ: √ε, 0 of integers."""
    return torch.finfo(dtype).eps ** 0.5 if dtype.is_floating_point or dtype.is_complex else 0.0


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


@contextmanager
def repeatable(seed: int = 0) -> Iterator[None]:
    """The same random numbers at each entry; the global generator is as it was when this ends."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
