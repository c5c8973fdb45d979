"""Family: the processes that come of one process, how they are ended, and how one of them died."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

__all__ = [
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_NAME",
    "PR_SET_PDEATHSIG",
    "call_oneself",
    "end_family",
    "how_it_died",
    "kill",
    "libc",
    "own_processes",
    "prctl",
]

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36
"""Numbers of Linux's prctl."""

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
"""The C library on Linux, None elsewhere."""


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process on Linux; elsewhere the closing link must do."""
    if libc is not None:
        libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def call_oneself(name: str) -> None:
    """What `ps` and `top` show of this process; on Linux alone."""
    if libc is not None:
        libc.prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0)


def own_processes() -> set[int]:
    """Children of this process, orphans of its children included; Linux alone can tell."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()


def kill(pid: int, *, group_only: bool = False) -> None:
    """Kill a process and its group; only what is left of the group where the process was reaped already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if not group_only:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end_family(known: set[int], *, keep: frozenset[int] = frozenset()) -> None:
    """Kill and reap the `known` children and all that came of them, but for those to keep.

    Orphans come to this process, which must be a subreaper, whatever session or group they went to.
    """
    while strays := (own_processes() or known) - keep:
        for pid in strays:
            # Not its group, which may be ours.
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in strays:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        known = set()


def how_it_died(code: int | None) -> str:
    """An exit code in words, as `os.waitstatus_to_exitcode` gives it."""
    if code is not None and code < 0:
        known = {int(one): one.name for one in signal.Signals}
        return f"the process died by {known.get(-code, f'signal {-code}')}"
    return f"the process ended with exit code {code} and no answer"
