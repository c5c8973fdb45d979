"""What a test registers is forgotten after it, so that tests may run in any order and process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from warm import clean_registries


@pytest.fixture(autouse=True)
def _nothing_registered_stays() -> Iterator[None]:
    with clean_registries():
        yield
