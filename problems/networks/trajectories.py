"""Trajectories: coupled nodes through all segments of time, with exact gradients in bounded memory.

Forward a drift is one product with the sparse couplings; backward each step is taken again from its state and
then reversed by hand: the discrete adjoint, so gradients are those of the very steps that were taken. At most
`KEPT` states are held for each factor of `KEPT` in the steps: beyond, stretches are run again
(Griewank 1992). Plain steps that torch differentiates are in `interaction`, and what this is tested against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numba
import numpy as np
import torch
from torch import Tensor

from .coupling_products import Places

__all__ = ["KEPT", "Hear", "Plan", "final_states", "hear_pushes"]

KEPT = 16
"""States held of a stretch of time, and into how many it is divided where it has more steps."""

SCHEMES = {
    "heun": ((0.0, 1.0), (0.5, 0.5)),
    "rk4": ((0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
"""How far ahead along the last slope each slope is taken, and what it weighs, in time steps."""

Seen: TypeAlias = tuple[Tensor, ...]
Hear: TypeAlias = Callable[[int, Tensor, Tensor], None]
"""Hears of every slope, the last first: its segment, the state there, and the gradient by the rate of change
(n, batch)."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is fixed of a run.

    Attributes:
        kind: "phase" or "tanh".
        method: of `SCHEMES`.
        segments, steps: M, and integration steps of each.
        dt: time step.
        places: of the couplings.
    """

    kind: str
    method: str
    segments: int
    steps: int
    dt: float
    places: Places


def final_states(plan: Plan, starts: Tensor, couplings: Tensor, bias: Tensor, lock: Tensor) -> Tensor:
    """States (n, batch) that starts (n, batch) end in; differentiable once by all of them.

    Parameters:
        plan: of the run; on the processor, all tensors of one type.
        starts: initial states.
        couplings: (M, E).
        bias, lock: (M, n); no lock of nodes that saturate.
    """
    found: Tensor = _Trajectory.apply(plan, starts, couplings, bias, lock)  # type: ignore[no-untyped-call]
    return found


def hear_pushes(
    plan: Plan, starts: Tensor, couplings: Tensor, bias: Tensor, lock: Tensor, push_of: Any, hear: Hear
) -> None:
    """Run, and tell `hear` of every slope how what `push_of` is the gradient of depends on it.

    `push_of` gives, of the final states (n, batch), the gradient (n, batch) by them.
    """
    run = _Run(plan, couplings, bias, lock)
    final, marks = run.forward(0, run.length, starts.detach().contiguous())
    run.backward(0, run.length, marks, push_of(final), hear)


class _Trajectory(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: Plan, starts: Tensor, couplings: Tensor, bias: Tensor, lock: Tensor
    ) -> Tensor:
        run = _Run(plan, couplings, bias, lock)
        final, marks = run.forward(0, run.length, starts.contiguous())
        ctx.plan = plan
        ctx.save_for_backward(couplings, bias, lock, *marks)
        return final

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, push: Tensor) -> tuple[Tensor | None, ...]:
        couplings, bias, lock, *marks = ctx.saved_tensors
        run = _Run(ctx.plan, couplings, bias, lock)
        push = run.backward(0, run.length, marks, push.contiguous())
        return None, push, *run.slopes()


class _Run:
    """One run there and back; gradients by what it is given add up on the way back."""

    def __init__(self, plan: Plan, couplings: Tensor, bias: Tensor, lock: Tensor) -> None:
        self.plan, self.length, self.couplings = plan, plan.segments * plan.steps, couplings.shape[1]
        kind = _Oscillators if plan.kind == "phase" else _Saturating
        self.parts = [
            kind(plan.places, couplings[m].detach(), bias[m].detach(), lock[m].detach())
            for m in range(plan.segments)
        ]
        self.ahead, self.weights = SCHEMES[plan.method]

    def forward(self, begin: int, end: int, state: Tensor) -> tuple[Tensor, list[Tensor]]:
        """State at step `end` from that at `begin`, and those at which the pieces between begin."""
        marks = []
        for first, last in _pieces(begin, end):
            marks.append(state)
            for step in range(first, last):
                state = self._step(step, state)
        return state, marks

    def backward(
        self, begin: int, end: int, marks: list[Tensor], push: Tensor, hear: Hear | None = None
    ) -> Tensor:
        """Gradient by the state at `begin` from that by the state at `end`."""
        for (first, last), state in zip(reversed([*_pieces(begin, end)]), reversed(marks), strict=True):
            if last - first == 1:
                push = self._reverse(first, state, push, hear)
            else:
                push = self.backward(first, last, self.forward(first, last, state)[1], push, hear)
        return push

    def _step(self, step: int, state: Tensor) -> Tensor:
        part, dt = self.parts[step // self.plan.steps], self.plan.dt
        moved, rate = state, torch.zeros(())
        for ahead, weight in zip(self.ahead, self.weights, strict=True):
            rate, _ = part.rate(state + ahead * dt * rate if ahead else state)
            moved = torch.add(moved, rate, alpha=weight * dt)
        return moved

    def _reverse(self, step: int, state: Tensor, push: Tensor, hear: Hear | None) -> Tensor:
        """Gradient by the state before a step from that by the state after it."""
        segment, dt = step // self.plan.steps, self.plan.dt
        part, rate = self.parts[segment], torch.zeros(())
        heres, memories = [], []
        for ahead in self.ahead:
            heres.append(state + ahead * dt * rate if ahead else state)
            rate, seen = part.rate(heres[-1])
            memories.append(seen)
        total, later, reach = push, None, 0.0
        stages = zip(self.ahead, self.weights, heres, memories, strict=True)
        for ahead, weight, here, seen in reversed([*stages]):
            by_rate = weight * dt * push
            if later is not None:
                by_rate = torch.add(by_rate, later, alpha=reach * dt)
            if hear is not None:
                hear(segment, here, by_rate)
            later, reach = part.reverse(seen, by_rate), ahead
            total = total + later
        return total

    def slopes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by couplings (M, E), bias and lock (M, n)."""
        felt = self.plan.places.felt
        return (
            torch.stack([felt.slopes(part.by_entry, self.couplings) for part in self.parts]),
            torch.stack([part.by_bias for part in self.parts]),
            torch.stack([part.by_lock for part in self.parts]),
        )


class _Segment:
    """Drift of a segment and its reverse, which adds up gradients as it goes."""

    def __init__(self, places: Places, couplings: Tensor, bias: Tensor, lock: Tensor) -> None:
        self.places, self.bias, self.lock = places, bias, lock
        self.feels, self.gives = places.felt.entries(couplings), places.given.entries(couplings)
        self.by_entry = np.zeros_like(self.feels)
        self.by_bias, self.by_lock = torch.zeros_like(bias), torch.zeros_like(lock)


class _Oscillators(_Segment):
    """As `dynamics.drift`: sin(φ_j − φ_i) summed over j is a product with sines and cosines side by side."""

    def rate(self, state: Tensor) -> tuple[Tensor, Seen]:
        """Rate of change (n, batch), and what its reverse needs."""
        nodes, batch = state.shape
        waves, rate = state.new_empty(nodes, 2 * batch), torch.empty_like(state)
        torch.sin(state, out=waves[:, :batch])
        torch.cos(state, out=waves[:, batch:])
        felt = self.places.felt.product(self.feels, waves)
        _turn(*_arrays(waves, felt, self.bias, self.lock, rate))
        return rate, (waves, felt)

    def reverse(self, seen: Seen, push: Tensor) -> Tensor:
        """Gradient by the state from that by the rate."""
        waves, felt = seen
        pushes, found = torch.empty_like(waves), torch.empty_like(push)
        _part(*_arrays(waves, push, pushes, self.by_bias, self.by_lock))
        self.places.felt.add_slopes(self.by_entry, pushes, waves)
        back = self.places.given.product(self.gives, pushes)
        _turn_back(*_arrays(waves, felt, back, self.lock, push, found))
        return found


class _Saturating(_Segment):
    """As `dynamics.saturating_drift`."""

    def rate(self, state: Tensor) -> tuple[Tensor, Seen]:
        """Rate of change (n, batch), and what its reverse needs."""
        output = torch.tanh(state)
        return self.places.felt.product(self.feels, output).sub_(state).add_(self.bias[:, None]), (output,)

    def reverse(self, seen: Seen, push: Tensor) -> Tensor:
        """Gradient by the state from that by the rate."""
        (output,) = seen
        self.places.felt.add_slopes(self.by_entry, push, output)
        self.by_bias += push.sum(dim=1)
        return self.places.given.product(self.gives, push) * (1.0 - output * output) - push


def _arrays(*tensors: Tensor) -> list[Any]:
    return [tensor.numpy() for tensor in tensors]


# Whole rows at once: torch would take eight passes over memory.
@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _turn(waves: Any, felt: Any, bias: Any, lock: Any, rate: Any) -> None:
    nodes, batch = rate.shape
    for i in range(nodes):
        s, c, a, b = waves[i, :batch], waves[i, batch:], felt[i, :batch], felt[i, batch:]
        row, own, twice = rate[i], bias[i], lock[i] + lock[i]
        for k in range(batch):
            row[k] = own + a[k] * c[k] - (b[k] + twice * c[k]) * s[k]


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _part(waves: Any, push: Any, pushes: Any, by_bias: Any, by_lock: Any) -> None:
    nodes, batch = push.shape
    for i in range(nodes):
        s, c, g = waves[i, :batch], waves[i, batch:], push[i]
        by_sine, by_cosine = pushes[i, :batch], pushes[i, batch:]
        bias, lock = by_bias[i], by_lock[i]
        for k in range(batch):
            by_sine[k] = g[k] * c[k]
            by_cosine[k] = -g[k] * s[k]
            bias += g[k]
            lock -= (s[k] + s[k]) * c[k] * g[k]
        by_bias[i], by_lock[i] = bias, lock


@numba.njit(cache=True, nogil=True, fastmath={"contract", "arcp", "nsz", "reassoc"})
def _turn_back(waves: Any, felt: Any, back: Any, lock: Any, push: Any, found: Any) -> None:
    nodes, batch = push.shape
    for i in range(nodes):
        s, c, a, b = waves[i, :batch], waves[i, batch:], felt[i, :batch], felt[i, batch:]
        p, q, g, row, twice = back[i, :batch], back[i, batch:], push[i], found[i], lock[i] + lock[i]
        for k in range(batch):
            own = a[k] * s[k] + b[k] * c[k] + twice * (c[k] - s[k]) * (c[k] + s[k])
            row[k] = p[k] * c[k] - q[k] * s[k] - g[k] * own


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """A stretch of steps in at most `KEPT` pieces of about equal length."""
    count = min(KEPT, end - begin)
    bounds = [begin + (end - begin) * piece // count for piece in range(count + 1)]
    return pairwise(bounds)
