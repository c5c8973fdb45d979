"""The warm server: one single-threaded process with everything imported, which forks a child for every job.

One child waits ahead, forked while the job before it sets out, so that no job waits for a fork.

Run as `python -m qubopress.suites.harness.warm_server FD` by `server_link`. A request is one JSON line
on the socket FD with the write end of a pipe; the child writes its messages there. The server answers
"started" and "exited" lines. When the socket closes, the harness is gone, and every process that came of it
is killed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from .family import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    Scratch,
    call_oneself,
    kill,
    libc,
    own_processes,
    prctl,
)

__all__ = ["main"]

HEARD_SECONDS = 10.0
"""In which a child that waits must say that it has heard its request; else it is dead or stopped."""

MADV_COLLAPSE, HUGE = 25, 1 << 21
"""Number of Linux's madvise, since 6.1, and bytes of the page that it makes of 512 small ones."""


def main() -> None:
    """Import all that children will need, then serve until the harness goes."""
    link = socket.socket(fileno=int(sys.argv[1]))
    wake_read, wake_write = socket.socketpair()
    wake_write.setblocking(False)
    server = _Server(link, wake_read, wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    # The harness alone decides about interrupts; it tells the server by closing the link.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: server.leave())
    # The link would tell as well, but not in the middle of a compilation.
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    from ... import problems, solvers
    from . import jobs

    # The registries load what they are asked for, which each child would have to do again.
    for floor in (problems, solvers):
        floor.names()
        for name in dir(floor):
            getattr(floor, name)
    # Frozen objects are not touched by the children's collector, so their pages stay shared.
    gc.freeze()
    server.serve(jobs)


class _Server:
    """Children by process id, and the two things that can happen: a request, or a child's end."""

    def __init__(self, link: socket.socket, wake: socket.socket, alarm: socket.socket) -> None:
        self.link, self.wake, self.alarm, self.pid = link, wake, alarm, os.getpid()
        self.children: dict[int, int] = {}
        self.spare: tuple[int, socket.socket] | None = None
        self.scratch: Scratch | None = None

    def serve(self, jobs: ModuleType) -> NoReturn:
        """Until the link closes; then no child is left."""
        self.scratch = Scratch()
        with selectors.DefaultSelector() as selector:
            selector.register(self.link, selectors.EVENT_READ)
            selector.register(self.wake, selectors.EVENT_READ)
            self._tell({"event": "ready"})
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.wake:
                        self.wake.recv(4096)
                        self._reap()
                    else:
                        self._serve_request(jobs)

    def _serve_request(self, jobs: ModuleType) -> None:
        request, descriptors = _receive(self.link) or self.leave()
        if request["job"] == "preload":
            self._discard_spare()
            jobs.preload(request["payload"])
            gc.freeze()
            _collapse()
            self._tell({"event": "preloaded"})
        else:
            pid = self._hand_over(jobs, request, descriptors)
            self.children[pid] = request["id"]
            self._tell({"event": "started", "id": request["id"], "pid": pid})
        for descriptor in descriptors:
            os.close(descriptor)
        if self.spare is None:
            self.spare = self._fork(jobs)

    def _hand_over(self, jobs: ModuleType, request: dict[str, Any], descriptors: list[int]) -> int:
        """Give a request to the child that waits, or to a new one where that is dead; its process id."""
        data = json.dumps(request).encode() + b"\n"
        while True:
            pid, link = self.spare or self._fork(jobs)
            self.spare = None
            link.settimeout(HEARD_SECONDS)
            with link, suppress(ConnectionError, TimeoutError):
                sent = socket.send_fds(link, [data], descriptors[:1])
                if sent < len(data):  # to send nothing to a child that has all and closed its end would fail
                    link.sendall(data[sent:])
                if link.recv(1):
                    return pid
            kill(pid)

    def _fork(self, jobs: ModuleType) -> tuple[int, socket.socket]:
        """A child that waits for a request, and the socket that takes it there."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_child(jobs, theirs)
        theirs.close()
        # Parent and child both ask for the group, so that neither can be too late.
        with suppress(OSError):
            os.setpgid(pid, pid)
        return pid, ours

    def _discard_spare(self) -> None:
        """End the child that waits: it is a copy of what the server was."""
        if self.spare is not None:
            pid, link = self.spare
            self.spare = None
            link.close()
            kill(pid)

    def _become_child(self, jobs: ModuleType, waiting: socket.socket) -> NoReturn:
        """Wait for a job and run it in a process group of its own, silent; leave without clean-up."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            os.setpgid(0, 0)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.pid:
                os._exit(1)
            for inherited in (self.link, self.wake, self.alarm):
                inherited.close()
            _silence()
            # A dump of all that was preloaded would take longer than most cells.
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            call_oneself("qubo-waiting")
            family = (jobs.fork_ahead(), 0)
            request, descriptors = _receive(waiting) or os._exit(0)
            waiting.sendall(b"!")
            waiting.close()
            call_oneself("qubo-cell")
            if request.get("group"):
                # Before the job: what a process holds already stays on the account of the group it came from.
                for pid in family:
                    Path(request["group"], "cgroup.procs").write_text(str(pid), encoding="ascii")
            if request.get("cores"):
                for pid in family:
                    os.sched_setaffinity(pid, request["cores"])
            jobs.JOBS[request["job"]](request["payload"], descriptors[0])
            code = 0
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Tell of every child that ended, once nothing that it started is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            kill(pid, group_only=True)
            waiting = {self.spare[0]} if self.spare else set()
            for stray in own_processes() - self.children.keys() - waiting:
                kill(stray)
            if pid in self.children:
                code = os.waitstatus_to_exitcode(status)
                if self.scratch is not None:
                    self.scratch.remove(pid)
                self._tell({"event": "exited", "id": self.children.pop(pid), "code": code})

    def leave(self) -> NoReturn:
        """Kill every child and, as they come to the server, the orphans it leaves; then go."""
        while True:
            for pid in self.children.keys() | own_processes():
                kill(pid)
            try:
                self.children.pop(os.waitpid(-1, 0)[0], None)
            except ChildProcessError:
                if self.scratch is not None:
                    self.scratch.close()
                os._exit(0)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.link.sendall(json.dumps(message).encode() + b"\n")
        except ConnectionError:
            self.leave()


def _receive(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """One request and the descriptors that came with it, None where the sender is gone."""
    data = b""
    descriptors: list[int] = []
    while not data.endswith(b"\n"):
        try:
            part, found, _, _ = socket.recv_fds(link, 1 << 20, 1)
        except ConnectionError:
            part, found = b"", []
        if not part:
            return None
        data, descriptors = data + part, descriptors + found
    return json.loads(data), descriptors


def _collapse() -> None:
    """Put this process's memory on huge pages, for a second once: a fork copies an entry for every page.

    A child gets small copies of what it writes to. Without huge pages nothing changes but the time.
    """
    if libc is None:
        return
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, rights, *_ = fields = line.split()
        if rights == "rw-p" and fields[5:] in ([], ["[heap]"]):
            low, high = (int(number, 16) for number in span.split("-"))
            low, high = -(-low // HUGE) * HUGE, high // HUGE * HUGE
            if low < high:
                libc.madvise(ctypes.c_void_p(low), ctypes.c_size_t(high - low), MADV_COLLAPSE)


def _silence() -> None:
    """What a solver prints is nobody's result."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


if __name__ == "__main__":
    main()
