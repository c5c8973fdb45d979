"""Judging: the true metric and the measures of a compressed network, each network once on a machine.

Solvers often end in the same network, and judging one takes longer than most searches. What is kept lies in
the cache of `problems`, under the task, the network and torch's version.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from ... import problems
from ...problems import InputError, Task
from ...problems.cache import cached
from ...problems.layers.running import channels_last
from ...problems.networks import architectures
from ...problems.networks.weights import weights_checksum
from ...results.storage.record import STORED_BYTES
from ..exporting.size import stored_bytes
from ..plugins import source_of
from ..spec import InstanceSpec

__all__ = ["figures_of", "left_alone", "measures_of", "metric_of"]

PLAIN = ("torch.nn.modules.", architectures.__name__)
"""Where the classes of layers come from that their print and their weights tell apart."""


@contextmanager
def left_alone(spec: InstanceSpec, task: Task) -> Iterator[None]:
    """Hold a stranger's formulation to leaving its task alone, of which the drop of the metric is measured.

    Our own are held to it by their conformance tests.

    Raises:
        InputError: the network or the calibration samples are not what they were.
    """
    if source_of(problems.get(spec.problem).generate) == "":
        yield
        return
    network, samples = _state(task.network), _samples(task)
    yield
    rule = f"{spec.problem} must leave its task as it is"
    if _state(task.network) != network:
        raise InputError(f"{rule}, got task.network changed in place; begin with network = task.copy()")
    if _samples(task) != samples:
        raise InputError(f"{rule}, got its samples changed in place; work on inputs.clone()")


def _state(network: nn.Module) -> str:
    """Identity of a network with all that its outputs depend on: weights, parts, modes and hooks."""
    parts = [(name, part.training, len(part._forward_hooks)) for name, part in network.named_modules()]
    return f"{network}{parts}{weights_checksum(network)}"


def _samples(task: Task) -> str:
    digest = hashlib.sha256()
    for tensor in (task.inputs, task.targets, task.held_inputs, task.held_targets):
        if isinstance(tensor, torch.Tensor):
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()


def metric_of(spec: InstanceSpec, task: Task, network: nn.Module) -> float | None:
    """The task's true metric of a network that the formulation ended in; None where the task has no judge."""
    judge = task.judge
    if judge is None:
        return None
    if not _plain(spec, network):
        return float(judge(network))
    found = _once(task, network, "metric", lambda: {"metric": judge(channels_last(copy.deepcopy(network)))})
    return found["metric"]


def measures_of(spec: InstanceSpec, task: Task, network: nn.Module) -> dict[str, float]:
    """What `figures_of` says of a network that the formulation ended in, what takes long from the cache."""
    own = problems.get(spec.problem).measures
    if not (task.also or own) or not _plain(spec, network):
        return figures_of(spec, task, network)
    what = "measures" if own is None else f"{own.__module__}.{own.__name__}"
    return _once(task, network, what, lambda: spec.measures(task, network)) | _stored(spec, network)


def figures_of(spec: InstanceSpec, task: Task, network: nn.Module) -> dict[str, float]:
    """The further metrics and figures of a network by name, computed anew, and the bytes it is stored in."""
    return spec.measures(task, network) | _stored(spec, network)


def _stored(spec: InstanceSpec, network: nn.Module) -> dict[str, float]:
    """Bytes of our packed file; of an analog machine, which holds no file, its hardware's costs tell."""
    if not spec.network or problems.get(spec.problem).family == "analog":
        return {}
    size = stored_bytes(network)
    return {} if size is None else {STORED_BYTES: float(size)}


def _once(
    task: Task, network: nn.Module, what: str, build: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """Numbers of a network by name, from the cache where it is kept."""
    piece = f"{what} under torch {torch.__version__}\n{network}\n{weights_checksum(network)}"
    arrays = cached(task, piece, lambda: {name: np.array([value]) for name, value in build().items()})
    return {name: float(array[0]) for name, array in arrays.items()}


def _plain(spec: InstanceSpec, network: nn.Module) -> bool:
    """Whether all that a network does shows in its print and its weights, and no plug-in has a hand in it."""
    ours = source_of(problems.get(spec.problem).generate) == ""
    return ours and all(type(part).__module__.startswith(PLAIN) for part in network.modules())
