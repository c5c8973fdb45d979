"""The pictures of README and docs are those that the published results make, and safe to show anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from repository import ROOT

from qubopress.suites.publishing import pictures

NAMES = ["accuracy.svg", "board.svg", "digits.svg", "pruning-energies.svg", "way.svg"]


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return pictures.pictures(ROOT / "results" / "data")


def test_the_committed_pictures_are_what_the_published_results_make(drawn: dict[str, str]) -> None:
    assert sorted(drawn) == NAMES
    for name, text in drawn.items():
        assert (ROOT / pictures.FOLDER / name).read_text(encoding="utf-8") == text, "run `make publish`"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_says_in_words_what_it_shows_and_loads_nothing(drawn: dict[str, str], name: str) -> None:
    root = ElementTree.fromstring(drawn[name])
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert len(root.findtext(f"{space}title") or "") > 40
    assert not re.search(r"href|script|url\(|@import", drawn[name])


def test_marks_stay_on_the_paper(drawn: dict[str, str]) -> None:
    for name, text in drawn.items():
        width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', text).groups())  # type: ignore[union-attr]
        xs = [float(x) for x in re.findall(r'\b(?:x|cx|x1|x2)="([^"]+)"', text)]
        ys = [float(y) for y in re.findall(r'\b(?:y|cy|y1|y2)="([^"]+)"', text)]
        assert 0 <= min(xs) <= max(xs) <= width, name
        assert 0 <= min(ys) <= max(ys) <= height, name


def test_digits_are_drawn_where_the_stored_picture_is_white() -> None:
    picture = np.zeros((7 * 36, 20 * 36), dtype=np.uint8)
    picture[4:8, 8:12] = 255
    drawn = pictures.digits(picture)
    assert re.findall(r'd="(M[^"]+)"', drawn) == ["M108 20h4v4h-4z"]
    assert all(f">{row}</text>" in drawn for row in pictures.ROWS)


def test_without_published_results_the_worked_example_is_left(tmp_path: Path) -> None:
    assert sorted(pictures.pictures(tmp_path)) == ["way.svg"]
