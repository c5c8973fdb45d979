"""Dynamics of coupled phase oscillators: drift, energy and a Heun step, for batches of phases in torch.

    dφ_i/dt = ω_i + Σ_j J_ij sin(φ_j − φ_i) − h_i sin φ_i − lock_i sin 2φ_i

J couples the oscillators, h couples each to a reference at phase 0, and the second harmonic `lock` draws
every phase to 0 or π (Wang & Roychowdhury 2019, arXiv:1903.07163). Phases are in radians, (n, batch). All
functions are differentiable: the same physics is an Ising machine here and a trained generator there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["drift", "energy", "heun"]

Strength: TypeAlias = Tensor | float


def drift(
    phases: Tensor, J: Tensor, *, h: Strength = 0.0, lock: Strength = 0.0, omega: Strength = 0.0
) -> Tensor:
    """dφ/dt (n, batch) of phases (n, batch).

    Parameters:
        phases: in radians.
        J: (n, n) dense or sparse; row i is what oscillator i feels.
        h, lock, omega: numbers, or tensors that broadcast to (n, batch); omega in radians per unit time.
    """
    sine, cosine = phases.sin(), phases.cos()
    # sin(φ_j − φ_i) = sin φ_j cos φ_i − cos φ_j sin φ_i makes the double sum two matrix products.
    pull = (J @ sine) * cosine - (J @ cosine) * sine
    return omega + pull - h * sine - 2.0 * lock * sine * cosine


def energy(
    phases: Tensor, J: Tensor, *, h: Strength = 0.0, lock: Strength = 0.0, omega: Strength = 0.0
) -> Tensor:
    """Energy (batch,) whose negative gradient is the drift where J is symmetric; arguments as there.

    At 0 and π it is the Ising energy −½ sᵀJs − h·s of the spins cos φ, less Σ lock/2, if omega is 0.
    """
    sine, cosine = phases.sin(), phases.cos()
    pairs = 0.5 * (sine * (J @ sine) + cosine * (J @ cosine))
    return -(pairs + h * cosine + 0.5 * lock * torch.cos(2.0 * phases) + omega * phases).sum(dim=0)


def heun(
    slope: Callable[[Tensor], Tensor], phases: Tensor, dt: Strength, *, kick: Tensor | None = None
) -> Tensor:
    """Phases after one Heun step: the mean of the slopes here and at the end of an Euler step.

    Parameters:
        slope: dφ/dt of phases.
        phases: (n, batch).
        dt: time step, a number or one an oscillator or a batch.
        kick: (n, batch) increment of the noise over the step, additive, so that Itô and Stratonovich agree.
    """
    here = slope(phases)
    ahead = phases + dt * here if kick is None else phases + dt * here + kick
    moved = phases + 0.5 * dt * (here + slope(ahead))
    return moved if kick is None else moved + kick
