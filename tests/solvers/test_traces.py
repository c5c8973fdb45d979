"""The sum of traces: strictly falling, never lower than later, ending at the recomputed loss."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qubopress.solvers import traces as of
from qubopress.solvers.traces import Point

LOSSES = st.floats(-1e6, 1e6)
TIMES = st.floats(0, 100)
TRACES = st.lists(st.lists(st.tuples(TIMES, LOSSES), max_size=5), max_size=4)

Pairs = list[tuple[float, float]]


def summed(first: list[float], traces: list[Pairs], final: float) -> Pairs:
    """The sum where no work was counted."""
    return [
        point[:2] for point in of.summed(first, [[Point(*pair) for pair in one] for one in traces], final)
    ]


def falling(points: Pairs, final: float) -> Pairs:
    return [point[:2] for point in of.falling([Point(*pair) for pair in points], final)]


def test_the_work_of_a_sum_is_what_was_counted_at_the_points_that_are_shown() -> None:
    traces = [[Point(1.0, 4.0, 10), Point(3.0, 2.0, 30)], [Point(2.0, 5.0, 20)]]
    assert of.summed([10.0, 10.0], traces, 7.0) == [(0, 20, 0), (1, 14, 10), (2, 9, 20), (3, 7, 30)]
    assert of.summed([1.0, 9.0], traces, 7.0) == [(0.0, 13.0, 0), (2.0, 9.0, 20), (3.0, 7.0, 30)]


def test_without_an_incumbent_every_part_counts_at_its_first_loss() -> None:
    assert summed([2.0, 3.0], [[], []], 5.0) == [(0.0, 5.0)]


def test_an_incumbent_replaces_the_first_loss_of_its_part() -> None:
    trace = summed([10.0, 10.0], [[(1.0, 4.0), (3.0, 2.0)], [(2.0, 5.0)]], 7.0)
    assert trace == [(0.0, 20.0), (1.0, 14.0), (2.0, 9.0), (3.0, 7.0)]


def test_the_sum_is_never_shown_lower_than_it_is_later() -> None:
    trace = summed([1.0, 1.0], [[(1.0, 0.5)], [(2.0, 9.0), (3.0, 0.25)]], 0.75)
    assert trace == [(0.0, 9.5), (3.0, 0.75)]


def test_a_part_that_ends_worse_than_it_was_counted_raises_the_whole_trace() -> None:
    assert summed([1.0], [[(1.0, 3.0)]], 3.0) == [(0.0, 3.0)]


def test_parts_with_an_infinite_first_loss_leave_the_sum_open_until_all_have_begun() -> None:
    trace = summed([float("inf"), float("inf")], [[(1.0, 4.0)], [(2.0, 5.0), (3.0, 1.0)]], 5.0)
    assert trace == [(2.0, 9.0), (3.0, 5.0)]


def test_no_parts_leave_the_final_loss() -> None:
    assert summed([], [], 1.5) == [(0.0, 1.5)]


def test_the_last_loss_is_the_one_recomputed() -> None:
    assert summed([0.3], [[(1.0, 0.1 + 0.2 - 0.2)]], 0.1) == [(0.0, 0.3), (1.0, 0.1)]


@settings(deadline=None)
@given(traces=TRACES, data=st.data())
def test_a_sum_falls_strictly_from_what_is_still_to_come_to_the_final_loss(
    traces: list[list[tuple[float, float]]], data: st.DataObject
) -> None:
    first = data.draw(st.lists(LOSSES, min_size=len(traces), max_size=len(traces)))
    final = data.draw(LOSSES)
    before = [list(trace) for trace in traces]
    trace = summed(first, traces, final)
    assert traces == before
    assert trace[-1][1] == final
    for (early, high), (late, low) in itertools.pairwise(trace):
        assert early <= late
        assert high > low


@settings(deadline=None)
@given(points=st.lists(st.tuples(TIMES, LOSSES), min_size=1))
def test_falling_shows_at_every_time_the_highest_loss_from_then_on(points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    final = points[-1][1]
    shown = falling(points, final)
    for k, (seconds, _) in enumerate(points):
        last = max(point for point in shown if point[0] <= seconds)
        assert last[1] <= max(loss for _, loss in points[k:]) or last[0] == seconds
    assert shown[0][1] == max(loss for _, loss in points)


@pytest.mark.parametrize("points", [[], [(4.0, 2.0)]])
def test_falling_ends_at_the_final_loss_however_few_the_points(points: list[tuple[float, float]]) -> None:
    assert falling(points, 1.0)[-1][1] == 1.0
