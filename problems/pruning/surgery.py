"""A network without some of its channels: masked or cut out, its norms re-estimated, fine-tuned, measured.

`mask` zeroes channels in place and costs no more than a copy of the weights, so it serves a search that tries
thousands; `shrink` cuts them out, which is what a user wants back. Both networks put out the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..arrays import Bits, Floats, bits, count, number
from ..errors import InputError, one_line
from ..layers.costs import costs
from ..layers.inputs import BATCH
from ..layers.running import channels_last, evaluating
from ..layers.samples import Inputs, forward, pieces
from ..tasks.task import Task
from .coupling import Groups, Ints, by_output
from .passes import until
from .tracing import silence

__all__ = ["ENOUGH", "finetune", "mask", "measures", "reestimate", "shrink"]

ENOUGH = 8
"""Least samples on which statistics of BatchNorms are re-estimated; of fewer they would be noise."""

LEARNING_RATE = 2e-3
"""Of Adam at the start; of 3e-4 to 5e-3 the best on held-out samples of digits-cnn and digits-resnet."""

EPOCHS = 5
"""Passes over the calibration samples in the fine-tune that is measured."""

STEP = 32
"""Samples in a step of the fine-tune, of which there are few."""


def mask(network: nn.Module, groups: Groups, x: Bits, *, original: nn.Module) -> None:
    """Make `network`, a copy of `original`, put out zeros for each removed channel, x (n,) being 0, in place.

    In every layer and norm that puts them out, weights for kept channels become the original's, whatever they
    were before, and those for removed ones 0; so does what a norm would make of their zeros.

    Raises:
        InputError: x has another length, or values other than 0 and 1.
    """
    keep = _extended(groups, x)
    with torch.no_grad():
        for name, variables in groups.outputs.items():
            ours, theirs = network.get_submodule(name), original.get_submodule(name)
            stays = torch.from_numpy(keep[variables])
            for tensor, source in zip(_by_channel(ours), _by_channel(theirs), strict=True):
                torch.mul(source, stays.view(-1, *[1] * (source.dim() - 1)), out=tensor)
            if getattr(theirs, "running_var", None) is not None:
                ours.get_buffer("running_var").copy_(theirs.get_buffer("running_var"))


def shrink(network: nn.Module, groups: Groups, x: Bits) -> nn.Module:
    """A copy of a network without the channels that are removed, x (n,) being 0.

    Its outputs are those of the masked network; its modes and which parameters ask for gradients are those of
    the network given.

    Raises:
        InputError: x has another length, values other than 0 and 1, or keeps no channel of a group.
    """
    keep = _extended(groups, x)
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        if not keep[span].any():
            raise InputError(
                f"x must keep at least one channel of each group, got none of {group.name}; keep one of its "
                f"{group.width}"
            )
    smaller = copy.deepcopy(network)
    asking = {name: parameter.requires_grad for name, parameter in smaller.named_parameters()}
    for name in {**groups.outputs, **groups.inputs}:
        layer = smaller.get_submodule(name)
        _cut(layer, _gone(keep, groups.outputs.get(name)), _gone(keep, groups.inputs.get(name)))
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        removed = int(np.sum(keep[span] == 0))
        for one in group.counts:
            owner = smaller.get_submodule(one.name)
            setattr(owner, one.attribute, getattr(owner, one.attribute) - removed * one.amount)
    for name, parameter in smaller.named_parameters():
        parameter.requires_grad_(asking[name])
    return smaller


def _cut(layer: nn.Module, outputs: list[int], inputs: list[int]) -> None:
    """Cut out channels that a layer puts out and channels that it reads."""
    with silence():
        from torch_pruning.ops import module2type  # takes a second, and most runs prune nothing
        from torch_pruning.pruner.function import PrunerBox
    pruner = PrunerBox[module2type(layer)]
    if outputs:
        pruner.prune_out_channels(layer, outputs)
    if inputs:
        pruner.prune_in_channels(layer, inputs)


def reestimate(network: nn.Module, inputs: Inputs, *, before: str | None = None) -> None:
    """Put the mean and variance over inputs (N, ...) in place of the statistics of the network's BatchNorms.

    They are averaged over batches of equal size. All else stays in eval mode while it runs, and every
    parameter and mode is as before. `before` names a layer behind which no statistics are wanted yet.

    Raises:
        InputError: there are no inputs, or the network does not run on them in batches.
    """
    if not len(inputs):
        raise InputError("inputs must hold at least one sample to re-estimate BatchNorms, got none")
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    states = [copy.deepcopy(norm.state_dict()) for norm in norms]
    with _collecting(network, norms), torch.no_grad():
        try:
            for batch in _even(inputs) if norms else ():
                with until(network, before):
                    forward(network, batch)
        except Exception as error:  # a foreign forward may raise anything, a norm of one value ValueError
            for norm, state in zip(norms, states, strict=True):
                norm.load_state_dict(state)
            reason = one_line(error)
            raise InputError(
                f"the network must run on {len(inputs)} samples to re-estimate BatchNorms, got {reason}; "
                "pass samples of its shape, and two or more"
            ) from error


def _even(inputs: Inputs) -> Iterable[Inputs]:
    """Batches of equal size where samples have one shape, since each counts alike."""
    return (
        inputs.tensor_split(-(-len(inputs) // BATCH)) if isinstance(inputs, Tensor) else pieces(inputs, BATCH)
    )


@contextmanager
def _collecting(network: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """Norms that average what they see from now on, in a network that is in eval mode otherwise."""
    momenta = [norm.momentum for norm in norms]
    with evaluating(network):
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for the plain average
        try:
            yield
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def finetune(
    network: nn.Module, task: Task, *, epochs: int, learning_rate: float = LEARNING_RATE, seed: int = 0
) -> None:
    """Train a network in place on the calibration samples, in eval mode: statistics stay as re-estimated.

    Only parameters that ask for gradients are trained, or all where none does, as in a network that was
    loaded for inference. Adam, its step falling from `learning_rate` to 0 along a cosine. Deterministic on
    one machine and number of threads; global generators stay as they were.

    Raises:
        InputError: a negative number of epochs or seed, a learning rate outside (0, 1], or a loss that
            does not stay finite.
    """
    rounds, start = count(epochs, name="epochs", low=0), count(seed, name="seed", low=0)
    if not 0 < number(learning_rate, name="learning_rate") <= 1:
        raise InputError(f"learning_rate must lie in (0, 1], got {learning_rate}")
    shuffler = torch.Generator().manual_seed(start)
    steps = rounds * -(-len(task.targets) // STEP)
    with evaluating(network), _learning(network), torch.enable_grad():
        optimiser = torch.optim.Adam(_asking(network), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
        for _ in range(rounds):
            for rows in torch.split(torch.randperm(len(task.targets), generator=shuffler), STEP):
                loss = _loss(network, task, rows) / len(rows)
                if not torch.isfinite(loss):
                    raise InputError(
                        f"the loss must stay finite while fine-tuning, got {loss}; lower learning_rate, "
                        f"{learning_rate:g} now"
                    )
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                schedule.step()


def _loss(network: nn.Module, task: Task, rows: Tensor) -> Tensor:
    """Loss of some samples, summed; those of one batch go through the network together."""
    if isinstance(task.inputs, Tensor):
        return task.criterion(forward(network, task.inputs[rows]), task.targets[rows])
    places = rows.sort().values  # batches come in their own order
    losses, start = [], 0
    for piece in pieces(task.inputs[places], STEP):
        losses.append(
            task.criterion(forward(network, piece), task.targets[places[start : start + len(piece)]])
        )
        start += len(piece)
    return torch.stack(losses).sum()


def _asking(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that are trained."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@contextmanager
def _learning(network: nn.Module) -> Iterator[None]:
    """What is to be trained asks for a gradient for a while; afterwards each does as before, and has none."""
    before = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    for parameter, asks in before:
        wanted = asks or not any(one for _, one in before)
        parameter.requires_grad_(wanted and parameter.is_floating_point())
    try:
        yield
    finally:
        for parameter, asked in before:
            parameter.requires_grad_(asked)
            parameter.grad = None


def measures(task: Task, network: nn.Module) -> dict[str, float]:
    """What a pruned network costs and what a short fine-tune makes of it.

    Parameters, products (multiply–accumulates of one sample) and, where the task has a judge, its metric
    after `EPOCHS` epochs on the calibration samples.
    """
    found = {
        "parameters": float(sum(parameter.numel() for parameter in network.parameters())),
        "products": float(costs(network, task.inputs).products),
    }
    if task.judge is not None:
        tuned = channels_last(copy.deepcopy(network))
        finetune(tuned, task, epochs=EPOCHS)
        found[f"{task.metric} after fine-tune"] = float(task.judge(tuned))
    return found


def _extended(groups: Groups, x: Bits) -> Floats:
    """The mask x (n,), checked, and a 1 for channels that are no variables, whose index is −1."""
    return np.append(bits(x, shape=(groups.total,)), 1.0)


def _gone(keep: Floats, variables: Ints | None) -> list[int]:
    """Which of a layer's channels are removed."""
    return [] if variables is None else [int(i) for i in np.flatnonzero(keep[variables] == 0)]


def _by_channel(part: nn.Module) -> list[Tensor]:
    """Tensors of a layer or norm that make what it puts out, the channels in front."""
    weights = [by_output(part, parameter) for parameter in part.parameters(recurse=False)]
    mean = getattr(part, "running_mean", None)
    return [*weights, *([] if mean is None else [mean])]
