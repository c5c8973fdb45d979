"""The report is one page that needs nothing else, says everything, and runs nothing a stranger wrote."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from qubopress.results import StoreError, report
from qubopress.results.page import script_json
from records import HOSTILE, make_benchmark, make_store


class Outline(HTMLParser):
    """The tags, addresses and texts of a page, scripts apart."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        (self.scripts if self.tags and self.tags[-1] == "script" else self.texts).append(data)


def outline(path: Path) -> Outline:
    parser = Outline()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Outline]:
    """The outlines of a plain and of a hostile benchmark's reports."""
    folder = tmp_path_factory.mktemp("report")
    stores = {hostile: make_benchmark(folder / f"{hostile}.db", hostile=hostile) for hostile in (False, True)}
    return {hostile: outline(report(store, folder / f"{hostile}.html")) for hostile, store in stores.items()}


def figures(page: Outline) -> list[dict[str, Any]]:
    (data,) = [script for script in page.scripts if script.startswith("[{")]
    drawn: list[dict[str, Any]] = json.loads(data)
    return drawn


def test_a_page_loads_nothing_from_anywhere(pages: dict[bool, Outline]) -> None:
    page = pages[False]
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert page.tags.count("script") == 3


def test_a_page_says_who_measured_what_where(pages: dict[bool, Outline]) -> None:
    text = " ".join(pages[False].texts)
    for part in (
        "paper-1",
        "0123abc",
        "lab-1",
        "numpy 2.4.6",
        "297, of which",
        "2026-11-02",
        "beam",
        "analog",
    ):
        assert part in text
    for heading in ("Leaderboard", "Excess over time", "Loss against the network's metric", "Failures"):
        assert heading in text
    assert "tensor-train takes at most 50000 variables" in text
    assert "The reference of an instance is the lowest ranked loss" in text


def test_every_plot_has_a_figure_and_every_figure_lines(pages: dict[bool, Outline]) -> None:
    page = pages[False]
    drawn = figures(page)
    assert len(drawn) == page.tags.count("figure") == 11 + 4
    assert all(figure["data"] and "xaxis" in figure["layout"] for figure in drawn)
    assert all(len(line["x"]) == len(line["y"]) > 0 for figure in drawn for line in figure["data"])


def test_curves_are_steps_that_never_rise(pages: dict[bool, Outline]) -> None:
    lines = [line for figure in figures(pages[False]) for line in figure["data"] if line["mode"] == "lines"]
    beam = [line for line in lines if line["name"] == "beam"]
    assert {line["line"]["shape"] for line in lines} == {"hv"}
    assert beam
    assert all(line["y"][-1] == min(line["y"]) < 0.1 for line in beam)


def test_hostile_names_and_messages_stay_text(pages: dict[bool, Outline]) -> None:
    plain, hostile = pages[False], pages[True]
    assert sorted(set(plain.tags)) == sorted(set(hostile.tags))
    assert hostile.tags.count("script") == 3
    assert HOSTILE in "".join(hostile.texts)
    texts = [text for figure in figures(hostile) for line in figure["data"] for text in line.get("text", [])]
    assert any("&lt;script&gt;" in text for text in texts)
    assert not any("<" in text for text in texts)


def test_data_cannot_end_its_script() -> None:
    text = script_json({"name": HOSTILE})
    assert "<" not in text
    assert json.loads(text) == {"name": HOSTILE}


def test_one_suite_can_be_reported_alone(tmp_path: Path) -> None:
    path = make_store(
        tmp_path / "s.db", [{"suite": "old", "solver": "gone"}, {"suite": "new", "solver": "here"}]
    )
    text = " ".join(outline(report(path, tmp_path / "r.html", suite="new")).texts)
    assert "here" in text
    assert "gone" not in text


def test_a_store_of_failures_only_still_gives_a_page(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"status": "CRASHED", "loss": None, "seconds": None, "trace": (), "violation": None, "metric": None},
        {
            "status": "SKIPPED",
            "loss": None,
            "seconds": None,
            "trace": (),
            "instance_key": "gone",
            "family": "",
        },
    ]
    text = " ".join(outline(report(make_store(tmp_path / "s.db", cells), tmp_path / "r.html")).texts)
    assert "crashed" in text
    assert "skipped" in text


def test_one_cell_without_a_trace_gives_a_page(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{"trace": (), "seconds": 0.0, "message": "x" * 5000}])
    page = outline(report(path, tmp_path / "r.html"))
    assert "Every cell gave a solution." in " ".join(page.texts)


def test_a_report_of_nothing_is_refused_in_one_line(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with pytest.raises(
        StoreError, match=r"must hold cells of the suite to report, got 'none'; it holds smoke\Z"
    ):
        report(path, tmp_path / "r.html", suite="none")
    with pytest.raises(StoreError, match="it holds none at all"):
        report(make_store(tmp_path / "e.db", []), tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_report_needs_a_place(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    for out in (tmp_path, tmp_path / "no" / "r.html"):
        with pytest.raises(StoreError, match="must be a file in a folder that exists"):
            report(path, out)


def test_a_report_is_in_place_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s.db", [{}])
    out = tmp_path / "r.html"
    out.write_text("the old one")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        report(store, out)
    assert out.read_text() == "the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "s.db"]


def test_the_page_is_as_light_as_its_plotly(tmp_path: Path) -> None:
    out = report(make_benchmark(tmp_path / "s.db"), tmp_path / "r.html")
    text = out.read_text(encoding="utf-8")
    assert len(re.findall(r"plotly\.js v", text)) == 1
    assert len(text) < 6_000_000
