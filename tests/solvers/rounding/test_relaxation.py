"""relaxation: AdaRound's soft layer, its gradient and its end."""

from __future__ import annotations

import numpy as np
import torch
from layers import layer

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers.rounding.relaxation import _Soft


def test_the_gradient_by_hand_is_that_of_the_relaxed_loss() -> None:
    one = layer(3, 6, seed=8, levels=3, held=True)
    soft = _Soft(one, push=0.1)
    V = soft.V.clone().requires_grad_()
    h = torch.clamp(1.2 * torch.sigmoid(V) - 0.1, 0.0, 1.0)
    e = torch.where(soft.fixed, soft.held, h) - soft.target
    beta = 20.0 - 18.0 * (0.6 - 0.2) / 0.8
    pushed = torch.where(soft.fixed, torch.zeros(()), 1 - (2 * h - 1).abs() ** beta)
    (((e @ soft.gram) * e * soft.square).sum() + 0.1 * pushed.sum()).backward()
    torch.testing.assert_close(soft.gradient(0.6), V.grad)
    assert V.grad is not None
    assert V.grad.abs().max() > 0


def test_the_soft_layer_begins_at_the_float_one_inside_its_levels() -> None:
    one = Rounding(np.eye(3), [[0.3, 1.7, 5.2]], levels=3)
    soft = _Soft(one, push=0.0)
    h = 1.2 * torch.sigmoid(soft.V) - 0.1
    np.testing.assert_allclose(soft.floor + h.numpy(), [[0.3, 1.7, 1.99]], atol=1e-6)


def test_relaxation_beats_round_to_nearest_on_correlated_inputs() -> None:
    one = layer(10, 40, seed=9)
    found = solvers.solve(one, "relaxation", restarts=1, steps=500)
    assert found.loss is not None
    assert found.loss < 0.5 * one.loss(one.nearest())
    assert found.counts["steps"] == 500


def test_a_push_to_the_corners_leaves_nothing_between_them() -> None:
    one = layer(4, 20, seed=10)
    soft = _Soft(one, push=100.0)
    adam = torch.optim.Adam([soft.V], lr=0.05)
    for step in range(400):
        soft.V.grad = soft.gradient(step / 400)
        adam.step()
    h = torch.clamp(1.2 * torch.sigmoid(soft.V) - 0.1, 0.0, 1.0)
    assert float(torch.minimum(h, 1 - h).max()) < 0.05
