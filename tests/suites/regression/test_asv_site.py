"""asv's site opens from the scripts beside it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from qubopress.problems import InputError
from qubopress.suites import cli
from qubopress.suites.regression.asv_site import COPIES, LEGEND, localise


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A machine that has every script."""
    for copy in COPIES.values():
        (tmp_path / "library" / copy).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "library" / copy).write_text(f"content of {copy}")
    return tmp_path / "library"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The page of the asv that is installed."""
    spec = importlib.util.find_spec("asv")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent / "www", tmp_path / "site")
    return tmp_path / "site"


def test_the_page_asks_no_other_host_and_every_script_lies_beside_it(site: Path, library: Path) -> None:
    assert localise(site, library=library)
    text = (site / "index.html").read_text(encoding="utf-8")
    asked = re.findall(r'<(?:script|link)\b[^>]*(?:src|href)="([^"]+)"', text)
    assert set(COPIES) <= set(asked)
    for name in set(asked) & set(COPIES):
        assert (site / name).read_text() == f"content of {COPIES[name]}"
    assert not [name for name in asked if name.startswith("http")]


def test_the_newer_flot_names_axes_once_and_its_legend_can_be_read(site: Path, library: Path) -> None:
    before = (site / "index.html").read_text(encoding="utf-8")
    assert before.count("jquery.flot.axislabels.js") == 1
    localise(site, library=library)
    text = (site / "index.html").read_text(encoding="utf-8")
    assert "jquery.flot.axislabels.js" not in text
    assert text.count(LEGEND) == 1


def test_localising_twice_changes_nothing(site: Path, library: Path) -> None:
    localise(site, library=library)
    before = (site / "index.html").read_text(encoding="utf-8")
    localise(site, library=library)
    assert (site / "index.html").read_text(encoding="utf-8") == before


def test_a_machine_without_a_script_leaves_the_page_as_it_is(site: Path, library: Path) -> None:
    before = (site / "index.html").read_text(encoding="utf-8")
    (library / COPIES["md5.min.js"]).unlink()
    assert not localise(site, library=library)
    assert (site / "index.html").read_text(encoding="utf-8") == before


def test_a_script_that_is_not_known_is_named(site: Path, library: Path) -> None:
    page = site / "index.html"
    page.write_text('<script src="https://example.org/new.js"></script>', encoding="utf-8")
    with pytest.raises(InputError, match=r"scripts that are known, got new\.js; add it to COPIES"):
        localise(site, library=library)


def test_a_folder_without_a_site_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["asv-site", str(tmp_path)]) == 2
    assert "must be a site of asv, got No such file" in capsys.readouterr().err
