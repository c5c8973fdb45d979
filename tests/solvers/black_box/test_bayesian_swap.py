"""bayesian-swap: its process, its candidates and the ranks it learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from black_boxes import box_of
from instances import matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Qubo
from qubopress.solvers.black_box.bayesian_swap import Process, _candidates, compressed


def test_candidates_are_new_keep_k_and_hold_every_neighbour() -> None:
    box, _ = box_of(12, 5)
    process = Process()
    process.losses[box.start.tobytes()] = 0.0
    found = _candidates(box, box.start, process, np.random.default_rng(0))
    near = {y.tobytes() for y in found if np.abs(y - box.start).sum() == 2}
    assert len(near) == 5 * 7
    assert {int(y.sum()) for y in found} == {5}
    assert len({y.tobytes() for y in found} - process.losses.keys()) == len(found) > len(near)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_unit_of_the_losses_changes_no_choice(factor: float) -> None:
    asked = []
    for scale in (1.0, factor):
        losses = Qubo(matrix(20)).losses
        start = (np.arange(20) < 9).astype(np.int8)
        spied = list[Any]()

        def evaluate(x: Any, scale: float = scale, losses: Any = losses, spied: Any = spied) -> Any:
            spied.extend(x.copy())
            return scale * (losses(x) + 100.0)

        solvers.solve(BlackBox(evaluate, 20, start=start, K=9), "bayesian-swap", evaluations=60)
        asked.append(np.array(spied).tolist())
    assert asked[0] == asked[1]


def test_a_process_finds_the_best_exchange_of_a_sum_of_effects_from_few_losses() -> None:
    rng = np.random.default_rng(0)
    effects = rng.standard_normal(24)
    box = BlackBox(lambda x: 50.0 + x @ effects, 24, start=(np.arange(24) < 12).astype(np.int8), K=12)
    found = solvers.solve(box, "bayesian-swap", evaluations=90)
    assert found.loss == pytest.approx(50.0 + np.sort(effects)[:12].sum())
    rival = solvers.solve(
        BlackBox(lambda x: 50.0 + x @ effects, 24, start=box.start, K=12), "random-swap", evaluations=90
    )
    assert rival.loss is not None
    assert found.loss is not None
    assert rival.loss > found.loss


def test_losses_are_compressed_in_their_order_and_the_infinite_are_the_worst() -> None:
    for losses in ([1.0, 2.0, np.inf, 1.5], [-1.0, 0.0, np.inf, -0.5], [-1.0, -1.0, np.inf, 3.0]):
        values = compressed(np.array(losses))
        assert np.isfinite(values).all()
        assert abs(values.mean()) < 1e-12
        finite = np.isfinite(losses)
        order = np.argsort(np.array(losses)[finite], kind="stable")
        assert (np.diff(values[finite][order]) >= 0).all()
        assert values[2] == values.max()
    np.testing.assert_array_equal(compressed(np.array([2.0, np.inf])), [0.0, 1.0])
