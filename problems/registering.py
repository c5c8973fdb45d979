"""Entering a function into a registry: one that is refused need not cost its neighbours their places."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from .errors import InputError

__all__ = ["import_registering", "one_by_one", "registering"]

Function = TypeVar("Function", bound=Callable[..., object])
Told = Callable[[str, InputError], None]

_TOLD: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def one_by_one(told: Told) -> Iterator[None]:
    """Inside, a function that no registry takes is told of by its name, and its file goes on."""
    before = _TOLD.set(told)
    try:
        yield
    finally:
        _TOLD.reset(before)


def registering(register: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """A decorator that enters a function, as `one_by_one` has it."""

    @functools.wraps(register)
    def enter(function: Function) -> Function:
        told = _TOLD.get()
        try:
            return register(function)
        except InputError as error:
            if told is None:
                raise
            told(function.__name__, error)
            return function

    return enter


def import_registering(package: str, file: str, signs: tuple[str, ...]) -> None:
    """Import every file beside and below a module of the package that registers something.

    Parameters:
        package: `__package__` of the module.
        file: its `__file__`.
        signs: how a file begins a line in which it registers something.
    """
    folder = Path(file).parent
    for path in sorted(folder.rglob("*.py")):
        if any(f"\n{sign}" in path.read_text(encoding="utf-8") for sign in signs):
            import_module(".".join((package, *path.relative_to(folder).with_suffix("").parts)))
