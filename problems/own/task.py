"""A caller's model and data as a task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..arrays import count
from ..errors import InputError
from ..layers import samples as calling
from ..layers.baking import makes_weights
from ..layers.borrowing import writes_weights
from ..layers.prepared import prepared
from ..layers.samples import Inputs, Samples, leaves
from ..networks.weights import weights_checksum
from ..tasks.task import Task
from ..tasks.training_losses import Criterion
from .batches import form_of
from .losses import NO_TARGETS, Refused, fitting, of_batches, over_batches
from .samples import inputs_of, take, targets_of

__all__ = ["own_task"]

Forward = Callable[[nn.Module, Any], Any]
"""From a network and a batch to outputs."""

Loss = Callable[[Tensor, Any], Any]
"""From outputs and a batch to the mean loss of its samples."""

PROBED = 32
"""Samples whose outputs tell which loss their targets ask for."""


def own_task(
    model: nn.Module,
    data: Any,
    *,
    samples: int = 1000,
    name: str = "own",
    forward: Forward | None = None,
    criterion: Loss | None = None,
    borrow: bool = False,
) -> Task:
    """A copy of a caller's module, with the first samples of data of any form as calibration data.

    Forms of data are told in `data`, of a batch in `batches.Form.read`, and the losses that targets
    ask for in `losses`. Without targets or `criterion` there is no loss: what needs one refuses.
    One sample in four is held out for choices between masks; up to three samples serve as both. There is no
    judge: the caller has the test data. No array is padded, none of the caller's changes, and no more of a
    loader is asked for than is taken.

    Parameters:
        model: trained module; what becomes of it later does not change the task.
        data: a DataLoader, a Dataset, another iterable of batches, or one batch, such as the pair (x, y). A
            batch is an array or tensor x, a pair (x, y), several inputs with targets or without, or a mapping
            of arguments by name. Real arrays get the type of the module's parameters.
        samples: most samples to take.
        name: of the network, for records.
        forward: (model, batch) → outputs, where the module is not called with what a batch holds.
        criterion: (outputs, batch) → loss, the mean over the samples of the batch, which is added up over
            samples. Outputs are one tensor: of several that the network or `forward` puts out the first,
            logits before others.
        borrow: whether the task's weights may lie in the memory of the module's, which then must not change
            while the task is used; those of a module that writes into them as it runs never do.

    Raises:
        InputError: data of another form, none of it, or NaN in it.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    network = prepared(model, borrow=borrow)
    forward = forward or _call_of(data)
    most, form = count(samples, name="samples", low=1), form_of(network, forward)
    with torch.random.fork_rng(devices=[]):  # a loader draws its seed whether it shuffles or not
        taken = list(take(data, most, form, dtype=_dtype(network), raw=criterion is not None))
    inputs, targets = inputs_of(taken, forward), targets_of(taken)
    if makes_weights(model):
        network = prepared(model, inputs)  # now that there are samples, the weights made plain are checked
    elif borrow and writes_weights(network, inputs):
        network = prepared(model)
    loss = _criterion(network, inputs, targets, criterion)
    if criterion is not None:
        targets = Samples([one.raw for one in taken])
    elif targets is None:
        targets = torch.empty(len(inputs), 0)
    held = torch.arange(len(inputs)) % 4 == 3
    spare = held if held.any() else ~held
    return Task(
        name=name,
        network=network,
        inputs=inputs[~held],
        targets=targets[~held],
        held_inputs=inputs[spare],
        held_targets=targets[spare],
        judge=None,
        metric="",
        higher_is_better=True,
        identity=_identity(network, (inputs, targets), (forward, criterion)),
        criterion=loss,
    )


def _call_of(data: Any) -> Forward | None:
    """How batches of our own are called, which may stand beside targets."""
    inputs = data[0] if isinstance(data, tuple) and data else data
    return inputs.call if isinstance(inputs, Samples) else None


def _dtype(network: nn.Module) -> torch.dtype:
    return next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.get_default_dtype())


# ---- the loss


def _criterion(network: nn.Module, inputs: Inputs, targets: Inputs | None, own: Loss | None) -> Criterion:
    if own is not None:
        return of_batches(own, _dtype(network))
    if targets is None:
        return NO_TARGETS
    few = inputs if isinstance(inputs, Tensor) else Samples(inputs.batches[:1], inputs.call)
    few, some = few[:PROBED], targets if isinstance(targets, Tensor) else targets.batches[0].args[0]
    if _repeats(few, some[: len(few)]):
        return Refused(
            "targets must ask for one loss, got input tokens, as next ones or as copies; pass criterion="
        )
    chosen = fitting(_outputs(network, few), some)
    return chosen if isinstance(targets, Tensor) else over_batches(chosen)


def _repeats(inputs: Inputs, targets: Tensor) -> bool:
    """Whether targets are an input's own whole numbers, but for padding."""
    if targets.is_floating_point() or targets.dim() < 2:
        return False
    return any(
        one.shape == targets.shape
        and not one.is_floating_point()
        and bool(((one == targets) | (targets < 0)).all())
        for one in _tensors(inputs)
    )


def _tensors(inputs: Inputs) -> list[Tensor]:
    """The tensors that a network is called with, but for targets among them."""
    if isinstance(inputs, Tensor):
        return [inputs]
    (batch,) = inputs.batches
    named = [one for name, one in batch.kwargs.items() if name != "labels"]
    parts = [one for part in (*batch.args, *named) for one in leaves(part)]
    return [one for one in parts if isinstance(one, Tensor)]


def _outputs(network: nn.Module, inputs: Inputs) -> Tensor | None:
    """What a network puts out; None where it does not run, which formulations tell of."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            return calling.forward(network, inputs)
    except Exception:  # a foreign forward may raise anything
        return None


# ---- identity


def _identity(network: nn.Module, parts: tuple[Inputs, ...], calls: tuple[Any, ...]) -> str:
    """Hash of an architecture, its weights and the data. The weights alone do not tell ReLU from Tanh."""
    digest = hashlib.sha256(f"{network}\n{weights_checksum(network)}\n".encode())
    for part in parts:
        for told in _told(part):
            digest.update(told)
    for call in calls:
        digest.update(b"" if call is None else f"{getattr(call, '__qualname__', type(call))}\n".encode())
    return digest.hexdigest()


def _told(inputs: Inputs) -> list[bytes]:
    """What sets samples apart, however they are cut into batches."""
    if isinstance(inputs, Tensor):
        return [f"{inputs.dtype} {tuple(inputs.shape)}\n".encode(), _bytes(inputs)]
    found = []
    for batch in inputs.batches:
        for place in range(batch.size):
            one = batch[place : place + 1]
            found.append(repr([*one.kwargs]).encode())
            for part in (*one.args, *one.kwargs.values(), one.raw):
                found += [told for leaf in leaves(part) for told in _of_leaf(leaf)]
    return found


def _of_leaf(value: Any) -> list[bytes]:
    """A tensor, or what else is passed; an object's words may hold its address."""
    if isinstance(value, Tensor):
        return _told(value)
    plain = value is None or isinstance(value, str | int | float | list | tuple)
    return [(repr(value) if plain else type(value).__name__).encode()]


def _bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor of any type, of which numpy lacks some."""
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
