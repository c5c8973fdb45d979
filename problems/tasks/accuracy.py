"""Test accuracy of a classifier."""

from __future__ import annotations

from torch import nn

from ..errors import InputError
from ..layers.running import Array, as_tensor, outputs_of

__all__ = ["accuracy"]


def accuracy(module: nn.Module, inputs: Array, targets: Array, *, batch: int = 250) -> float:
    """The fraction of samples whose largest output is the target's: inputs (N, ...), targets (N,).

    Runs in eval mode without gradients, `batch` samples at a time, and leaves every mode as it was.
    Raises InputError where there are no samples or not as many targets.
    """
    if len(inputs) != len(targets) or len(targets) == 0:
        raise InputError(
            f"inputs and targets must be equally many and not none, got {len(inputs)} and {len(targets)}; "
            "pass one target a sample"
        )
    right = start = 0
    for outputs in outputs_of(module, inputs, batch=batch):
        expected = as_tensor(targets[start : start + batch]).to(outputs.device)
        right += int((outputs.argmax(dim=1) == expected).sum())
        start += batch
    return right / len(targets)
