"""The child that waits for the next job, and what it costs."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from warm import SharedServer

from qubopress.suites.harness import jobs
from qubopress.suites.harness import warm_server as serving
from qubopress.suites.harness.executor import Job
from qubopress.suites.harness.supervisor import Supervisor


def waiting(server: Supervisor) -> list[int]:
    """The child of a server that waits for the next job; it takes a moment to begin."""
    for _ in range(500):
        children = psutil.Process(server.pid).children()
        # One that was killed keeps its name until the server has heard of it.
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        found = [child.pid for child in alive if child.name() == "qubo-waiting"]
        if found:
            break
        time.sleep(0.01)
    return found


def test_a_waiting_child_that_dies_costs_no_job() -> None:
    with SharedServer() as server:
        for _ in range(2):
            (outcome,) = server.run([Job("survey", SURVEY)])
            assert "broken" in (outcome.answer or {})
            (spare,) = waiting(server)
            os.kill(spare, signal.SIGKILL)


def test_a_job_that_was_heard_is_given_to_no_second_child(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    send = socket.send_fds

    def heard_at_once(link: socket.socket, data: list[bytes], descriptors: list[int]) -> int:
        sent = send(link, data, descriptors)
        assert theirs.recv(1000) == b'{"id": 7}\n'
        theirs.sendall(b"!")
        theirs.close()
        return sent

    monkeypatch.setattr(socket, "send_fds", heard_at_once)
    waits = serving._Server(ours, ours, ours)
    waits.spare = 12345, ours
    monkeypatch.setattr(waits, "_fork", lambda jobs: pytest.fail("a second child was forked"))
    assert waits._hand_over(jobs, {"id": 7}, []) == 12345


def test_a_preload_replaces_the_child_that_waits() -> None:
    with SharedServer() as server:
        list(server.run([Job("survey", SURVEY)]))
        (before,) = waiting(server)
        spare = psutil.Process(before)
        server.preload()
        spare.wait(timeout=10)
        assert waiting(server) != [before]


def test_the_next_job_sets_up_while_the_caller_writes_the_last() -> None:
    with SharedServer() as server:
        found = server.run([Job("survey", SURVEY, tag=tag) for tag in range(3)])
        beside = [(outcome.job.tag, [one.job.tag for one in server._children.values()]) for outcome in found]
    assert beside == [(0, [1]), (1, [2]), (2, [])]


def huge_pages() -> str:
    """Why this system gives no huge pages when asked, "" where it does."""
    try:
        chosen = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return "this system has no transparent huge pages"
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if "[never]" in chosen or release < (6, 1):
        return f"Linux {os.uname().release} with {chosen.strip()} makes no huge pages of small ones"
    return ""


@pytest.mark.skipif(bool(huge_pages()), reason=huge_pages() or "huge pages")
def test_the_server_is_on_huge_pages_so_that_forks_are_cheap() -> None:
    with SharedServer() as server:
        server.preload()
        text = Path(f"/proc/{server.pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    assert sizes["AnonHugePages"] > 0.1 * sizes["Anonymous"]


SURVEY = {"spec": {"nonsense": 1}, "formulation": ""}
