"""Networks small enough to enumerate, the tasks made of them, and all the bits there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qubopress import problems
from qubopress.suites.conformance.specimens import all_bits

__all__ = [
    "all_bits",
    "cnn",
    "draw_parameters",
    "drive",
    "lively",
    "mlp",
    "mlp_task",
    "network_task",
    "one_thread",
    "random_gram",
    "replay",
    "stages",
]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """No pool of threads, which takes far longer to wake than a tiny layer takes to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_gram(rng: np.random.Generator, f: int, *, rank: int | None = None) -> np.ndarray:
    """A Gram matrix (f, f) of `rank`, full unless told otherwise."""
    X = rng.standard_normal((rank or 2 * f, f))
    return X.T @ X / len(X)


def mlp(*widths: int, seed: int = 0, bias: bool = True) -> nn.Sequential:
    """Dense layers with a ReLU after each but the last, at random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            parts += [nn.Linear(before, after, bias=bias), nn.ReLU()]
        return nn.Sequential(*parts[:-1]).eval()


def cnn(*, seed: int = 0) -> nn.Sequential:
    """Images (1, 4, 4) to 3 classes: two convolutions, one with a BatchNorm that does not leave 0 at 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        norm = nn.BatchNorm2d(3)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, 0.1, 0.5)
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        return nn.Sequential(
            nn.Conv2d(1, 3, 2, stride=2),
            norm,
            nn.ReLU(),
            nn.Conv2d(3, 2, (1, 2), bias=False),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4, 3),
        ).eval()


def lively(network: nn.Module, *, seed: int = 3) -> nn.Module:
    """The network with norms that move every zero."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d):
                for tensor in (*part.parameters(), part.running_mean, part.running_var):
                    if tensor is not None:
                        tensor.copy_(torch.tensor(rng.uniform(0.2, 1.5, tensor.shape)))
    return network.eval()


def network_task(network: nn.Module, *shape: int, samples: int = 16, seed: int = 0) -> problems.Task:
    """A task of random samples of `shape` for a network of classes; one in four is held out."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, *shape))
    dtype = next((parameter.dtype for parameter in network.parameters()), torch.float32)
    with torch.no_grad():
        classes = network.eval()(torch.tensor(x[:1], dtype=dtype)).shape[1]
    return problems.own_task(network, (x, rng.integers(0, classes, samples)))


def mlp_task(*, seed: int = 0) -> problems.Task:
    """Five inputs, 6 and 4 hidden units, 3 classes."""
    return network_task(mlp(5, 6, 4, 3, seed=seed), 5, seed=seed)


def _baseline(stage: int, instance: Any) -> Any:
    return instance.baseline()


def replay(
    name: str, task: problems.Task, decide=_baseline, **parameters: Any
) -> tuple[list[Any], nn.Module]:
    """Every instance of a formulation, in order, and the network that it ends in."""
    seen = []

    def note(stage: int, instance: Any) -> Any:
        seen.append(instance)
        return decide(stage, instance)

    return seen, problems.drive(problems.get(name), task, parameters, note)


def stages(name: str, task: problems.Task, **parameters: Any) -> list[Any]:
    """Every instance of a formulation, in order, each answered by its baseline."""
    return replay(name, task, **parameters)[0]


def drive(name: str, task: problems.Task, decide=_baseline, **parameters: Any) -> nn.Module:
    """The network that a formulation ends in."""
    return replay(name, task, decide, **parameters)[1]


def draw_parameters(layers: Iterable[nn.Module], *, seed: int = 5) -> None:
    """Normal weights and biases for layers that a test shares among its cases."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for part in layers:
            for tensor in part.parameters():
                tensor.copy_(torch.tensor(rng.standard_normal(tensor.shape)))
