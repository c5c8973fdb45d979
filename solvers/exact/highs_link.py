"""A script that speaks HiGHS, in a process of its own, and lines of JSON to and from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

__all__ = ["LOOK", "Link", "highs"]

LOOK = 0.02
"""Seconds between two looks at the run while HiGHS says nothing."""


class Link:
    """A running script. Every line that it writes is an answer."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.process, self.name = process, name
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.messages: SimpleQueue[str] = SimpleQueue()
        # A pipe that is full would hold up the run's clock while the script still imports.
        self.threads = [Thread(target=one, daemon=True) for one in (self._hear, self._speak)]
        for thread in self.threads:
            thread.start()

    def _hear(self) -> None:
        """Queue every line that comes, "" at the end."""
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self.lines.put(line)
        except (OSError, ValueError):
            pass
        finally:
            self.lines.put("")

    def _speak(self) -> None:
        """Write every message, until "". A script that is gone is met where its answer is awaited."""
        assert self.process.stdin is not None
        while message := self.messages.get():
            try:
                self.process.stdin.write(message)
                self.process.stdin.flush()
            except OSError:
                return

    def send(self, message: dict[str, Any]) -> None:
        """Send one line, and wait for nothing."""
        self.messages.put(json.dumps(message) + "\n")

    def answers(self) -> Iterator[dict[str, Any]]:
        """What comes back, {} now and then while it is silent.

        Raises:
            RuntimeError: the script ended.
        """
        while True:
            try:
                line = self.lines.get(timeout=LOOK)
            except Empty:
                yield {}
                continue
            if not line:
                error = self.process.stderr.read().strip() if self.process.stderr is not None else ""
                raise RuntimeError(f"{self.name}: HiGHS ended without an answer: {error.splitlines()[-1:]}")
            yield json.loads(line)

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.messages.put("")
        for thread in self.threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                # What was never read is flushed here once more.
                with suppress(OSError):
                    pipe.close()
        self.process.wait()


@contextmanager
def highs(script: str, name: str) -> Iterator[Link]:
    """A script of this folder, started for the solver of that name, and killed on the way out."""
    # -P: the script's folder holds modules named like others'.
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-P", str(Path(__file__).with_name(script))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    link = Link(process, name)
    try:
        yield link
    finally:
        link.close()
