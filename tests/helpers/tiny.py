"""Networks small enough to enumerate or to show a kind, their tasks, and all the bits there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import Task
from qubopress.problems.layers.samples import Batch, Inputs, Samples, forward
from qubopress.problems.tasks.rules import Rules
from qubopress.suites.conformance.specimens import all_bits

__all__ = [
    "Attention",
    "Bare",
    "Cells",
    "Experts",
    "Head",
    "Stack",
    "Transposed",
    "all_bits",
    "cnn",
    "draw_parameters",
    "drawn",
    "drive",
    "error",
    "keywords",
    "lively",
    "mlp",
    "mlp_task",
    "network_task",
    "one_thread",
    "random_gram",
    "replay",
    "rounded",
    "stages",
    "task_on",
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


# ---- networks whose matrices are no plain Linear's


def drawn(make: Any, *, seed: int = 0) -> Any:
    """What `make` makes, its weights drawn from a seed without touching the caller's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def task_on(
    network: nn.Module, inputs: Inputs, *, held: Inputs | None = None, rules: Rules | None = None
) -> Task:
    """A task of a caller's network on inputs of any form, without targets."""
    nothing = torch.zeros(1)
    return Task(
        name="own",
        network=network.eval(),
        inputs=inputs,
        targets=nothing,
        held_inputs=inputs if held is None else held,
        held_targets=nothing,
        judge=None,
        metric="",
        higher_is_better=True,
        identity="own",
        rules=rules or Rules(),
    )


def keywords(size: int, **tensors: Tensor) -> Samples:
    """Batches of at most `size` samples, passed by keyword."""
    total = len(next(iter(tensors.values())))
    return Samples(
        [
            Batch((), {name: one[at : at + size] for name, one in tensors.items()}, min(size, total - at))
            for at in range(0, total, size)
        ]
    )


def rounded(task: Task, decide: Any = None, **parameters: Any) -> tuple[nn.Module, list[Any]]:
    """The network that `adaround` ends in, each stage answered by rounding to nearest, and the instances."""
    seen: list[Any] = []

    def answer(stage: int, instance: Any) -> Any:
        seen.append(instance)
        return instance.baseline() if decide is None else decide(stage, instance)

    return problems.drive(problems.get("adaround"), task, parameters, answer), seen


def error(network: nn.Module, other: nn.Module, inputs: Inputs) -> float:
    """Distance of two networks' outputs, as a share of the first's."""
    with torch.no_grad():
        before, after = (forward(one, inputs).double() for one in (network, other))
    return float((after - before).norm() / before.norm())


class Attention(nn.Module):
    """Self-attention, or attention of x to its own numbers in other widths or order."""

    def __init__(self, *, cross: bool = False, **settings: Any) -> None:
        super().__init__()
        self.cross, self.widths = cross, [settings.get(name, 16) for name in ("kdim", "vdim")]
        self.attention = nn.MultiheadAttention(16, 2, **settings)

    def forward(self, x: Tensor, key_padding_mask: Tensor | None = None) -> Tensor:
        key, value = (x[..., :width] for width in self.widths)
        key, value = (key.flip(0), value.flip(0)) if self.cross else (key, value)
        if not self.cross and self.widths == [16, 16]:
            key = value = x
        return self.attention(x, key, value, key_padding_mask=key_padding_mask)[0]


class Head(nn.Module):
    """A table whose rows are looked up, and which is the output matrix as well."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.gelu(self.table(x)))


class Bare(nn.Module):
    """Parameters that no module multiplies by."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bias = nn.Parameter(torch.randn(4, 16)), nn.Parameter(torch.randn(4))
        self.second, self.filters = nn.Parameter(torch.randn(4, 5)), nn.Parameter(torch.randn(3, 6, 2))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.first, self.bias) @ self.second
        return functional.conv1d(y, self.filters, padding=1)


class Transposed(nn.Module):
    """One matrix that maps there and back."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 16))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x @ self.weight.T) @ self.weight


class Experts(nn.Module):
    """Each sample goes to one of four experts by its first number, never large enough for the last."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.stack = nn.Parameter(torch.randn(3, 16, 16) / 4)

    def forward(self, x: Tensor) -> Tensor:
        place = (x[:, 0, 0] > 0).long() + (x[:, 0, 0] > 1).long()
        y = x.clone()
        for i, expert in enumerate(self.experts):
            chosen = place == i
            y[chosen] = expert(x[chosen])
            if i < 3:
                y[chosen] = y[chosen] @ self.stack[i]
        return y


class Stack(nn.Module):
    """Three matrices in one parameter, multiplied by at once."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(x.reshape(1, -1, 16).expand(3, -1, -1), self.weight).reshape(3, len(x), -1)[0]


class Cells(nn.Module):
    """Recurrence step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.long, self.gated = nn.LSTMCell(16, 8), nn.GRUCell(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        hidden = state = x.new_zeros(len(x), 8)
        for step in range(x.shape[1]):
            hidden, state = self.long(x[:, step], (hidden, state))
            hidden = self.gated(hidden, hidden)
        return hidden
