"""Giving memory back never fails, whatever the C library."""

from __future__ import annotations

from typing import Any

import pytest

from qubopress.problems import memory


def given_back(monkeypatch: pytest.MonkeyPatch, library: Any, size: int) -> list[int]:
    asked: list[int] = []
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library(asked))
    memory._trim.cache_clear()
    try:
        memory.give_back(size)
    finally:
        memory._trim.cache_clear()
    return asked


class Glibc:
    def __init__(self, asked: list[int]) -> None:
        self.malloc_trim = asked.append


def test_it_asks_the_c_library_behind_large_arrays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_back(monkeypatch, Glibc, memory.LARGE) == [0]
    assert given_back(monkeypatch, Glibc, memory.LARGE - 1) == []


def test_a_c_library_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given_back(monkeypatch, lambda asked: object(), memory.LARGE) == []
