"""A program started for one search: its words, its process, the solutions that it writes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ....problems.errors import InputError

if TYPE_CHECKING:
    from ...run import Run

__all__ = ["EXAMPLE", "Program", "fingerprint", "split", "words_of"]

PLACES = ("instance", "seconds", "seed", "solution", "threads")
"""What stands in a command for what a search fills in."""

EXAMPLE = Path(__file__).with_name("example.py")
"""A program that does what is asked of one, started where no command is given."""

PLACE = re.compile(r"\{([a-z_]+)\}")

LOOK = 0.02
"""Seconds between two looks at the solution file."""

LATE = 0.2
"""Seconds that a program has beyond its budget to write what it found, before it is ended."""

END = 0.1
"""Seconds between asking it to end and killing it."""

MOST_FILE = 1 << 28
"""Bytes of the largest file that it may write."""

PR_SET_PDEATHSIG = 1


def words_of(command: str) -> list[str]:
    """The words of a command, as a shell would take it apart; none of it is run by a shell.

    Raises:
        InputError: there is none, a quotation is open, or a place is unknown or missing.
    """
    words = split(command)
    named = PLACE.findall(" ".join(words))
    for name in named:
        if name not in PLACES:
            close = get_close_matches(name, PLACES, n=1)
            hint = f"did you mean {{{close[0]}}}?" if close else f"it may hold {_listed(PLACES)}"
            raise InputError(f"command holds {{{name}}}, which nothing fills in; {hint}")
    if not words or not {"instance", "solution"} <= set(named):
        raise InputError(f"command must hold {{instance}} and {{solution}}, got {command!r}")
    return words


def split(text: str, *, name: str = "command") -> list[str]:
    """A command's words. Raises InputError where a quotation is open."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{name} must be words as for a shell: {error}, got {text!r}") from None


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def fingerprint(words: list[str]) -> str:
    """Hash of the executable and of every file that the words name.

    Raises:
        InputError: there is no such executable.
    """
    executable = shutil.which(words[0])
    if executable is None:
        raise InputError(f"no executable {words[0]!r} here; give its path, or put its folder on PATH")
    digest = hashlib.sha256()
    for path in (Path(executable), *map(Path, words[1:])):
        with suppress(OSError, ValueError):
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Program:
    """A program on its way, in a process group of its own that ends with the block. A context manager.

    Parameters:
        words: of its command, as `words_of` gives them.
        places: what is filled in, by name.
    """

    def __init__(self, words: list[str], places: dict[str, str]) -> None:
        self.name = Path(words[0]).name
        # One pass: what is filled in is never looked at again.
        filled = [PLACE.sub(lambda found: places[found[1]], word) for word in words]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
                filled,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_bound,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"{self.name} must be a program that can be started: {error}") from None
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._said = b""

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def runs(self) -> bool:
        """Whether it still runs, after a moment in which what it prints is taken in."""
        ready, _, _ = select.select([self._output], [], [], LOOK)
        if ready and not self._drain():
            # It has closed its output, or nobody holds it any more.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK)
        return self._process.poll() is None

    def _drain(self) -> bool:
        """Take in what it printed, of which the end is kept; False where no more will come."""
        with suppress(BlockingIOError):
            data = os.read(self._output, 1 << 16)
            self._said = (self._said + data)[-2000:]
            return bool(data)
        return True

    def late(self, run: Run) -> bool:
        """Whether to end it: the run has what it wants, or the budget is used and the time to be late too."""
        over = 0.0 if run.seconds is None else run.elapsed() - run.seconds
        return run.hit() or run.proven() or over > min(LATE, run.seconds or LATE)

    def end(self) -> None:
        """Ask it to end, and wait a moment for it."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + END
        while self.runs() and time.monotonic() < deadline:
            pass

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def fault(self) -> str:
        """How it ended if that was no success, "" if it was."""
        code = self._process.poll()
        if not code:
            return ""
        how = f"exit code {code}" if code > 0 else f"signal {_signal_name(-code)}"
        return f"{self.name} ended with {how}{self.last_words()}"

    def last_words(self) -> str:
        """The last line that it printed, for messages."""
        lines = self._said.decode("utf-8", "replace").split("\n")
        said = [line for line in map(str.strip, lines) if line]
        return f": {said[-1][:200]}" if said else ""


def _signal_name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return str(number)


def _bound() -> None:
    """In the program's process before it begins: it dies with its parent, and fills no disk."""
    import resource

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, MOST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
