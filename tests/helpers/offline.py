"""Tests that must find what they need on this machine."""

from __future__ import annotations

import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is fetched."""
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
