"""Times are the least of several, in units of a calibration kernel."""

from __future__ import annotations

import pytest

from qubopress.suites import load
from qubopress.suites.regression import stopwatch
from qubopress.suites.regression.stopwatch import Stopwatch

Patch = pytest.MonkeyPatch


def test_the_calibration_kernel_takes_some_milliseconds() -> None:
    stopwatch.calibration_seconds()
    assert 3e-3 < min(stopwatch.calibration_seconds() for _ in range(3)) < 0.2


def test_the_stopwatch_keeps_the_least_seconds_in_units_of_the_least_kernel(monkeypatch: Patch) -> None:
    kernels, seconds = iter([0.1, 3.0, 2.0]), iter([5.0, 6.0])  # the first kernel only compiles
    monkeypatch.setattr(stopwatch, "calibration_seconds", lambda: next(kernels))
    monkeypatch.setattr(stopwatch, "_seconds_of", lambda _: next(seconds))
    watch = Stopwatch(load("gate").narrowed(solver="swap", problem="joint-fisher"))
    for names in (None, {"swap"}, {"beam"}):
        watch.round(names)
    assert watch.times() == {"swap": {"joint-fisher/digits-cnn": 2.5}}
    assert watch.families == {"joint-fisher/digits-cnn": "pruning"}


def test_a_bout_is_repeated_until_the_clock_can_tell(monkeypatch: Patch) -> None:
    ran = []
    clock = iter([0.0, 0.01, 0.02, 0.04, 0.045])
    monkeypatch.setattr(stopwatch.time, "process_time", lambda: next(clock))
    bout = stopwatch._Bout(load("gate").solvers[0], "x", (), {})
    monkeypatch.setattr(stopwatch._Bout, "run", lambda _: ran.append(1))
    assert stopwatch._seconds_of(bout) == pytest.approx(0.015)
    assert len(ran) == 3
