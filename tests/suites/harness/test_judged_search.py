"""A run replayed from frames alone: its bits, its times, its proofs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from qubopress import solvers
from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Solution, Status
from qubopress.suites.harness.judged_search import Contestant, Replay, SearchFailed, _sent
from qubopress.suites.harness.offers import BITS, ENDED, READY, STOPPED, Frame

QUBO = Qubo(np.diag([-1.0, -2.0, -4.0]))
OPTIONS = {"seconds": 9.0, "restarts": None, "evaluations": None}


def bits(x: list[int], claimed: float | None = None, part: int = 0, work: int = 0) -> Frame:
    return Frame(BITS, part, claimed, np.packbits(x).tobytes(), work)


def end(part: int = 0, **says: Any) -> Frame:
    return Frame(ENDED, part, None, json.dumps(says).encode())


def replayed(*frames: tuple[float, Frame], solver: str = "tabu", instance: Any = QUBO) -> Solution:
    replay = Replay(Contestant(solvers.get(solver)), instance, {}, OPTIONS)
    assert [replay.take(frame, now) for now, frame in frames] == [False] * (len(frames) - 1) + [True]
    return replay.solution()


def test_a_trace_has_the_losses_of_the_bits_at_the_times_they_arrived() -> None:
    found = replayed((0.5, bits([1, 0, 0])), (2.0, bits([1, 1, 1], -7.0)), (3.0, end(counts={"flips": 4})))
    assert (found.loss, found.status, found.seconds) == (-7.0, Status.FINISHED, 3.0)
    assert found.trace == [(0.5, -1.0), (2.0, -7.0)]
    assert found.counts == {"flips": 4}


def test_beside_a_trace_stands_the_work_that_was_told_with_the_bits() -> None:
    offers = (0.5, bits([1, 0, 0], work=2)), (1.0, bits([0, 1, 0], work=5)), (2.0, bits([1, 1, 1], work=9))
    found = replayed(*offers, (3.0, end(counts={"restarts": 1, "flips": 12})))
    assert (found.work_unit, found.trace_work) == ("flips", [2, 5, 9])
    assert replayed(*offers[:0], (1.0, bits([1, 0, 0])), (2.0, end(counts={"restarts": 1}))).trace_work == []


@pytest.mark.parametrize("last", [bits([1, 1, 1], work=4), end(counts={"flips": 4}), end()])
def test_work_that_is_counted_down_ends_the_cell(last: Frame) -> None:
    with pytest.raises(SearchFailed, match=r"work that falls from 5 to [04] flips"):
        replayed(*((0.1, bits([1, 0, 0], work=5)), (0.2, last), (0.3, end()))[: 3 - (last.kind == ENDED)])


def test_neurons_are_counted_on_where_the_last_one_ended() -> None:
    layer = Rounding(np.eye(2), [[0.2, 0.8], [0.6, 0.1]])
    first, second = bits([1, 1], part=1, work=3), bits([1, 0], part=2, work=8)
    frames = (0.1, first), (0.15, bits([0, 1], part=1, work=4)), (0.2, end(1)), (0.3, second), (0.4, end(2))
    found = replayed(*frames, (0.5, end(counts={"flips": 9})), instance=layer)
    assert (found.work_unit, len(found.trace)) == ("flips", len(found.trace_work))
    assert found.trace_work == sorted(found.trace_work)
    assert found.trace_work[-1] in (4, 8)


def test_a_claim_that_the_bits_do_not_bear_is_a_lie() -> None:
    found = replayed((0.5, bits([1, 0, 0], -1e9)), (1.0, end()))
    assert (found.loss, found.status) == (-1.0, Status.LIED)
    assert found.trace == [(0.5, -1.0)]


def test_a_layer_is_put_together_from_its_neurons() -> None:
    layer = Rounding(np.eye(2), [[0.2, 0.8], [0.6, 0.1]])
    frames = [(0.1, bits([0, 1], part=1)), (0.2, end(1)), (0.3, bits([1, 0], part=2)), (0.4, end(2))]
    found = replayed(*frames, (0.5, end()), instance=layer)
    assert found.x is not None
    assert found.x.tolist() == [[0, 1], [1, 0]]
    assert found.loss == pytest.approx(layer.loss(found.x))
    assert found.adapter == "rows"


@pytest.mark.parametrize(
    ("solver", "status", "bound"), [("cp-sat", "OPTIMAL", -7.0), ("tabu", "FINISHED", None)]
)
def test_only_a_solver_that_is_registered_to_proves(solver: str, status: str, bound: float | None) -> None:
    found = replayed((0.5, bits([1, 1, 1])), (1.0, end(bound=-7.0)), solver=solver)
    assert (str(found.status), found.bound) == (status, bound)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(READY, 0, None, b""), "a second start"),
        (bits([1, 0, 0], part=1), "a part 1 of a Qubo"),
        (Frame(BITS, 0, None, b"xxxx"), "4 bytes for a point of 3"),
        (end(bound=True), "a bound of True"),
        (end(counts={"flips": -1}), "counts that are none"),
        (Frame(STOPPED, 0, None, b'{"status": "OPTIMAL", "message": "best"}'), "^best$"),
    ],
)
def test_what_makes_no_sense_ends_the_cell(frame: Frame, message: str) -> None:
    replay = Replay(Contestant(solvers.get("tabu")), QUBO, {}, OPTIONS)

    def judge() -> None:
        replay.take(frame, 0.0)
        replay.solution()

    with pytest.raises((SearchFailed, ValueError), match=message) as caught:
        judge()
    assert getattr(caught.value, "status", Status.FAILED) is Status.FAILED


def test_a_black_box_and_what_is_large_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.suites.harness.judged_search.SENT_BYTES", 100)
    assert _sent(QUBO)
    assert not _sent(Qubo(np.eye(20)))
