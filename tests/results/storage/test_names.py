"""A name that becomes a folder stays inside the one it is put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from qubopress.results.storage.names import LONGEST, unfit
from qubopress.suites import suite_names


@pytest.mark.parametrize(
    "name", ["own", "smoke-2", "Süd 3", "a.b", "my suite (2)", "x" * LONGEST, "bits=4,5"]
)
def test_an_ordinary_name_is_fit_and_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    assert unfit(name) == ""
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()


def test_every_built_in_suite_has_such_a_name() -> None:
    assert [name for name in suite_names() if unfit(name)] == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "/a", "a/b", "a\\b", "a..b", ".a", "a\n", "a\0", "-a", " a", "a ", "a:b", "~"],
)
def test_a_name_that_may_lead_elsewhere_is_unfit(name: str) -> None:
    assert "must be at most 100 letters" in unfit(name)
