"""Who else uses the machine is told by all cores' busy seconds less our own."""

from __future__ import annotations

import os
import time
from collections import namedtuple

import psutil
import pytest

from qubopress.suites.harness import load

Times = namedtuple("Times", "user system idle")


class Machine:
    """Two cores on a clock of our own."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = self.busy = self.own = 0.0
        patch.setattr(time, "monotonic", lambda: self.now)
        patch.setattr(psutil, "cpu_count", lambda: 2)
        patch.setattr(psutil, "cpu_times", lambda: Times(self.busy, 0.0, 2 * self.now - self.busy))

    def passes(self, seconds: float, *, busy: float, own: float) -> None:
        self.now, self.busy, self.own = self.now + seconds, self.busy + busy, self.own + own


def test_our_own_seconds_are_not_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    seen = load.Load(lambda: machine.own)
    machine.passes(10.0, busy=10.0, own=10.0)
    assert seen.others(0.0) == pytest.approx(0.0)
    assert not seen.disturbed(0.0)
    machine.passes(10.0, busy=15.0, own=10.0)
    assert seen.others(10.0) == pytest.approx(0.25)
    assert seen.disturbed(10.0)


def test_a_share_is_never_taken_over_less_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    seen = load.Load(lambda: machine.own)
    machine.passes(0.01, busy=0.02, own=0.0)
    assert seen.others(0.0) == pytest.approx(0.02 / (2 * load.LOAD_SECONDS))


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert load.cpu_seconds(2**22 + 1) == 0.0
    assert load.cpu_seconds(os.getpid()) > 0.0
