"""A process that may hang or die while a claim is checked in it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..harness.server_link import ONE_THREAD
from ..harness.wire import read_messages

__all__ = ["LOOK_SECONDS", "START_SECONDS", "isolated", "leave_with_parent", "messages"]

START_SECONDS = 120.0
"""Most that a process may take to import everything, a plug-in included."""


LOOK_SECONDS = 0.2
"""Between two looks at a process that is silent."""


@contextmanager
def isolated(module: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that runs a module and the pipe it answers on; whatever it started is killed in the end.

    The module is told the pipe's descriptor, then the arguments.
    """
    read, write = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments
            # -P: a file of the user's in the working folder must not pass for a module.
            [sys.executable, "-P", "-m", module, str(write), *map(str, arguments)],
            pass_fds=[write],
            # Its end tells the process that this one is gone.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )
    finally:
        os.close(write)
    try:
        yield process, read
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        os.close(read)


def messages(process: subprocess.Popen[bytes], pipe: int, deadline: float) -> Iterator[dict[str, Any]]:
    """What the process sends; {"lost": why} where it is silent too long, dies or sends what is no message."""
    buffer, until = bytearray(), time.monotonic() + max(deadline, START_SECONDS)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            ready, code = selector.select(LOOK_SECONDS), process.poll()
            data = os.read(pipe, 1 << 16) if ready else b""
            try:
                found = read_messages(buffer := buffer + data)
            except ValueError:
                yield {"lost": "what is no message of ours was sent to a descriptor of ours"}
                return
            for message in found:
                until = time.monotonic() + deadline
                yield message
                if "end" in message:
                    return
            if not data and code is not None:
                yield {"lost": f"the process died {_how(code)}"}
                return
            if time.monotonic() > until:
                yield {"lost": f"no answer within {deadline:g} s; a search must poll run.stopped() per sweep"}
                return


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def leave_with_parent() -> None:
    """Die with all that was started once stdin is closed at the other end: nobody waits any more."""
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)
