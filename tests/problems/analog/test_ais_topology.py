"""The cost of a choice of couplings is the error of the images without the others, and K is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generating import generating_task, system
from tiny import all_bits, drive, mlp_task, one_thread, replay, stages

from qubopress import solvers
from qubopress.problems import InputError
from qubopress.problems.analog.ais_topology import removal
from qubopress.problems.analog.image_sensitivity import sensitivities

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

NAME = "ais-topology"


def test_the_loss_of_every_choice_is_the_linearised_error_without_the_others() -> None:
    task = generating_task(system(side=2, segments=2))
    (instance,) = stages(NAME, task)
    made = task.network
    parts = sensitivities(made, task.inputs, [0, 1])
    whole = sum(part * row for part, row in zip(parts, made.couplings, strict=True)).numpy()
    for x in all_bits(len(made.edges))[::61]:
        error = (whole @ (1 - x)) ** 2
        assert instance.loss(x) == pytest.approx(error.sum(axis=1).mean(), rel=1e-9, abs=1e-12)
        assert instance.violation(x) == abs(int(x.sum()) - 6)


def test_weak_couplings_are_predicted_to_first_order() -> None:
    made = system(segments=2)
    made.couplings[:, :3] *= 1e-4
    task = generating_task(made)
    (instance,) = stages(NAME, task, keep=0.75)
    x = np.ones(12, dtype=np.int8)
    x[:3] = 0
    error = task.network.without(torch.from_numpy(x == 1))(task.inputs) - task.targets
    assert instance.loss(x) == pytest.approx(float(error.square().sum(dim=(1, 2, 3)).mean()), rel=1e-3)


def test_the_network_has_exactly_k_couplings_of_their_trained_values() -> None:
    task = generating_task(system(hidden=1))
    found, made = replay(NAME, task, keep=0.3)
    kept = {tuple(edge): column for edge, column in zip(made.edges.tolist(), made.couplings.T, strict=True)}
    trained = dict(zip(map(tuple, task.network.edges.tolist()), task.network.couplings.T, strict=True))
    assert len(kept) == round(0.3 * len(trained)) == found[0].K
    assert all(torch.equal(column, trained[edge]) for edge, column in kept.items())


def test_a_search_costs_less_than_keeping_the_largest_couplings() -> None:
    task = generating_task(system(hidden=1), samples=60)
    (instance,) = stages(NAME, task)
    largest = np.zeros(instance.n, dtype=np.int8)
    strength = task.network.couplings.square().sum(dim=0).numpy()
    largest[np.argsort(-strength)[: int(instance.K)]] = 1
    assert solvers.solve(instance, "swap", restarts=1).loss < 0.7 * instance.loss(largest)


def test_keeping_all_costs_nothing_and_changes_nothing() -> None:
    task = generating_task()
    (instance,), made = replay(NAME, task, keep=1.0)
    assert instance.loss(np.ones(instance.n)) == pytest.approx(0.0, abs=1e-12)
    assert torch.equal(made(task.inputs), task.network(task.inputs))


def test_removal_is_the_form_of_what_is_left_out() -> None:
    cost = np.array([[2.0, 0.5], [0.5, 1.0]])
    instance = removal(cost, 1)
    assert [instance.loss(x) for x in ([1, 1], [0, 1], [1, 0], [0, 0])] == [0.0, 2.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (0.0, r"keep must lie in \(0, 1\], got 0.0"),
        (1.2, r"keep must lie in \(0, 1\], got 1.2"),
        (0.01, "a system must have a coupling, got 0.01 of 12; raise keep"),
        (float("nan"), "keep must be a finite number, got nan"),
    ],
)
def test_shares_that_there_are_not_are_refused(keep: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        drive(NAME, generating_task(), keep=keep)


def test_a_network_that_is_no_system_is_refused() -> None:
    with pytest.raises(InputError, match="system, such as digits-generator, got a Sequential"):
        drive(NAME, mlp_task())
