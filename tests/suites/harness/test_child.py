"""The deadline of a job in flight, with a clock of our own, and how much it may send."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator

import pytest

from qubopress.suites.harness import child
from qubopress.suites.harness.executor import Job


@pytest.fixture
def job() -> Iterator[child.Child]:
    read, write = os.pipe()
    now = time.monotonic()
    yield child.Child(Job("cell", {}, seconds=2.0, searches=2), read, now, now + 300.0, now, pid=2**22 + 1)
    os.close(read)
    os.close(write)


def tell(job: child.Child, *messages: object) -> None:
    for content in messages:
        data = json.dumps(content).encode()
        job.take(struct.pack("!I", len(data)) + data)


def test_a_search_may_overrun_by_the_grace_and_never_by_its_own_word(job: child.Child) -> None:
    tell(job, {"clock": 0.5})
    assert job.deadline - time.monotonic() == pytest.approx(0.5 + child.GRACE_SECONDS, abs=0.2)
    tell(job, {"clock": None}, {"clock": 1e9})
    assert job.deadline - time.monotonic() == pytest.approx(2.0 + child.GRACE_SECONDS, abs=0.2)
    assert job.verdict is None
    tell(job, {"clock": None}, {"clock": 0.5})
    assert job.verdict == (
        "FAILED",
        "the cell sent what is no message of ours: a search too many, it has 2",
    )


def test_the_time_outside_searches_is_one_allowance(job: child.Child) -> None:
    job.since -= 100.0
    tell(job, {"clock": 0.5}, {"clock": None})
    assert job.deadline - time.monotonic() == pytest.approx(200.0, abs=1.0)


@pytest.mark.parametrize("budget", ["0.5", -1.0, 0, True, [1], float("nan")])
def test_a_budget_that_is_none_ends_the_cell(job: child.Child, budget: object) -> None:
    tell(job, {"clock": budget})
    assert job.verdict is not None
    assert job.verdict[0] == "FAILED"
    assert "a budget of" in job.verdict[1]


def test_what_a_cell_may_send_is_bounded(job: child.Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MESSAGE_BYTES", 1 << 20)
    job.take(struct.pack("!I", 1 << 30) + b"x" * (1 << 19))
    assert job.verdict is None
    job.take(b"x" * (1 << 20))
    assert job.verdict == ("FAILED", "the cell sent what is no message of ours: more than 1 MiB")


def test_many_small_messages_are_bounded_as_well(job: child.Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MESSAGE_BYTES", 100)
    tell(job, *[{"noise": 1}] * 8)
    assert job.verdict is not None
