"""Processes that came of the tests' own, and the child that a warm server keeps waiting."""

from __future__ import annotations

import time
from multiprocessing import resource_tracker

import psutil
from warm import SharedServer

from qubopress.suites.harness.supervisor import Supervisor


def descendants() -> set[int]:
    """Processes that came of this one, the warm server and the child that waits there apart.

    Python keeps one of its own for pools of processes, to the end.
    """
    running = {process.pid for process in psutil.Process().children(recursive=True)}
    running -= {resource_tracker._resource_tracker._pid}  # type: ignore[attr-defined]
    server = SharedServer.running
    return running - {server.pid, *waiting(server)} if server else running


def waiting(server: Supervisor) -> list[int]:
    """The child of a server that waits for the next job, with its own for a solver; both take a moment."""
    for _ in range(500):
        children = psutil.Process(server.pid).children()
        found = [child for child in children if child.name() == "qubo-waiting"]
        family = [one.pid for child in found for one in (child, *child.children())]
        if len(family) > 1:
            break
        time.sleep(0.01)
    return family
