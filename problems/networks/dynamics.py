"""Dynamics of coupled analog nodes, for batches of states in torch: drifts, energies and steps in time.

Phase oscillators:

    dφ_i/dt = ω_i + Σ_j J_ij sin(φ_j − φ_i) − h_i sin φ_i − lock_i sin 2φ_i

J couples the oscillators, h couples each to a reference at phase 0, and the second harmonic `lock` draws
every phase to 0 or π (Wang & Roychowdhury 2019, arXiv:1903.07163). Phases are in radians, (n, batch).
Saturating nodes, the Ising variant (Hopfield 1984):

    dx_i/dt = −x_i + Σ_j J_ij tanh(gain x_j) + h_i

All functions are differentiable: the same physics is an Ising machine here and a trained generator there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["Slope", "drift", "energy", "heun", "rk4", "saturating_drift", "saturating_energy"]

Strength: TypeAlias = Tensor | float
Slope: TypeAlias = Callable[[Tensor], Tensor]
"""Rate of change of a state (n, batch)."""


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


def saturating_drift(x: Tensor, J: Tensor, *, gain: Strength = 1.0, h: Strength = 0.0) -> Tensor:
    """dx/dt (n, batch) of saturating nodes x (n, batch); J, h as of `drift`, the gain positive."""
    return h - x + J @ torch.tanh(gain * x)


def saturating_energy(x: Tensor, J: Tensor, *, gain: float = 1.0, h: Strength = 0.0) -> Tensor:
    """Energy (batch,) that never rises along `saturating_drift` where J is symmetric (Hopfield 1984).

    −½ vᵀJv − hᵀv + Σ_i ∫_0^{v_i} artanh(u)/gain du of the outputs v = tanh(gain x).
    """
    v = torch.tanh(gain * x)
    # ∫ artanh = v artanh v + ½ log(1 − v²), and log(1 − tanh² y) = −2 log cosh y, safe where v is 1.
    y = gain * x
    log_cosh = y.abs() + torch.log1p(torch.exp(-2.0 * y.abs())) - math.log(2.0)
    return ((v * y - log_cosh) / gain - 0.5 * v * (J @ v) - h * v).sum(dim=0)


def rk4(slope: Slope, state: Tensor, dt: Strength) -> Tensor:
    """State (n, batch) after one classical Runge–Kutta step of fourth order."""
    first = slope(state)
    second = slope(state + 0.5 * dt * first)
    third = slope(state + 0.5 * dt * second)
    fourth = slope(state + dt * third)
    return state + dt / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)


def heun(slope: Slope, phases: Tensor, dt: Strength, *, kick: Tensor | None = None) -> Tensor:
    """Phases, or another state, after one Heun step: by the mean of the slopes here and after an Euler step.

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
