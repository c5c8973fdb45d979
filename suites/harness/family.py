"""Family: what comes of a process, how it is ended, and what it leaves: files, and how it died."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = [
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_NAME",
    "PR_SET_PDEATHSIG",
    "Scratch",
    "call_oneself",
    "end_family",
    "how_it_died",
    "kill",
    "libc",
    "own_processes",
    "own_scratch",
    "own_shared_memory",
    "prctl",
    "shared_bytes",
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


# ---- files for the moment, which go with their cell

VARIABLE = "QUBOPRESS_SCRATCH"
"""Names the folder in which every cell has one of its own for temporary files."""

SHARED = "/dev/shm"  # noqa: S108 - where Linux has shared memory

CLONE_NEWNS, MS_PRIVATE_TREE = 0x20000, 1 << 18 | 0x4000
"""Numbers of Linux's unshare and mount."""


class Scratch:
    """In the warm server: the folders of its children, each of which it removes with the child."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="qubopress-"))
        os.environ[VARIABLE] = str(self._root)

    def remove(self, pid: int) -> None:
        """A child is gone, and so is what it left."""
        shutil.rmtree(self._root / str(pid), ignore_errors=True)

    def close(self) -> None:
        """Everybody is."""
        shutil.rmtree(self._root, ignore_errors=True)


def own_scratch(judge: int) -> None:
    """In a solver's process: temporary files go to the folder of its cell."""
    root = os.environ.get(VARIABLE)
    if root:
        folder = Path(root, str(judge))
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            os.environ["TMPDIR"] = str(folder)
            tempfile.tempdir = None


def own_shared_memory() -> bool:
    """Let this process see a shared memory of its own, which ends with it; False where we may not."""
    if libc is None or not os.path.ismount(SHARED) or libc.unshare(CLONE_NEWNS):
        return False
    if libc.mount(b"none", b"/", None, MS_PRIVATE_TREE, None):
        return False
    return not libc.mount(b"tmpfs", SHARED.encode(), b"tmpfs", 0, b"mode=1777")


def shared_bytes(pid: int) -> int:
    """Bytes of a process's own shared memory; 0 where it has none of its own."""
    try:
        seen = Path(f"/proc/{pid}/root{SHARED}")
        if seen.stat().st_dev == Path(SHARED).stat().st_dev:
            return 0
        space = os.statvfs(seen)
    except OSError:
        return 0
    return (space.f_blocks - space.f_bfree) * space.f_frsize
