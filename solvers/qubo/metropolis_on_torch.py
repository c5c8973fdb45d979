"""Metropolis sweeps on a torch device: all reads of all rows at once, one variable after another.

The rule and the arithmetic of metropolis: given the same states and the same random numbers, a sweep ends
in the same states, but for ties that only single precision breaks. Steps of a chunk of variables meet the
variables behind and before it in one matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...problems.arrays import Bits, Floats
from ..devices import device_of
from ..run import Run
from .metropolis import HALF, Landscape

__all__ = ["Swarm"]

CHUNK = 64
"""Variables between two matrix products."""


class Swarm:
    """States that move together; state r is of row `rows[r]` of the landscape.

    Attributes:
        x: values (r, n), whole numbers in single precision.
        energy: their losses (r,) in the landscape's unit, in double precision, without the offset.
        best, lowest: the lowest states since the last `put`, and their energies.

    Raises:
        InputError, Declined: the device is unknown, or not there.
    """

    def __init__(self, landscape: Landscape, rows: Any, x: Bits, device: str) -> None:
        self.device, self.rows, self.patience = device_of(device), np.asarray(rows), landscape.patience
        product = landscape.product
        dense = product if isinstance(product, np.ndarray) else product.toarray()
        self.matrix = self._put(dense).float()
        self.linear, self.product = self._put(landscape.linear[self.rows]), self._put(dense)
        self.curve = self._put(landscape.curve[: landscape.n])
        self.top = self._put(landscape.top[self.rows])
        self.many = bool((self.top > 1).any())
        self.put(self._put(x).float())

    def _put(self, array: Any) -> Tensor:
        return torch.tensor(array, device=self.device)

    def put(self, x: Tensor) -> None:
        """Go to x (r, n); slopes and energies are computed anew, free of earlier rounding errors."""
        self.x, self.best, self.age = x.clone(), x.clone(), 0
        slopes = self.linear + self.x.double() @ self.product
        self.energy = 0.5 * (self.x * (self.linear + slopes)).sum(dim=1)
        self.lowest, self.slope = self.energy.clone(), slopes.float()
        self.step = torch.where(self.top == 0, torch.nan, 1.0 - 2.0 * (self.x > 0))

    def anneal(self, temperatures: Floats, luck: torch.Generator, run: Run) -> None:
        """A sweep at each temperature, with the lowest states kept, until the run is stopped."""
        for temperature in temperatures:
            if run.stopped():
                return
            if self.age >= self.patience:
                best, lowest = self.best, self.lowest
                self.put(self.x)
                self._keep(best, lowest)
            self.sweep(float(temperature), self._draw(luck), self._draw(luck) if self.many else None)
            # What a GPU is asked for it does later, so the clock would tell nothing without a wait.
            float(self.energy[0])
            run.tally("sweeps", len(self.rows))

    def _draw(self, luck: torch.Generator) -> Tensor:
        return torch.empty_like(self.x).exponential_(generator=luck)

    def sweep(self, temperature: float, luck: Tensor, directions: Tensor | None) -> None:
        """Offer every variable its step once, in order.

        Parameters:
            luck, directions: exponential random numbers (r, n). The second ones say which way variables of
                more than two levels are to go, and are not looked at without such.
        """
        if directions is not None:
            self._direct(directions)
        limit, change = np.float32(temperature).item() * luck, torch.zeros_like(self.energy)
        for first in range(0, self.x.shape[1], CHUNK):
            change += self._chunk(slice(first, first + CHUNK), limit)
        self.energy += change
        self._keep(self.x, self.energy)
        self.age += 1

    def _direct(self, directions: Tensor) -> None:
        move = torch.where(directions > HALF, 1.0, -1.0)
        inside = (self.x + move >= 0) & (self.x + move <= self.top)
        self.step = torch.where(self.top > 1, torch.where(inside, move, torch.nan), self.step)

    def _chunk(self, part: slice, limit: Tensor) -> Tensor:
        """Offer a chunk of variables their steps; the change (r,) of the energies."""
        own, moves = self.slope[:, part].clone(), torch.zeros_like(self.x[:, part])
        within, total = self.matrix[part, part], torch.zeros_like(self.energy)
        for b in range(moves.shape[1]):
            i = part.start + b
            change = self.step[:, i] * own[:, b] + self.curve[i]
            takes = change <= limit[:, i]
            moves[:, b] = torch.where(takes, self.step[:, i], 0.0)
            own += moves[:, b, None] * within[b]
            total += torch.where(takes, change, 0.0)
        self.slope += moves @ self.matrix[part]
        self.slope[:, part] = own
        self.x[:, part] += moves
        self.step[:, part] = torch.where(moves != 0.0, -self.step[:, part], self.step[:, part])
        return total

    def _keep(self, x: Tensor, energy: Tensor) -> None:
        lower = energy < self.lowest
        self.lowest = torch.where(lower, energy, self.lowest)
        self.best = torch.where(lower[:, None], x, self.best)

    def quench(self, sweeps: int) -> None:
        """Go to the lowest states and sweep at zero temperature."""
        self.put(self.best)
        still = torch.zeros_like(self.x)
        for _ in range(sweeps):
            before = self.energy.clone()
            # Both ways in turn, where there are more than two.
            for way in (0.0, 1.0) if self.many else (0.0,):
                self.sweep(0.0, still, still + way if self.many else None)
            if torch.equal(before, self.energy):
                return

    def found(self) -> tuple[Bits, Floats]:
        """The lowest states (r, n) and their energies (r,)."""
        return self.best.to(torch.int8).cpu().numpy(), self.lowest.cpu().numpy()
