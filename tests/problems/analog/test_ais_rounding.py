"""The loss of a segment's levels is the error of the images that it promises to be."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from generating import generating_task, system
from tiny import all_bits, drive, mlp_task, one_thread, replay, stages

from qubopress import problems, solvers
from qubopress.problems import InputError, Rounding
from qubopress.problems.analog.ais_rounding import segment_rounding
from qubopress.problems.analog.hardware_costs import bits_of
from qubopress.problems.analog.image_sensitivity import gradient, gram, images_of, sensitivities
from qubopress.problems.quantization.grids import grid_for

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

NAME = "ais-rounding"


def test_the_loss_of_every_choice_is_the_linearised_error_but_for_a_constant() -> None:
    """‖J d + r‖² + λ‖d‖², enumerated; the two differ by what no choice changes."""
    made = system(segments=2)
    starts = made.starts(9, random=torch.Generator().manual_seed(4)).double()
    off = copy.deepcopy(made)
    off.couplings[0] += 0.1
    wanted, here = images_of(made, starts), images_of(off, starts)
    (J,) = sensitivities(off, starts, [1])
    share = 0.3
    form = gram(off, starts, 1) + share * np.eye(len(made.edges))
    couplings = made.couplings[1].numpy()
    target = couplings - np.linalg.solve(form, gradient(off, starts, wanted, 1))
    grid = grid_for(couplings[None], bits=1, grid="minmax", per="tensor")
    layer = segment_rounding(target, grid, form)
    residual = (here - wanted).flatten(1).numpy()
    losses, errors = [], []
    for x in all_bits(len(made.edges))[::37]:
        d = layer.couplings(x) - couplings
        moves = J.numpy() @ d + residual
        losses.append(layer.instance.loss(x[None]))
        errors.append((moves**2).sum(axis=1).mean() + share * d @ d)
    assert np.ptp(np.array(errors) - losses) < 1e-9
    assert np.ptp(errors) > 0.1
    assert min(np.array(errors) - losses) >= 0


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8])
@pytest.mark.parametrize("grid", ["code", "minmax", "mse"])
def test_the_network_has_couplings_of_so_many_bits_on_the_grid(bits: int, grid: str) -> None:
    task = generating_task()
    made = drive(NAME, task, bits=bits, grid=grid)
    assert bits_of(made.couplings.numpy()) <= bits
    for ours, trained in zip(made.couplings.numpy(), task.network.couplings.numpy(), strict=True):
        levels = grid_for(trained[None], bits=bits, grid=grid, per="tensor")
        q = levels.position(ours[None])
        assert np.allclose(q, np.round(q), atol=1e-6)
        assert levels.low <= round(q.min()) <= round(q.max()) <= levels.high


def test_wide_couplings_choose_between_the_levels_beside_them() -> None:
    assert {int(k) for one in stages(NAME, generating_task(), bits=7) for k in one.levels} == {2}
    assert {int(k) for one in stages(NAME, generating_task(), bits=6) for k in one.levels} == {64}
    task = generating_task()
    made = drive(NAME, task, bits=8, sequential=False)
    steps = [grid_for(row[None].numpy(), bits=8, grid="mse", per="tensor").step for row in made.couplings]
    off = (made.couplings - task.network.couplings).abs()
    inside = off <= 1.01 * torch.tensor(np.concatenate(steps))
    # The grid's ends clip a few.
    assert inside.double().mean() > 0.8


def test_without_making_up_round_to_nearest_is_the_nearest_level() -> None:
    task = generating_task()
    made = drive(NAME, task, bits=3, sequential=False)
    for ours, trained in zip(made.couplings.numpy(), task.network.couplings.numpy(), strict=True):
        nearest = grid_for(trained[None], bits=3, grid="mse", per="tensor").nearest(trained[None])[0]
        assert np.allclose(ours, nearest)


def test_the_lowest_loss_makes_better_images_than_round_to_nearest() -> None:
    for kind in ("tanh", "phase"):
        task = generating_task(system(kind=kind, hidden=1, seed=1), samples=60)

        def error(made: torch.nn.Module, task: problems.Task = task) -> float:
            return float((made(task.inputs) - task.targets).square().mean())

        searched = drive(NAME, task, lambda _, one: solvers.solve(one, "beam", restarts=1).x, bits=4)
        assert error(searched) < 0.7 * error(drive(NAME, task, bits=4))


def test_later_segments_see_what_the_ones_before_have_made() -> None:
    task = generating_task()
    floors = stages(NAME, task, bits=2)
    others, _ = replay(NAME, task, lambda i, one: one.baseline() if i else np.full(one.shape, 3), bits=2)
    assert np.array_equal(floors[0].shift, others[0].shift)
    assert np.array_equal(floors[1].gram, others[1].gram)
    assert not np.allclose(floors[1].shift, others[1].shift)
    unseen = [one.shift for one in stages(NAME, task, bits=2, sequential=False)]
    assert not np.allclose(unseen[1], floors[1].shift)


def test_density_keeps_what_is_missed_most() -> None:
    task = generating_task(system(hidden=1))
    made = drive(NAME, task, density=0.25)
    (topology,) = stages("ais-topology", task, keep=0.25)
    kept = {tuple(edge) for edge in made.edges.tolist()}
    assert len(kept) == 14 == made.couplings.shape[1]
    x = np.array([tuple(edge) in kept for edge in task.network.edges.tolist()], dtype=np.int8)
    assert topology.violation(x) == 0
    assert topology.loss(x) < 0.5 * topology.loss(topology.baseline())


def test_what_was_left_out_is_made_up_for_from_the_first_segment_on() -> None:
    task = generating_task(system(hidden=1), samples=60)
    alone = drive(NAME, task, bits=8, density=0.7, sequential=False)
    made_up = drive(NAME, task, bits=8, density=0.7)
    errors = [float((made(task.inputs) - task.targets).square().mean()) for made in (made_up, alone)]
    assert errors[0] < errors[1]


def test_every_segment_is_a_rounding_of_one_neuron() -> None:
    task = generating_task(system(segments=3))
    found = stages(NAME, task)
    assert [type(one) for one in found] == [Rounding] * 3
    assert [one.shape for one in found] == [(1, len(task.network.edges))] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 9}, r"bits must be an integer in \[1, 8\], got 9"),
        ({"grid": "midrise"}, "grid must be one of code, minmax, mse, got 'midrise'"),
        ({"density": 0.0}, r"density must lie in \(0, 1\], got 0.0"),
        ({"density": 1.5}, r"density must lie in \(0, 1\], got 1.5"),
        ({"density": 0.01}, "a system must have a coupling, got 0.01 of 12; raise density"),
        ({"damping": 0.0}, "damping must be positive, got 0.0; 0.001 is usual"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(given: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        drive(NAME, generating_task(), **given)


def test_a_network_that_is_no_system_is_refused() -> None:
    with pytest.raises(InputError, match="system, such as digits-generator, got a Sequential"):
        drive(NAME, mlp_task())
