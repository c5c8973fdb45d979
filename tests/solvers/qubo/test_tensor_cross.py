"""tensor-cross: tables of prefixes and suffixes, and counted evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from instances import black_box, capacity, costly, matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Instance, Qubo


@pytest.mark.parametrize("instance", [capacity(40), costly(40), black_box(40)])
def test_every_point_is_brought_to_the_capacity(instance: Any) -> None:
    rng = np.random.default_rng(0)
    points = instance.repair(rng.integers(0, 2, (50, 40), dtype=np.int8), rng.permutation(40))
    assert {instance.violation(x) for x in points} == {0.0}


@pytest.mark.parametrize("instance", [Qubo(matrix(60)), capacity(60), costly(60)])
def test_it_beats_random_draws_at_equal_evaluations(instance: Instance) -> None:
    crossed = solvers.solve(instance, "tensor-cross", restarts=1, seed=1)
    drawn = solvers.solve(instance, "random", restarts=crossed.counts["evaluations"] // 64 + 1, seed=1)
    assert crossed.loss is not None
    assert drawn.loss is not None
    assert drawn.counts["evaluations"] >= crossed.counts["evaluations"]
    assert crossed.loss < drawn.loss


@pytest.mark.parametrize("evaluations", [1, 40, 500])
def test_a_black_box_is_asked_for_no_more_than_allowed(evaluations: int) -> None:
    box = BlackBox(Qubo(matrix(30)).losses, 30, start=np.zeros(30))
    found = solvers.solve(box, "tensor-cross", evaluations=evaluations)
    assert box.evaluations <= evaluations
    assert found.loss is not None
    assert found.loss <= 0.0
