"""No head of a table is left unexplained, and no number without its unit."""

from __future__ import annotations

from types import ModuleType

import pytest

from qubopress.results.page import (
    board_section,
    failures_section,
    family_section,
    instances_section,
    provenance_section,
)
from qubopress.results.page.meanings import MEANINGS, UNITS

SECTIONS = (board_section, failures_section, family_section, instances_section, provenance_section)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_head_says_what_it_means_and_every_number_its_unit(section: ModuleType) -> None:
    heads = [(text, kind) for text, kind in section.HEADS if text]
    assert len(heads) > 5
    assert [text for text, _ in heads if text not in MEANINGS] == []
    numbers = [text for text, kind in heads if kind != "text"]
    assert [text for text in numbers if f" Unit: {UNITS.get(text)}." not in MEANINGS[text]] == []


def test_nothing_is_explained_that_no_table_has() -> None:
    heads = {text for section in SECTIONS for text, _ in section.HEADS}
    assert set(MEANINGS) == heads - {""}
    assert set(UNITS) <= set(MEANINGS)
    assert all(text.endswith(".") and len(text) < 170 for text in MEANINGS.values())
