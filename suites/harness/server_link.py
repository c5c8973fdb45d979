"""Start the warm server, ask it, hear it, and end it with all that came of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .executor import ServerError

__all__ = ["ServerLink", "launched_ahead"]

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
"""A server whose thread pools have started cannot fork; children raise their own counts."""

CLOSE_SECONDS = 10.0
"""What the server may take to end its children and itself before it is killed."""


_Server = tuple[subprocess.Popen[bytes], socket.socket]

_ahead: list[_Server] = []
"""Servers that nobody has asked for yet."""


@contextmanager
def launched_ahead() -> Iterator[None]:
    """Have a server import what it needs while this process does the same; the next `ServerLink` takes it."""
    server = _launch()
    _ahead.append(server)
    try:
        yield
    finally:
        if server in _ahead:
            _ahead.remove(server)
            _end(*server)


def _launch() -> _Server:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - fixed arguments
            # -P: a file of the user's in the working folder must not pass for a module.
            [sys.executable, "-P", "-m", "qubopress.suites.harness.warm_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            # Ctrl-C goes to the harness alone, which then ends the server in order.
            start_new_session=True,
        )
    return process, ours


def _end(process: subprocess.Popen[bytes], link: socket.socket) -> None:
    link.close()
    process.terminate()
    try:
        process.wait(timeout=CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ServerLink:
    """The other end of a warm server's socket: JSON lines, requests there and events back.

    Attributes:
        socket: readable where the server has said something.
        pid: of the server's process.
    """

    def __init__(self) -> None:
        self._process, self.socket = _ahead.pop() if _ahead else _launch()
        self.pid = self._process.pid
        self._lines = bytearray()
        self._events: list[dict[str, Any]] = []

    def ask(self, content: dict[str, Any], *descriptors: int) -> None:
        """Send a request, and open files with it.

        Raises:
            ServerError: nobody is there any more.
        """
        data = json.dumps(content).encode() + b"\n"
        try:
            # The rest, if any, needs no descriptor with it.
            sent = socket.send_fds(self.socket, [data], descriptors) if descriptors else 0
            self.socket.sendall(data[sent:])
        except ConnectionError:
            raise _died() from None

    def wait_for(self, event: str) -> dict[str, Any]:
        """The first message of that event; the others are kept for `events`."""
        while not any(message["event"] == event for message in self._events):
            self.receive()
        message = next(one for one in self._events if one["event"] == event)
        self._events.remove(message)
        return message

    def receive(self) -> None:
        """Take in what the server has sent, at least one message of it."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise _died()
        self._lines += data
        *lines, rest = self._lines.split(b"\n")
        self._lines = bytearray(rest)
        self._events += [json.loads(line) for line in lines]

    def pending(self) -> bool:
        """Whether there are events that nobody has taken."""
        return bool(self._events)

    def events(self) -> list[dict[str, Any]]:
        """What was heard since the last call."""
        heard, self._events = self._events, []
        return heard

    def close(self) -> None:
        """End the server, which first ends every process that came of it."""
        _end(self._process, self.socket)


def _died() -> ServerError:
    return ServerError(
        "the warm server died, perhaps for want of memory; finished cells are in the store, run again"
    )
