"""neal-penalty: neal with the capacity as a penalty."""

from __future__ import annotations

import numpy as np
import pytest
from instances import costly

from qubopress import solvers
from qubopress.problems import Capacity
from qubopress.solvers import Status


def test_a_penalty_too_weak_ends_infeasible_with_both_energies_in_the_record() -> None:
    capacity = Capacity(-np.eye(10), np.ones(10), 4)
    found = solvers.solve(capacity, "neal-penalty", restarts=3, weight=0.01)
    assert found.adapter == "penalty"
    assert found.status is Status.INFEASIBLE
    assert found.violation == 6.0
    assert (found.counts["answers"], found.counts["infeasible"], found.counts["restarts"]) == (3, 3, 3)
    assert found.loss == -10.0
    assert found.energy == pytest.approx(-10.0 + 0.01 * 36)


def test_a_capacity_of_costs_is_left_to_the_field_search() -> None:
    assert solvers.solve(costly(8), "neal-penalty", restarts=1).adapter == "field-search"
