"""Interaction systems: gradients through every segment, couplings where the design puts them, none lost."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from qubopress.problems.errors import InputError
from qubopress.problems.networks.dynamics import energy, saturating_energy
from qubopress.problems.networks.interaction import KINDS, Design, InteractionSystem, neighbours

WAYS = list(itertools.product(KINDS, ("heun", "rk4"), (True, False)))


def system(seed: int = 0, **changes: Any) -> InteractionSystem:
    """A small system in float64 all of whose parameters are random."""
    design: dict[str, Any] = {"side": 2, "hidden": 1, "radius": 1, "segments": 3, "steps": 3}
    made = InteractionSystem(Design(**design | changes)).double()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return made


def starts(made: InteractionSystem, count: int = 3) -> Tensor:
    return made.starts(count, random=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize(("kind", "method", "directed"), WAYS)
def test_gradients_agree_with_finite_differences_in_every_segment(
    kind: str, method: str, directed: bool
) -> None:
    made = system(kind=kind, method=method, directed=directed)
    inputs = starts(made)
    weights = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parameters = [parameter for parameter in made.parameters() if parameter.numel()]
    slopes = torch.autograd.grad((weights * made(inputs)).sum(), parameters)
    for parameter, slope in zip(parameters, slopes, strict=True):
        for segment in range(3):
            ends = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    parameter[segment, 1] += step
                    ends.append(float((weights * made(inputs)).sum()))
                    parameter[segment, 1] -= step
            expected = (ends[0] - ends[1]) / 2e-6
            assert float(slope[segment, 1]) == pytest.approx(expected, rel=1e-5, abs=1e-9)
            assert abs(expected) > 1e-6


@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_energy_never_rises_where_couplings_are_mutual_and_fixed(method: str) -> None:
    made = system(kind="phase", directed=False, segments=1, steps=10, method=method)
    hopfield = system(kind="tanh", directed=False, segments=1, steps=10, method=method)
    with torch.no_grad():
        made.bias.zero_()
    for one, energy_of in (
        (made, lambda state: energy(state, made.matrix(0), lock=made.lock[0][:, None])),
        (hopfield, lambda state: saturating_energy(state, hopfield.matrix(0), h=hopfield.bias[0][:, None])),
    ):
        state = starts(one, 20)
        last = energy_of(state.T)
        begun = last.mean()
        for _ in range(10):
            state = one.run(state)
            now = energy_of(state.T)
            assert bool((now <= last + 1e-9).all())
            last = now
        assert float(last.mean().detach()) < float(begun.detach()) - 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_segments_follow_each_other(kind: str) -> None:
    made = system(kind=kind)
    state = starts(made)
    for segment in range(3):
        alone = system(kind=kind, segments=1)
        for whole, part in zip(made.parameters(), alone.parameters(), strict=True):
            part.data = whole.data[segment : segment + 1]
        state = alone.run(state)
    torch.testing.assert_close(state, made.run(starts(made)))


def test_finer_steps_approach_the_same_images() -> None:
    ends = {
        (method, steps): system(method=method, steps=steps)(starts(system())).detach()
        for method, steps in (("heun", 5), ("heun", 10), ("rk4", 5), ("rk4", 40))
    }
    truth = ends["rk4", 40]
    errors = {key: float((end - truth).norm()) for key, end in ends.items()}
    assert errors["rk4", 5] < 0.1 * errors["heun", 5]
    assert errors["heun", 5] / errors["heun", 10] == pytest.approx(4.0, rel=0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directed", [True, False])
def test_leaving_out_couplings_is_setting_them_to_0(kind: str, directed: bool) -> None:
    made = system(kind=kind, directed=directed)
    kept = torch.arange(len(made.edges)) % 3 != 0
    smaller = made.without(kept)
    assert not torch.allclose(smaller(starts(made)), made(starts(made)))
    with torch.no_grad():
        made.couplings[:, ~kept] = 0.0
    torch.testing.assert_close(smaller(starts(made)), made(starts(made)))
    assert smaller.edges.tolist() == made.edges[kept].tolist()
    assert smaller.couplings.shape == (3, int(kept.sum()))
    assert len(made.edges) > len(smaller.edges)


def test_what_is_kept_must_be_a_flag_for_each_coupling() -> None:
    made = system()
    edges = len(made.edges)
    for kept in (
        torch.zeros(edges, dtype=torch.bool),
        torch.ones(edges),
        torch.ones(edges - 1, dtype=torch.bool),
    ):
        with pytest.raises(InputError, match=rf"kept must be {edges} flags, one of them true"):
            made.without(kept)


@pytest.mark.parametrize(("side", "layers", "radius"), [(3, 1, 1), (4, 2, 1), (5, 2, 2), (3, 3, 0)])
def test_neighbours_are_the_nodes_at_most_a_radius_away(side: int, layers: int, radius: int) -> None:
    expected = []
    places = list(itertools.product(range(layers), range(side), range(side)))
    for (i, one), (j, other) in itertools.permutations(enumerate(places), 2):
        if max(abs(one[1] - other[1]), abs(one[2] - other[2])) <= radius:
            expected.append([i, j])
    assert neighbours(side, layers, radius).tolist() == expected


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("long_range", [0.0, 0.5, 2.0, 31.0])
def test_long_range_couplings_are_exactly_as_many_as_asked_for(directed: bool, long_range: float) -> None:
    grid = Design(side=4, hidden=1, radius=1, directed=directed).edges()
    design = Design(side=4, hidden=1, radius=1, directed=directed, long_range=long_range)
    edges, pairs = design.edges(), 32 * 31 // (1 if directed else 2)
    more = round(long_range * 32 / (1 if directed else 2))
    assert len(edges) == min(len(grid) + more, pairs)
    assert len({tuple(edge) for edge in edges.tolist()}) == len(edges)
    assert {tuple(edge) for edge in grid.tolist()} <= {tuple(edge) for edge in edges.tolist()}
    assert all(felt != of and (directed or felt < of) for felt, of in edges.tolist())
    assert edges.tolist() == sorted(edges.tolist()) == design.edges().tolist()


def test_a_mutual_coupling_acts_both_ways() -> None:
    matrix = system(directed=False).matrix(1).detach()
    assert torch.equal(matrix, matrix.T)
    assert not torch.equal(system().matrix(1), system().matrix(1).T)


def test_untrained_pulls_do_not_depend_on_the_density() -> None:
    for radius in (1, 4):
        made = InteractionSystem(Design(side=8, radius=radius))
        pull = made.matrix(0).detach().square().sum(dim=1).sqrt().mean()
        assert float(pull) == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "spin"}, "kind must be one of phase, tanh, got 'spin'"),
        ({"method": "euler"}, "method must be one of heun, rk4, got 'euler'"),
        ({"side": 0}, "side must be an integer of at least 1, got 0"),
        ({"hidden": -1}, "hidden must be an integer of at least 0, got -1"),
        ({"radius": 1.5}, "radius must be an integer of at least 0, got 1.5"),
        ({"segments": 0}, "segments must be an integer of at least 1, got 0"),
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"duration": 0.0}, "duration must be positive, got 0.0"),
        ({"spread": -1.0}, "spread must be positive, got -1.0"),
        ({"spread": math.nan}, "spread must be a finite number, got nan"),
        ({"long_range": 200.0}, r"long_range must lie in \[0, 127\], got 200.0"),
        ({"radius": 0, "hidden": 0}, "must have couplings, got radius 0 and one layer; raise radius"),
    ],
)
def test_a_design_that_cannot_be_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        Design(**changes)
    assert "\n" not in str(refusal.value)
