"""The warm server: one single-threaded process with everything imported, which forks a child for every job.

Run as `python -m qubopress.suites.server FD` by `processes.Server`. A request is one JSON line on the socket
FD with the write end of a pipe; the child writes its messages there. The server answers "started" and
"exited" lines. When the socket closes, the harness is gone, and every child's process group is killed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Import all that children will need, then serve until the harness goes."""
    from . import jobs

    link = socket.socket(fileno=int(sys.argv[1]))
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    # The harness alone decides about interrupts; it tells the server by closing the link.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Frozen objects are not touched by the children's collector, so their pages stay shared.
    gc.freeze()
    _Server(link, wake_read, jobs.JOBS).serve()


class _Server:
    """Children by process id, and the two things that can happen: a request, or a child's end."""

    def __init__(
        self, link: socket.socket, wake: socket.socket, jobs: dict[str, Callable[..., None]]
    ) -> None:
        self.link, self.wake, self.jobs = link, wake, jobs
        self.children: dict[int, int] = {}

    def serve(self) -> None:
        """Until the link closes; then no child is left."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.link, selectors.EVENT_READ)
            selector.register(self.wake, selectors.EVENT_READ)
            self._tell({"event": "ready"})
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.wake:
                        self.wake.recv(4096)
                        self._reap()
                    elif not self._request():
                        self._kill_all()
                        return

    def _request(self) -> bool:
        """Serve one request; False when the harness is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.link, 1 << 20, 1)
        except ConnectionError:
            return False
        if not data:
            return False
        request = json.loads(data)
        if request["job"] == "preload":
            self.jobs["preload"](request["payload"])
            self._tell({"event": "preloaded"})
            return True
        pid = os.fork()
        if pid == 0:
            self._become_child(request, descriptors[0])
        os.close(descriptors[0])
        self.children[pid] = request["id"]
        self._tell({"event": "started", "id": request["id"], "pid": pid})
        return True

    def _become_child(self, request: dict[str, Any], descriptor: int) -> NoReturn:
        """Run the job in a process group of its own, silent, and leave without the parent's clean-up."""
        code = 1
        try:
            os.setsid()
            _die_with_parent()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for inherited in (self.link, self.wake):
                inherited.close()
            _silence()
            self.jobs[request["job"]](request["payload"], descriptor)
            code = 0
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            _kill_group(pid)
            code = os.waitstatus_to_exitcode(status)
            if pid in self.children:
                self._tell({"event": "exited", "id": self.children.pop(pid), "code": code})

    def _kill_all(self) -> None:
        for pid in self.children:
            _kill_group(pid)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.link.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionError):
            self._kill_all()
            os._exit(0)


def _kill_group(pid: int) -> None:
    """Kill what is left of a child's process group, grandchildren included."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the server dies; elsewhere the server's own end must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _silence() -> None:
    """What a solver prints is nobody's result."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


if __name__ == "__main__":
    main()
