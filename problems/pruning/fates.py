"""What pruning made of each parameter, for the task's ledger."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..tasks.ledger import Fate
from ..tasks.task import Task
from .coupling import Groups

__all__ = ["note"]


def note(task: Task, groups: Groups, network: nn.Module, *, reestimated: bool) -> None:
    """Write down which parameters of the task's network lost something, and why the others did not."""
    after = {name: parameter.numel() for name, parameter in network.named_parameters()}
    for name, parameter in task.network.named_parameters():
        layer = name.rpartition(".")[0]
        lost = after.get(name) != parameter.numel()
        why = "" if lost else _why(groups, layer)
        if isinstance(task.network.get_submodule(layer), _BatchNorm) and not reestimated:
            why = f"{why}; its statistics are those of training" if why else ""
        task.ledger.note(Fate(name, "pruned" if lost else "float", parameter.numel(), why))


def _why(groups: Groups, layer: str) -> str:
    """Why a layer has all it had."""
    if layer in groups.left:
        return groups.left[layer]
    if layer in groups.outputs or layer in groups.inputs:
        return "all its channels were kept"
    return "it neither makes nor reads channels that can be pruned"
