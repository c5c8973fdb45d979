"""Cases in several processes give what they give in one, in their order."""

from __future__ import annotations

import math
import operator

import pytest
import torch

from qubopress.suites.experiments.parallel import each


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_cases(jobs: int) -> None:
    assert each(math.gcd, [(12, 18), (7, 5), (9, 27)], jobs=jobs) == [6, 1, 9]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_case_has_one_thread(jobs: int) -> None:
    before = torch.get_num_threads()
    try:
        assert each(operator.call, [(torch.get_num_threads,)], jobs=jobs) == [1]
    finally:
        torch.set_num_threads(before)
