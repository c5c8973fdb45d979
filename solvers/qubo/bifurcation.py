"""bifurcation: a classical network rolls down the energy while a pump splits its positions towards ±1.

The ballistic and the discrete variant of Goto et al. 2021 (10.1126/sciadv.abe7953). A step costs a product
with the couplings, for many trajectories ("agents") and for all neurons of a layer at once. What differs
here, because a rounding problem's few huge columns stall the published choice ξ = ½√(n−1)/‖J‖_F:

- each spin has the norm of its row of J as its mass, so that strong and weak columns move at one pace;
- ξ = 1/λ_max of J so scaled: the pump, which rises from 0 to 1, then starts where the spins begin to split;
- the time step comes from the largest |λ|, up to 100 times λ_max there: a step of 2/√(1 + ξ|λ|) is unstable;
- each agent draws a coupling and a damping of its own, or on few spins all of them end in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch

from ...problems import Qubo, Rounding
from ...problems.arrays import Bits
from ...problems.instances.ising import bits_of
from ..devices import device_of
from ..registry import Choice, Range, solver
from ..run import Run
from .spins import Best, Forces, Spins, lengths, roll

__all__ = ["Agents", "bifurcation"]


START = 0.1
"""Positions and momenta begin uniform in ± this."""

COUPLING = 2.0
"""Agents draw their coupling log-uniform between ξ/2 and 2ξ."""

DAMPING = 0.2
"""Agents draw their friction, a share of the momentum lost in unit time, between 0 and this."""


@solver("bifurcation", accepts=(Qubo, Rounding), reference="Goto et al. 2021", anytime=False, counts="steps")
def bifurcation(
    instance: Qubo | Rounding,
    run: Run,
    *,
    agents: Annotated[int, Range(1, 4096, log=True)] = 32,
    steps: Annotated[int, Range(1, 1_000_000, log=True)] = 1000,
    mode: Annotated[str, Choice("ballistic", "discrete")] = "ballistic",
    dt: Annotated[float, Range(0.01, 1.0, log=True)] = 0.9,
    device: str = "cpu",
) -> None:
    """Simulated bifurcation, many agents at once, the best of them polished by steepest descent.

    Parameters:
        agents: trajectories at a time; the neurons of a layer share them, one each at least.
        steps: steps of a restart, over which the pump rises. Where the clock alone bounds the search,
            restarts begin with an eighth of them and lengthen.
        mode: whether the couplings see positions or their signs.
        dt: time step as a share of the largest stable one.
        device: torch's "cpu", "cuda", "cuda:1", …, where the trajectories are computed; losses are float64 on
            the CPU always.
    """
    place = device_of(device, numba=False)
    run.offer(instance.baseline())
    spins = Spins.of(instance)
    forces = Forces.of(spins, place)
    each = max(1, agents // len(spins.h))
    best = Best(spins, run)
    for length in lengths(run, steps):
        swarm = Agents(forces, each, run.rng, discrete=mode == "discrete", dt=dt)
        roll(swarm, length, best, run)


class Agents:
    """Positions and momenta (m, k·a) of `each` = a agents for each of k instances that share their forces.

    Attributes:
        coupling: (k·a,) ξ λ_max of each agent.
        friction: (k·a,) share of the momentum lost in unit time.
        dt: (k·a,) time step.
        cost: operations of a step, where sixteen of a matrix product count as one.
    """

    def __init__(
        self, forces: Forces, each: int, rng: np.random.Generator, *, discrete: bool, dt: float
    ) -> None:
        m, k = forces.h.shape
        columns = k * each
        device = forces.h.device
        draws = rng.random((2 * m + 2, columns), dtype=np.float32)
        self.coupling = torch.tensor(COUPLING ** (2.0 * draws[0] - 1.0), device=device)
        self.friction = torch.tensor(DAMPING * draws[1], device=device)
        state = torch.tensor(START * (2.0 * draws[2:] - 1.0), device=device)
        self.x, self.y = state[:m], state[m:]
        frequency = 1.0 + forces.stiffness * self.coupling
        # A sign that jumps kicks with its whole force, so a discrete step must also be short against that.
        self.dt = 2.0 * dt / (frequency if discrete else frequency.sqrt())
        self.J, self.discrete = forces.J, discrete
        self.h, self.held = (each_of.repeat_interleave(each, dim=1) for each_of in (forces.h, forces.held))
        self.fixed = self.held != 0 if bool(self.held.any()) else None
        self.instances = k
        self.cost = 1 + 8 * m * columns + (forces.J._nnz() if forces.J.is_sparse else m * m) * columns // 16

    def advance(self, shares: Sequence[float]) -> None:
        """One step at each value of the pump: a kick, a drift, and walls at ±1 that take all momentum."""
        kick, keep = self.coupling * self.dt, 1.0 - self.friction * self.dt
        for pump in shares:
            force = torch.addmm(self.h, self.J, self.x.sign() if self.discrete else self.x)
            self.y.mul_(keep).addcmul_(force, kick).addcmul_(self.x, (pump - 1.0) * self.dt)
            self.x.addcmul_(self.y, self.dt)
            self.y.masked_fill_(self.x.abs() > 1.0, 0.0)
            self.x.clamp_(-1.0, 1.0)
            if self.fixed is not None:
                torch.where(self.fixed, self.held, self.x, out=self.x)

    def bits(self) -> Bits:
        """Bits (k, a, m) that the positions stand for."""
        return bits_of(self.x.T.cpu().numpy()).reshape(self.instances, -1, len(self.x))
