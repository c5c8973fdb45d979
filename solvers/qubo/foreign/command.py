"""command: any executable. It is given the instance as a file, and writes its solution as a text of bits."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

from ....problems import InputError, Qubo
from ....problems.errors import MissingDataError
from ....problems.formats import FORMATS
from ....problems.formats.bits import most_bytes, parse_bits, read_bits
from ...registry import Choice, Range, solver
from ...run import Run
from .program import EXAMPLE, Program, fingerprint, words_of

__all__ = ["command"]

START = 0.1
"""Seconds in which no program may have begun, as adapters divide a short budget: zeros stand for it then."""

FILES = Choice(*FORMATS)


@solver("command", accepts=Qubo, reference="yours", anytime=False)
def command(
    instance: Qubo,
    run: Run,
    *,
    command: str = "",
    format: Annotated[str, FILES] = "mqlib",  # noqa: A002
    version: str = "",
    sha256: str = "",
    work: Annotated[float, Range(0.001, 1e6, log=True)] = 1.0,
) -> None:
    """Any executable: it is started once for each search, without a shell, and may rewrite its solution.

    Without a command a program of some lines in plain Python is started, as an example.

    Parameters:
        command: words with {instance}, {solution} and, where wanted, {seconds}, {seed} and {threads}.
        format: of the file that it is given.
        version: what it says of its version.
        sha256: hash that the executable and the files in its command must have; "" for any.
        work: the {seconds} of runs of fixed work.
    """
    _search(instance, run, command, format, sha256, work)


def _search(instance: Qubo, run: Run, command: str, form: str, sha256: str, work: float) -> None:
    """`run.restarts` runs of the program, or one."""
    words = words_of(command) if command else [*_example(), "{instance}", "{seconds}", "{seed}", "{solution}"]
    if sha256 and fingerprint(words) != sha256:
        raise InputError(f"{words[0]} must stay as it is while a run goes on, got another file; run again")
    with tempfile.TemporaryDirectory(prefix="qubopress-") as folder:
        given = Path(folder, f"instance.{form}")
        FORMATS[form].write(given, instance)
        for number in range(run.restarts or 1):
            if not run.open():
                return
            if run.seconds is not None and run.seconds < START:
                run.offer(instance.baseline())
            written = Path(folder, f"solution{number}.txt")
            _start(run, words, work, given, written)
            run.stopped()


def _example() -> list[str]:
    return [sys.executable, "-I", str(EXAMPLE)]


def _start(run: Run, words: list[str], work: float, given: Path, written: Path) -> None:
    """One run of the program.

    Raises:
        InputError: what it has written in the end is no solution.
        RuntimeError: it failed, or wrote none.
    """
    places = {
        "instance": str(given),
        "solution": str(written),
        "seconds": f"{work if run.seconds is None else max(run.remaining(), 0.001):.3f}",
        "seed": str(int(run.rng.integers(2**31))),
        "threads": str(run.threads),
    }
    seen = b""
    with Program(words, places) as program:
        while program.runs():
            seen = _look(run, written, seen)
            if program.late(run):
                program.end()
                # Whatever it was at then: what it had written whole before counts.
                _look(run, written, seen)
                run.stopped()
                return
        fault = program.fault()
        if fault:
            raise RuntimeError(fault)
        try:
            last = read_bits(written, run.instance)
        except MissingDataError:
            raise RuntimeError(f"{program.name} wrote no solution{program.last_words()}") from None
        except InputError as error:
            raise InputError(f"{program.name} wrote no solution: {error}") from None
        run.offer(last.x, last.loss)


def _look(run: Run, written: Path, seen: bytes) -> bytes:
    """Offer a solution that was not there before; one that is being written is left for the next look."""
    try:
        data = written.read_bytes() if written.stat().st_size <= most_bytes(run.instance) else b""
    except OSError:
        return seen
    if data == seen or not data:
        return seen
    try:
        found = parse_bits(data, run.instance)
    except InputError:
        return seen
    run.offer(found.x, found.loss)
    return data
