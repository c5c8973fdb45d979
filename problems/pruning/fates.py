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
    after = dict(network.named_parameters())
    for name, parameter in task.network.named_parameters():
        layer = name.rpartition(".")[0]
        # A projection that was taken apart has parameters of other names: it is compared as a whole.
        lost = after[name].numel() if name in after else _numbers(network, layer)
        lost -= parameter.numel() if name in after else _numbers(task.network, layer)
        why = "" if lost else _why(groups, layer)
        if isinstance(task.network.get_submodule(layer), _BatchNorm) and not reestimated and not lost:
            why += "; its statistics are those of training, for want of samples or as asked"
        task.ledger.note(Fate(name, "pruned" if lost else "float", parameter.numel(), why))


def _numbers(network: nn.Module, layer: str) -> int:
    return sum(parameter.numel() for parameter in network.get_submodule(layer).parameters())


def _why(groups: Groups, layer: str) -> str:
    """Why a layer has all it had."""
    if layer in groups.left:
        return groups.left[layer]
    if any(f"{name}.".startswith(f"{layer}.") for name in {**groups.outputs, **groups.inputs}):
        return "all its channels were kept"
    return "it neither makes nor reads channels that can be pruned"
