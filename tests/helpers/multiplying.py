"""Networks whose matrices are no plain Linear's, tasks of them, and how far rounding moves their outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import Task
from qubopress.problems.layers.samples import Batch, Inputs, Samples, forward
from qubopress.problems.tasks.rules import Rules

__all__ = [
    "Attention",
    "Bare",
    "Cells",
    "Experts",
    "Head",
    "Stack",
    "Transposed",
    "drawn",
    "error",
    "keywords",
    "rounded",
    "task_on",
]


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
