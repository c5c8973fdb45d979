"""How a search can end."""

from __future__ import annotations

from qubopress.solvers import Status


def test_every_status_is_its_name_and_carries_advice() -> None:
    for status in Status:
        assert status == status.name
        assert status.advice.endswith(".")
        assert Status(status.value) is status
