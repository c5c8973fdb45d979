"""What the documentation says of the tests is so."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_test_that_the_harness_page_names_exists() -> None:
    page = (ROOT / "docs" / "harness.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+)::(\w+)`", page)
    assert len(named) > 60
    for file, name in named:
        source = (ROOT / "tests" / f"test_{file}.py").read_text(encoding="utf-8")
        assert f"def test_{name}(" in source, f"{file}::{name}"
