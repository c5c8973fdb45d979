"""The drift is the slope of the energy, and a Heun step follows it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from qubopress.problems.networks.dynamics import (
    Slope,
    drift,
    energy,
    heun,
    rk4,
    saturating_drift,
    saturating_energy,
)

N, BATCH = 7, 4


def parts(seed: int = 0) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Phases, symmetric couplings, and fields, locks and frequencies, in float64."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    A = normal(N, N)
    J = (A + A.T).fill_diagonal_(0.0)
    return normal(N, BATCH), J, {"h": normal(N, 1), "lock": normal(N, 1).abs(), "omega": normal(N, 1)}


def test_the_drift_is_the_sum_over_pairs() -> None:
    phases, J, more = parts()
    expected = torch.empty_like(phases)
    for i in range(N):
        for b in range(BATCH):
            pull = sum(J[i, j] * torch.sin(phases[j, b] - phases[i, b]) for j in range(N))
            own = more["omega"][i, 0] - more["h"][i, 0] * torch.sin(phases[i, b])
            expected[i, b] = own + pull - more["lock"][i, 0] * torch.sin(2 * phases[i, b])
    torch.testing.assert_close(drift(phases, J, **more), expected)


def test_the_drift_is_the_negative_gradient_of_the_energy() -> None:
    phases, J, more = parts()
    phases.requires_grad_()
    (gradient,) = torch.autograd.grad(energy(phases, J, **more).sum(), phases)
    torch.testing.assert_close(drift(phases, J, **more), -gradient)


def test_the_drift_is_the_negative_finite_difference_of_the_energy() -> None:
    phases, J, more = parts(1)
    step = torch.zeros_like(phases)
    step[2] = 1e-6
    slope = (energy(phases + step, J, **more) - energy(phases - step, J, **more)) / 2e-6
    torch.testing.assert_close(drift(phases, J, **more)[2], -slope, rtol=1e-6, atol=1e-8)


def test_at_0_and_pi_the_energy_is_that_of_the_spins() -> None:
    _, J, more = parts()
    s = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    phases = torch.where(s > 0, 0.0, math.pi).double()[:, None]
    expected = -0.5 * s @ J @ s - more["h"][:, 0] @ s - 0.5 * more["lock"].sum()
    torch.testing.assert_close(energy(phases, J, h=more["h"], lock=more["lock"])[0], expected)


def test_every_assignment_of_0_and_pi_is_at_rest() -> None:
    _, J, more = parts()
    phases = math.pi * (torch.arange(2**N)[None] >> torch.arange(N)[:, None] & 1).double()
    rest = drift(phases, J, h=more["h"], lock=more["lock"])
    assert rest.abs().max() < 1e-12


def test_the_energy_never_rises_without_noise() -> None:
    phases, J, more = parts(2)
    last = energy(phases, J, **more)
    for _ in range(300):
        phases = heun(lambda now: drift(now, J, **more), phases, 0.02)
        now = energy(phases, J, **more)
        assert (now <= last + 1e-12).all()
        last = now


def test_a_sparse_matrix_gives_the_same_drift() -> None:
    phases, J, more = parts()
    torch.testing.assert_close(drift(phases, J.to_sparse_coo(), **more), drift(phases, J, **more))


def test_saturating_nodes_feel_each_others_outputs() -> None:
    x, J, more = parts()
    expected = torch.empty_like(x)
    for i in range(N):
        for b in range(BATCH):
            felt = sum(J[i, j] * math.tanh(1.5 * float(x[j, b])) for j in range(N))
            expected[i, b] = more["h"][i, 0] - x[i, b] + felt
    torch.testing.assert_close(saturating_drift(x, J, gain=1.5, h=more["h"]), expected)


def test_the_saturating_energy_is_steeper_where_outputs_still_move() -> None:
    x, J, more = parts()
    x.requires_grad_()
    total = saturating_energy(x, J, gain=1.5, h=more["h"]).sum()
    (gradient,) = torch.autograd.grad(total, x)
    moves = 1.5 * (1.0 - torch.tanh(1.5 * x).square())
    torch.testing.assert_close(gradient, -moves * saturating_drift(x, J, gain=1.5, h=more["h"]))


def test_the_saturating_energy_never_rises_and_survives_saturation() -> None:
    x, J, more = parts(2)
    x = 30.0 * x
    last = saturating_energy(x, J, gain=1.5, h=more["h"])
    assert torch.isfinite(last).all()
    begun = last
    for _ in range(300):
        x = rk4(lambda now: saturating_drift(now, J, gain=1.5, h=more["h"]), x, 0.02)
        now = saturating_energy(x, J, gain=1.5, h=more["h"])
        assert (now <= last + 1e-12).all()
        last = now
    assert (last < begun - 1.0).all()


@pytest.mark.parametrize(("step", "order"), [(heun, 2), (rk4, 4)])
def test_halving_the_step_divides_the_error_by_2_to_the_order(
    step: Callable[[Slope, Tensor, float], Tensor], order: int
) -> None:
    phases, J, more = parts(3)

    def end(steps: int) -> Tensor:
        now = phases
        for _ in range(steps):
            now = step(lambda here: drift(here, J, **more), now, 0.2 / steps)
        return now

    truth = end(1000)
    errors = [float((end(steps) - truth).norm()) for steps in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(2.0**order, rel=0.2)


def test_a_kick_moves_free_phases_by_itself() -> None:
    phases, J, _ = parts()
    kick = torch.ones_like(phases)
    torch.testing.assert_close(heun(lambda now: drift(now, 0 * J), phases, 0.1, kick=kick), phases + 1.0)


def test_an_oscillator_alone_runs_at_its_own_frequency() -> None:
    phases = torch.zeros(1, 1)
    for _ in range(10):
        phases = heun(lambda now: drift(now, torch.zeros(1, 1), omega=2.0), phases, 0.1)
    assert phases.item() == pytest.approx(2.0, rel=1e-5)


def test_gradients_reach_the_couplings_through_steps() -> None:
    phases, J, more = parts()
    J.requires_grad_()
    now = phases
    for _ in range(3):
        now = heun(lambda here: drift(here, J, **more), now, 0.1)
    now.sum().backward()  # type: ignore[no-untyped-call]
    assert J.grad is not None
    assert J.grad.abs().max() > 0
