"""Gradients by hand are those that torch finds through the dense reference, and memory is bounded."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from qubopress.problems.networks import trajectories
from qubopress.problems.networks.interaction import KINDS, Design, InteractionSystem

WAYS = list(itertools.product(KINDS, ("heun", "rk4"), (True, False)))


def system(**changes: Any) -> InteractionSystem:
    """A small system in float64, none of whose parameters is 0."""
    design: dict[str, Any] = {
        "side": 3,
        "hidden": 1,
        "radius": 1,
        "segments": 3,
        "steps": 3,
        "long_range": 0.5,
    }
    made = InteractionSystem(Design(**design | changes)).double()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return made


def starts(made: InteractionSystem, count: int = 5) -> Tensor:
    drawn = made.starts(count, random=torch.Generator().manual_seed(1))
    return drawn.to(made.couplings.dtype).requires_grad_()


def both(made: InteractionSystem, inputs: Tensor) -> list[tuple[Tensor, ...]]:
    """Final states and the gradients of a random sum of them, of `run` and of the reference."""
    random = torch.Generator().manual_seed(2)
    weights = torch.randn(inputs.shape, generator=random, dtype=inputs.dtype)
    asked = [inputs, *(parameter for parameter in made.parameters() if parameter.numel())]
    found = []
    for run in (made.run, made.stepwise):
        final = run(inputs)
        found.append((final, *torch.autograd.grad((weights * final).sum(), asked)))
    return found


@pytest.mark.parametrize(("kind", "method", "directed"), WAYS)
def test_states_and_gradients_are_those_of_the_dense_reference(
    kind: str, method: str, directed: bool
) -> None:
    made = system(kind=kind, method=method, directed=directed)
    for one, reference in zip(*both(made, starts(made)), strict=True):
        assert float(reference.detach().abs().max()) > 1e-3
        torch.testing.assert_close(one, reference, rtol=1e-9, atol=1e-9)


def test_at_the_size_of_a_photograph_gradients_agree_to_a_millionth() -> None:
    design = Design(kind="phase", side=28, hidden=1, radius=2, segments=2, steps=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = InteractionSystem(design).double()
    for one, reference in zip(*both(made, starts(made, 2)), strict=True):
        scale = float(reference.detach().abs().max())
        torch.testing.assert_close(one / scale, reference / scale, rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 17])
def test_stretches_that_run_again_change_no_gradient(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = system(steps=steps, segments=2)
    whole = both(made, starts(made))[0]
    monkeypatch.setattr(trajectories, "KEPT", 2)
    for one, again in zip(whole, both(made, starts(made))[0], strict=True):
        assert torch.equal(one, again)


def test_what_is_held_for_the_way_back_does_not_grow_with_the_steps() -> None:
    held = {}
    for steps in (5, 500):
        made, sizes = system(segments=1, steps=steps, duration=1.0), list[int]()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one, s=sizes: s.append(one.nbytes) or one, lambda one: one
        ):
            made.run(starts(made))
        held[steps] = sum(sizes)
    states = trajectories.KEPT * 5 * 18 * 8
    assert held[5] < held[500] < held[5] + states


def test_the_way_back_takes_single_steps_of_one_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held, forward = list[int](), trajectories._Run.forward

    def noted(self: Any, *arguments: Any) -> Any:
        final, marks = forward(self, *arguments)
        held.append(len(marks))
        return final, marks

    monkeypatch.setattr(trajectories._Run, "forward", noted)
    made = system(segments=1, steps=160)
    made.run(starts(made)).sum().backward()
    assert held == [16] + 16 * [10]


def test_other_types_go_the_way_of_the_reference() -> None:
    made = system().to(torch.bfloat16)
    found = made.run(starts(made))
    assert torch.equal(found, made.stepwise(starts(made)))


def test_couplings_that_lie_elsewhere_are_noticed() -> None:
    made, other = system(), system(seed=1)
    made.run(starts(made))
    made.load_state_dict(other.state_dict())
    torch.testing.assert_close(made.run(starts(made)), other.stepwise(starts(other)))


def test_pushes_are_gradients_by_the_rate_of_every_slope() -> None:
    made = system(segments=2, steps=2)
    heard: list[tuple[int, Tensor, Tensor]] = []
    parameters = (made.couplings.detach(), made.bias.detach(), made.lock.detach())
    trajectories.hear_pushes(
        made.plan(), starts(made).T, *parameters, torch.ones_like, lambda *one: heard.append(one)
    )
    assert [segment for segment, _, _ in heard] == [1] * 4 + [0] * 4
    final = made.run(starts(made))
    (expected,) = torch.autograd.grad(final.sum(), [made.bias])
    for segment in (0, 1):
        total = sum((push.sum(dim=1) for of, _, push in heard if of == segment), torch.zeros(18))
        torch.testing.assert_close(total, expected[segment])
