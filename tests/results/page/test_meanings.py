"""No head of a table is left unexplained."""

from __future__ import annotations

import pytest

from qubopress.results.page import board_section, instances_section
from qubopress.results.page.meanings import MEANINGS


@pytest.mark.parametrize("section", [board_section, instances_section])
def test_every_head_of_a_board_says_what_it_means(section: object) -> None:
    heads = [text for text, _ in section.HEADS if text]  # type: ignore[attr-defined]
    assert len(heads) > 8
    assert [text for text in heads if text not in MEANINGS] == []
    assert all(text.endswith(".") and len(text) < 120 for text in MEANINGS.values())
