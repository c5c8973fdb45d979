"""For tests of the harness: one warm server for the whole session, small suites, and clean registries."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType

import pytest
import torch

from qubopress.problems import registry as problem_registry
from qubopress.results import Record, Store
from qubopress.solvers import registry as solver_registry
from qubopress.suites import Suite, load, plugins
from qubopress.suites.harness import server_link, suite_run
from qubopress.suites.harness.supervisor import Supervisor

__all__ = ["SMALL", "SharedServer", "clean_registries", "records", "share_server", "small", "write_suite"]

SMALL = """
seconds = {seconds}
restarts = {restarts}
seeds = {seeds}

[[problem]]
name = "taylor"
network = "digits-cnn"
keep = 0.5

[[solver]]
name = {solvers}
"""


# Small networks on a busy machine: more threads only get into each other's way.
torch.set_num_threads(1)


class SharedServer:
    """Stands in for `Supervisor`: the same process for every run, started at the first."""

    running: Supervisor | None = None

    def __init__(self, *, memory: int | None = None) -> None:
        self.memory = memory

    def __enter__(self) -> Supervisor:
        if SharedServer.running is None:
            SharedServer.running = Supervisor().__enter__()
        SharedServer.running.memory = self.memory
        return SharedServer.running

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = SharedServer.running
        if error is not None and (running is None or running.busy):
            SharedServer.stop()

    @staticmethod
    def stop() -> None:
        if SharedServer.running is not None:
            SharedServer.running.__exit__(None, None, None)
            SharedServer.running = None


atexit.register(SharedServer.stop)


def share_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_run, "Supervisor", SharedServer)
    monkeypatch.setattr(server_link, "launched_ahead", nullcontext)


@contextmanager
def clean_registries() -> Iterator[None]:
    """What plug-ins register is forgotten afterwards; what the package brings is there before."""
    solver_registry.names()
    problem_registry.names()
    tables = [solver_registry._REGISTRY, problem_registry._REGISTRY, plugins._sources]
    before = [dict(table) for table in tables]
    modules = set(sys.modules)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        for name in [name for name in sys.modules if name.startswith("qubopress_plugin_")]:
            if name not in modules:
                del sys.modules[name]


def write_suite(folder: Path, text: str, *, name: str = "own") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def small(
    folder: Path, *solvers: str, seconds: float = 5.0, restarts: int = 1, seeds: int = 1, name: str = "own"
) -> Suite:
    """Taylor pruning of the digits CNN, at fixed work, so that every run of a cell ends alike."""
    text = SMALL.format(seconds=seconds, restarts=restarts, seeds=seeds, solvers=list(solvers))
    return load(write_suite(folder, text, name=name))


def records(path: Path) -> list[Record]:
    with Store(path) as store:
        return list(store.records())
