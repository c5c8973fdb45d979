"""oscillator: a simulated machine of coupled phase oscillators that settle at 0 or π, a spin each.

After Wang & Roychowdhury 2019 (arXiv:1903.07163): a second harmonic, ramped up, turns free phases into
spins; fields act through a reference oscillator. Couplings of few bits, parts that do not match and noise
show what an analog chip would find. Each oscillator's couplings are in units of their norm, as in
`bifurcation`: without the second harmonic that changes its pace and no point of rest. A step costs four
matrix products, for all agents at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ...problems import Qubo
from ...problems.arrays import Bits, Floats
from ...problems.instances.ising import bits_of
from ...problems.networks.dynamics import drift, heun
from ..registry import Range, solver
from ..run import Run
from .spins import Best, Forces, Spins, lengths, roll

__all__ = ["Oscillators", "imperfect", "oscillator", "quantized"]

LOCK = 1.0
"""Second harmonic at the end of the ramp, in units of the largest eigenvalue of the couplings."""


@solver("oscillator", accepts=Qubo, reference="Wang & Roychowdhury 2019", anytime=False, counts="steps")
def oscillator(
    qubo: Qubo,
    run: Run,
    *,
    agents: Annotated[int, Range(1, 4096, log=True)] = 32,
    steps: Annotated[int, Range(1, 1_000_000, log=True)] = 1000,
    couplings: Annotated[int, Range(0, 16)] = 0,
    mismatch: Annotated[float, Range(0.0, 1.0)] = 0.0,
    noise: Annotated[float, Range(0.0, 10.0)] = 1.0,
) -> None:
    """Let phases settle while a second harmonic rises; a restart is another chip and other initial phases.

    Parameters:
        agents: settlings at a time.
        steps: Heun steps of a restart; where the clock alone bounds the search they begin with an eighth.
        couplings: bits of a coupling; 0 is exact.
        mismatch: relative standard deviation of the couplings, and that of the natural frequencies in units
            of the couplings' largest eigenvalue.
        noise: standard deviation of a phase after unit time, in radians, falling to 0 over the ramp.
    """
    run.offer(qubo.baseline())
    # The chip's couplings may be wrong; what it finds is polished and judged on the true ones.
    spins = Spins.of(qubo)
    best = Best(spins, run)
    for length in lengths(run, steps):
        chip = imperfect(spins, couplings, mismatch, run.rng)
        swarm = Oscillators(Forces.of(chip, "cpu"), agents, run.rng, mismatch=mismatch, noise=noise)
        roll(swarm, length, best, run)


class Oscillators:
    """Phases (n, agents) that settle under shared forces."""

    def __init__(
        self, forces: Forces, agents: int, rng: np.random.Generator, *, mismatch: float, noise: float
    ) -> None:
        n = len(forces.h)
        self.forces, self.noise = forces, noise
        self.phases = torch.tensor(rng.uniform(-np.pi, np.pi, (n, agents)), dtype=torch.float32)
        self.omega = torch.tensor(mismatch * rng.standard_normal((n, 1)), dtype=torch.float32)
        self.random = torch.Generator().manual_seed(int(rng.integers(2**31)))
        fields = float(forces.h.abs().max()) if n else 0.0
        # Heun's method is stable up to 2 over the largest rate.
        self.dt = 1.0 / (forces.stiffness + 2.0 * LOCK + min(fields, forces.stiffness))
        entries = forces.J._nnz() if forces.J.is_sparse else n * n
        self.cost = 1 + 64 * n * agents + entries * agents // 4

    def slope(self, ramp: float, phases: Tensor) -> Tensor:
        """dφ/dt where the second harmonic has risen to a share `ramp` of its height."""
        return drift(phases, self.forces.J, h=self.forces.h, lock=LOCK * ramp, omega=self.omega)

    def advance(self, shares: Sequence[float]) -> None:
        """One Heun step at each share of the ramp."""
        for ramp in shares:
            width = self.noise * (1.0 - ramp) * self.dt**0.5
            kick = width * torch.randn(self.phases.shape, generator=self.random) if width else None
            slope = partial(self.slope, ramp)
            self.phases = heun(slope, self.phases, self.dt, kick=kick)

    def bits(self) -> Bits:
        """Bits (1, agents, n): 1 where cos φ is positive."""
        return bits_of(self.phases.cos().T.numpy())[None]


def imperfect(spins: Spins, bits: int, mismatch: float, rng: np.random.Generator) -> Spins:
    """The couplings and fields as a chip has them: of a few bits, none exactly what it should be."""
    J, h = quantized(spins.J, bits), quantized(spins.h, bits)
    if not mismatch:
        return replace(spins, J=J, h=h)
    return replace(spins, J=_off(J, mismatch, rng), h=h * (1.0 + mismatch * rng.standard_normal(h.shape)))


def quantized(values: Any, bits: int) -> Any:
    """Values on the nearest of 2^bits − 1 levels from −max to max; 0 bits are exact, one bit keeps signs."""
    size = float(abs(values).max()) if min(values.shape) else 0.0
    if bits == 0 or size == 0.0:
        return values
    if sp.issparse(values):
        rounded = values.copy()
        rounded.data = quantized(values.data[None], bits)[0]
        return rounded
    if bits == 1:
        return np.sign(values) * size
    step = size / (2 ** (bits - 1) - 1)
    return np.rint(values / step) * step


def _off(J: Any, mismatch: float, rng: np.random.Generator) -> Any:
    """Couplings each off by a relative error; the two directions of a pair are one part."""
    if sp.issparse(J):
        upper = sp.triu(J, k=1, format="csr")
        upper.data = upper.data * (1.0 + mismatch * rng.standard_normal(upper.nnz))
        return sp.csr_array(upper + upper.T)
    half: Floats = np.triu(J, k=1) * (1.0 + mismatch * rng.standard_normal(J.shape))
    return half + half.T
