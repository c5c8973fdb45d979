"""relaxation: AdaRound's own optimiser, gradient descent on soft roundings that are pushed to 0 or 1.

Nagel et al. 2020, arXiv:2004.10568. A weight is its floor plus h(V) = clip(1.2 σ(V) − 0.1, 0, 1). Adam
minimises loss + λ Σ (1 − |2h − 1|^β) while β falls, and h is rounded at ½ in the end. The loss needs no data
here: its Gram matrix is the data.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from ...problems import Rounding
from ...problems.arrays import Bits
from ..compiled import per_look
from ..registry import Range, solver
from ..run import Run
from .descent import keep

__all__ = ["relaxation"]

WARM = 0.2
"""Share of the steps without the push, as published."""


# The first optimiser of a process imports torch's compiler, for more than a second.
@solver(
    "relaxation",
    accepts=Rounding,
    reference="Nagel et al. 2020, arXiv:2004.10568",
    requires={"torch": "torch._dynamo"},
    counts="steps",
)
def relaxation(
    rounding: Rounding,
    run: Run,
    *,
    steps: Annotated[int, Range(10, 1_000_000, log=True)] = 2_000,
    rate: Annotated[float, Range(1e-5, 1.0, log=True)] = 0.01,
    weight: Annotated[float, Range(1e-6, 1e4, log=True)] = 0.01,
) -> None:
    """Adam on all weights of a layer, each between its floor and the level above; O(n f²) a step.

    Parameters:
        steps: of Adam.
        rate: its learning rate.
        weight: λ, in units of round to nearest's mean loss of a neuron.
    """
    best, every = rounding.nearest(), np.arange(rounding.n)
    run.offer(best)
    losses = rounding.row_losses(best)
    soft = _Soft(rounding, weight * float(losses.mean()))
    adam = torch.optim.Adam([soft.V], lr=rate)
    look, offers = per_look(4 * rounding.n * rounding.f**2), max(1, steps // 50)
    for step in range(steps):
        if step % look == 0 and run.stopped():
            break
        adam.zero_grad()
        soft.V.grad = soft.gradient(step / steps)
        adam.step()
        run.tally("steps")
        run.share = (step + 1) / steps
        if (step + 1) % offers == 0 and keep(rounding, best, losses, every, soft.hard()):
            run.offer(best, float(losses.sum()))
    keep(rounding, best, losses, every, soft.hard())
    run.offer(best, float(losses.sum()))


class _Soft:
    """Soft roundings of a layer.

    Attributes:
        V: (n, f) what Adam moves; at first h(V) is the fraction, so that the soft layer is the float one.
        floor: (n, f) level that h = 0 stands for.
        push: λ in units of the loss, by how much each weight is drawn to 0 or 1.
    """

    def __init__(self, rounding: Rounding, push: float) -> None:
        self.rounding, self.push = rounding, push
        self.floor = np.clip(np.floor(rounding.shift), 0, rounding.levels - 2)
        self.target = torch.tensor(rounding.shift - self.floor, dtype=torch.float32)
        self.fixed = torch.tensor(rounding.fixed >= 0)
        self.held = torch.tensor(rounding.fixed - self.floor, dtype=torch.float32)
        self.gram = torch.tensor(rounding.gram, dtype=torch.float32)
        self.square = torch.tensor(rounding.scale[:, None] ** 2, dtype=torch.float32)
        self.V = torch.logit((self.target.clamp(0.01, 0.99) + 0.1) / 1.2)

    def gradient(self, progress: float) -> torch.Tensor:
        """Of loss and push by V (n, f), at a share of all steps; by hand, which spares a product with G."""
        sigmoid = torch.sigmoid(self.V)
        h = torch.clamp(1.2 * sigmoid - 0.1, 0.0, 1.0)
        error = torch.where(self.fixed, self.held, h) - self.target
        slope = 2 * self.square * (error @ self.gram)
        if progress > WARM:
            beta = 20.0 - 18.0 * (progress - WARM) / (1 - WARM)
            side = 2 * h - 1
            slope -= self.push * 2 * beta * side.sign() * side.abs() ** (beta - 1)
        moving = (h > 0) & (h < 1) & ~self.fixed
        return torch.where(moving, 1.2 * slope * sigmoid * (1 - sigmoid), 0.0)

    def hard(self) -> Bits:
        """Levels (n, f): up where h is at least ½, which is where V is."""
        return self.rounding.settle(self.floor + (self.V.numpy() >= 0))
