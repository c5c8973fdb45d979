"""A uniform field, bisected until the minimiser fits."""

from __future__ import annotations

import numpy as np
import pytest
from instances import costly

from qubopress.solvers.capacity.bisection import with_field


def test_a_field_shifts_each_variable_by_its_cost() -> None:
    capacity = costly(8)
    x = np.array([1, 0, 1, 1, 0, 0, 1, 0])
    assert with_field(capacity, 0.7).loss(x) == pytest.approx(
        capacity.loss(x) - 0.7 * float(capacity.costs @ x)
    )
