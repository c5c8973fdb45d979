"""The solver's process: it loads strangers' code, searches, and tells what it finds.

It is forked ahead by the judge's process, before there is an instance, and is sent each one. A black box, or
what is too large to be sent, has a process of its own, forked when it is known. Nothing that is written to
memory here reaches the judge: all that it hears are `offers`. One signal reaches both, which share a group.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import socket
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from ... import solvers
from ...problems import InputError, Instance, MissingDataError
from ...solvers import Status
from .. import plugins
from .family import PR_SET_PDEATHSIG, call_oneself, own_scratch, own_shared_memory, prctl
from .offers import Over, Teller

__all__ = ["SENT_BYTES", "SolverCode", "SolverProcess", "searching", "status_of"]

SENT_BYTES = 32 << 20
"""Largest instance that is sent, and so held twice."""

POINTS = plugins.find_entry_points()
"""Looked up once; only a solver's process imports them."""

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class SolverCode:
    """Which code searches: a solver's name, the folder of plug-ins, and the hash that its file must have."""

    name: str
    folder: str = ""
    source: str = ""

    def load(self) -> None:
        """Bring it into this process's registry.

        Raises:
            InputError: another file than the run began with.
        """
        own_scratch(os.getppid())
        if self.source:
            own_shared_memory()
        plugins.load_entry_points(POINTS)
        plugins.load_folder(self.folder)
        if self.source and plugins.source_of(solvers.get(self.name).search) != self.source:
            raise InputError(f"{self.name} must stay as it is while a run goes on; run again")


@dataclass
class SolverProcess:
    """The judge's end of a solver's process."""

    pid: int
    link: socket.socket

    @classmethod
    def fork(cls, work: Callable[[Teller], None] | None = None) -> SolverProcess:
        """A process that waits for what it is sent, or does some work."""
        ours, theirs = socket.socketpair()
        judge, pid = os.getpid(), os.fork()
        if pid == 0:
            ours.close()
            _become(theirs, judge, work or (lambda teller: _serve(theirs, teller)))
        theirs.close()
        return cls(pid, ours)

    def load(self, code: SolverCode) -> None:
        """Have code loaded."""
        self._send(code)

    def search(self, instance: Instance, code: SolverCode, options: dict[str, Any]) -> None:
        """Have an instance searched with code that is loaded."""
        self._send((instance, code, options))

    def _send(self, message: Any) -> None:
        """A message; its arrays go by a file in memory, which the process maps and cannot write to."""
        arrays: list[pickle.PickleBuffer] = []
        head = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
        with _shared_file() as file:
            spans = [_write(file, array.raw()) for array in arrays]
            data = pickle.dumps((head, spans))
            data = LENGTH.pack(len(data)) + data
            # Whoever listens next will learn how it died.
            with suppress(ConnectionError):
                sent = socket.send_fds(self.link, [data], [file.fileno()])
                self.link.sendall(data[sent:])

    def peak_bytes(self) -> int:
        """Most resident bytes that it has had so far; 0 where nobody tells."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)

    def childless(self) -> bool:
        """Whether it has started no process that is still its own, as far as Linux tells."""
        try:
            tasks = list(Path(f"/proc/{self.pid}/task").iterdir())
            return not any((task / "children").read_text(encoding="ascii") for task in tasks)
        except OSError:
            return False


def _shared_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("qubopress"), "r+b", buffering=0)
    return cast(BinaryIO, tempfile.TemporaryFile())


def _write(file: BinaryIO, array: memoryview) -> tuple[int, int]:
    """Where an array begins in the file, at a whole cache line, and its bytes."""
    begin = -(-file.tell() // 64) * 64
    file.seek(begin)
    while array:
        array = array[file.write(array) :]
    return begin, file.tell() - begin


def searching(instance: Instance, code: SolverCode, options: dict[str, Any]) -> Callable[[Teller], None]:
    """The work of a process that was forked with an instance."""

    def work(teller: Teller) -> None:
        _guarded(teller, code.load)
        _search(teller, instance, code, options)

    return work


def _become(link: socket.socket, judge: int, work: Callable[[Teller], None]) -> NoReturn:
    """Work in this process, which was forked for it, and leave it without clean-up."""
    code = 1
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != judge:
            os._exit(1)
        call_oneself("qubo-solver")
        # Whatever else the judge has open is its own.
        os.closerange(3, link.fileno())
        os.closerange(link.fileno() + 1, 1 << 16)
        work(Teller(link))
        code = 0
    finally:
        os._exit(code)


def _serve(link: socket.socket, teller: Teller) -> None:
    """Load and search as the judge says, until it is gone."""
    while True:
        message = _receive(link)
        if message is None:
            return
        if isinstance(message, SolverCode):
            _guarded(teller, message.load)
        else:
            instance, code, options = message
            _search(teller, instance, code, options)


def _receive(link: socket.socket) -> Any:
    """What the judge sent, which is to be trusted; None where it is gone."""
    data, descriptors, _, _ = socket.recv_fds(link, LENGTH.size, 1)
    if not data:
        return None
    rest = bytearray()
    while len(rest) < LENGTH.unpack(data)[0]:
        rest += link.recv(LENGTH.unpack(data)[0] - len(rest))
    head, spans = pickle.loads(rest)  # noqa: S301 - our own parent
    with open(descriptors[0], "rb") as file:
        size = os.fstat(file.fileno()).st_size
        whole = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b"")
    arrays = [whole[begin : begin + length] for begin, length in spans]
    return pickle.loads(head, buffers=arrays)  # noqa: S301 - our own parent


def _search(teller: Teller, instance: Instance, code: SolverCode, options: dict[str, Any]) -> None:
    def search() -> None:
        found = solvers.solve(instance, code.name, watch=teller.begin, **options)
        # One that ran is over by now.
        teller.stop(found.status.name, found.message)

    try:
        _guarded(teller, search)
    except Over:
        return


def _guarded(teller: Teller, call: Callable[[], None]) -> None:
    """Whatever a solver raises is the cell's result, never the harness's."""
    try:
        call()
    except Exception as error:
        teller.stop(status_of(error).name, plugins.fault_of(error))


def status_of(error: Exception) -> Status:
    """How a cell ends in which this was raised. torch has no MemoryError of its own."""
    if isinstance(error, MissingDataError):
        return Status.SKIPPED
    full = isinstance(error, MemoryError) or "can't allocate memory" in str(error)
    return Status.MEMORY if full and not isinstance(error, InputError) else Status.FAILED
