"""Who else uses the machine."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

import psutil

__all__ = ["LOAD_SECONDS", "OTHERS_SHARE", "Load", "cores"]

OTHERS_SHARE = 0.1
"""Share of all cores that other processes may use while a cell runs; beyond it, its times do not count."""


LOAD_SECONDS = 1.0
"""Shortest time over which that share is taken, because the kernel counts in hundredths of a second."""


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Load:
    """What other processes take of the machine: all cores' busy seconds less those of our own processes.

    Parameters:
        own: CPU seconds that our processes have used so far.
    """

    def __init__(self, own: Callable[[], float]) -> None:
        self._own = own
        self._marks = deque([self._mark()], maxlen=4096)

    def _mark(self) -> tuple[float, float]:
        """The time, and the CPU seconds that others have used since the machine started."""
        now = psutil.cpu_times()
        idle = now.idle + getattr(now, "iowait", 0.0)
        # Linux counts the time of guests among the user's as well.
        guests = getattr(now, "guest", 0.0) + getattr(now, "guest_nice", 0.0)
        return time.monotonic(), sum(now) - idle - guests - self._own()

    def others(self, since: float) -> float:
        """Others' share of all cores since a time on the monotonic clock, or since a bit earlier."""
        end, total = self._mark()
        start = min(since, end - LOAD_SECONDS)
        begun, before = next((one for one in reversed(self._marks) if one[0] <= start), self._marks[0])
        if end - self._marks[-1][0] > LOAD_SECONDS / 4:
            self._marks.append((end, total))
        seconds = max(end - begun, LOAD_SECONDS) * (psutil.cpu_count() or 1)
        return max(total - before, 0.0) / seconds

    def disturbed(self, since: float) -> bool:
        """Whether others used so much since then that times are no comparison."""
        return self.others(since) > OTHERS_SHARE


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
