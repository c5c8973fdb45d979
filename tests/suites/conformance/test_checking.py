"""What a plug-in's own test shows of the claims."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from breaking import write_plugins

from qubopress.problems import InputError
from qubopress.suites import conformance
from qubopress.suites.conformance import problem_claims


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plugins(tmp_path_factory.mktemp("bad"))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


@pytest.mark.slow
def test_failures_are_lines(folder: Path) -> None:
    found = conformance.failures("lies", plugins=folder)
    assert found[0].startswith("the reported loss is the loss of feasible bits: claimed loss -1000000.0")
    with pytest.raises(InputError, match="no solver or problem named 'none'"):
        conformance.failures("none")
