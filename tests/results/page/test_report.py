"""The report is one page that needs nothing else, says everything, and runs nothing a stranger wrote."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from records import HOSTILE, make_benchmark, make_store, multiply

from qubopress.results import StoreError, apply, load_references, propose, report
from qubopress.results.page import figures as figures_of
from qubopress.results.page import instances_section


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


def panels(page: Outline, x: str, y: str) -> list[dict[str, Any]]:
    """The figures with these titles of their axes."""
    titles = {"xaxis": x, "yaxis": y}
    return [
        figure
        for figure in figures(page)
        if all(figure["layout"][axis]["title"]["text"] == title for axis, title in titles.items())
    ]


def figures(page: Outline) -> list[dict[str, Any]]:
    (data,) = [script for script in page.scripts if script.startswith("[{")]
    drawn: list[dict[str, Any]] = json.loads(data)
    return drawn


def test_a_page_loads_nothing_from_anywhere(pages: dict[bool, Outline]) -> None:
    page = pages[False]
    assert page.addresses
    assert all(address.startswith(("#", "data:text/csv;base64,")) for address in page.addresses)
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
    assert "the lower of the best known loss in the registry and the lowest ranked" in text


def test_every_plot_has_a_figure_and_every_figure_lines(pages: dict[bool, Outline]) -> None:
    page = pages[False]
    drawn = figures(page)
    assert len(drawn) == page.tags.count("figure") == 11 + 4 + 7 + 3
    assert all(figure["data"] and "xaxis" in figure["layout"] for figure in drawn)
    assert all(len(line["x"]) == len(line["y"]) > 0 for figure in drawn for line in figure["data"])


def test_curves_are_steps_that_never_rise(pages: dict[bool, Outline]) -> None:
    lines = [line for figure in panels(pages[False], "seconds", "excess") for line in figure["data"]]
    beam = [line for line in lines if line["name"] == "beam" and line["mode"] == "lines"]
    assert {line["line"]["shape"] for line in beam} == {"hv"}
    assert beam
    assert all(line["y"][-1] == min(line["y"]) < 0.1 for line in beam)


def test_over_own_work_a_panel_has_the_same_ends_and_the_unit_in_every_label(
    pages: dict[bool, Outline],
) -> None:
    for figure in panels(pages[False], "seconds", "excess"):
        work = figure["work"]
        assert work["layout"]["xaxis"]["title"]["text"] == "own work, in each solver's unit"
        ends = [
            {one["name"]: one["y"] for one in data if one["mode"] == "markers"}
            for data in (figure["data"], work["data"])
        ]
        assert ends[1] == {name: end for name, end in ends[0].items() if name not in ("random", "beam")}
        unit = {one["name"]: one["hovertemplate"] for one in work["data"] if "hovertemplate" in one}
        assert "} sweeps<extra>" in unit["sa"]
        assert "} flips<extra>" in unit["tabu"]


def test_who_is_not_drawn_over_own_work_is_named(pages: dict[bool, Outline]) -> None:
    text = " ".join(" ".join(pages[False].texts).split())
    assert text.count("Not drawn over work, for want of counts beside the improvements: beam, random.") == 3


def test_where_no_record_counts_work_there_is_no_switch_and_the_page_says_so(tmp_path: Path) -> None:
    page = outline(report(make_store(tmp_path / "s.db", [{}, {"seed": 1}]), tmp_path / "r.html"))
    assert "No record here holds counts of work" in " ".join(page.texts)
    assert all("work" not in figure for figure in figures(page))
    assert "own work" not in page.texts


def test_a_solver_with_counts_in_some_cells_says_in_how_many_it_has_none(tmp_path: Path) -> None:
    counted = {"trace_work": (3, 9), "work_unit": "flips", "counts": {"flips": 12}}
    failed = {"status": "CRASHED", "loss": None, "trace": (), "seed": 3, "seconds": None}
    path = make_store(tmp_path / "s.db", [counted, {"seed": 1}, {"seed": 2} | counted, failed])
    page = outline(report(path, tmp_path / "r.html"))
    assert "the improvements: sa (1 of 3 cells)." in " ".join(" ".join(page.texts).split())
    (figure,) = panels(page, "seconds", "excess")
    line = next(one for one in figure["work"]["data"] if one.get("hovertemplate"))
    assert 11 < line["x"][-1] <= 12


def test_an_instance_without_counts_says_so_in_its_panel(tmp_path: Path) -> None:
    counted = {"trace_work": (3, 9), "work_unit": "flips", "counts": {"flips": 12}}
    infos = [{"key": key, "name": key} for key in ("key-1", "key-2")]
    cells = [counted, {"instance_key": "key-2", "instance": "key-2"}]
    page = outline(report(make_store(tmp_path / "s.db", cells, infos), tmp_path / "r.html"))
    drawn = [figure["work"] for figure in panels(page, "seconds", "excess")]
    remarks = [[one["text"] for one in work["layout"].get("annotations", [])] for work in drawn]
    assert sorted(remarks) == [[], [], ["no counts of work here"]]


def test_a_band_of_quantiles_lies_around_every_median_that_varies(pages: dict[bool, Outline]) -> None:
    summary = max(panels(pages[False], "seconds", "excess"), key=lambda one: len(one["data"]))
    low, high, middle, dot = (line for line in summary["data"] if line["name"] == "nearest-plane")
    assert low["y"][-1] < middle["y"][-1] < high["y"][-1]
    assert dot["y"][-1] == middle["y"][-1]
    assert high["fill"] == "tonexty"


def test_metric_against_bytes_has_a_line_that_only_rises_and_no_mark_above_it(
    pages: dict[bool, Outline],
) -> None:
    drawn = panels(pages[False], "bytes as stored", "accuracy")
    assert len(drawn) == 3
    for figure in drawn:
        front, *marks = figure["data"]
        assert front["line"]["shape"] == "hv"
        assert front["x"] == sorted(set(front["x"]))
        assert front["y"] == sorted(set(front["y"]))
        for x, y in ((x, y) for mark in marks for x, y in zip(mark["x"], mark["y"], strict=True)):
            assert y <= max(high for size, high in zip(front["x"], front["y"], strict=True) if size <= x)


def test_where_less_is_better_the_line_falls() -> None:
    cells = {"stored_bytes": [3.0, 1.0, 2.0, 2.0], "metric": [1.0, 5.0, 6.0, 4.0], "higher_is_better": False}
    front = figures_of.frontier(pd.DataFrame(cells))
    assert list(zip(front["stored_bytes"], front["metric"], strict=True)) == [(1, 5), (2, 4), (3, 1)]


def test_records_without_bytes_are_not_in_the_picture_and_show_a_dash(tmp_path: Path) -> None:
    cells = [{"solver": name, "measures": {}} for name in ("a", "b")]
    page = outline(report(make_store(tmp_path / "s.db", cells), tmp_path / "r.html"))
    assert panels(page, "bytes as stored", "accuracy") == []
    assert "Metric against bytes as stored" not in " ".join(page.texts)
    assert "–" in page.texts


def test_distributions_are_steps_that_never_fall_below_0_or_above_1(pages: dict[bool, Outline]) -> None:
    drawn = panels(pages[False], "seconds", "share")
    drawn += panels(pages[False], "time / quickest solver's", "share")
    assert len(drawn) == 6
    for line in (line for figure in drawn for line in figure["data"]):
        assert line["y"] == sorted(line["y"])
        assert 0.0 <= line["y"][0] <= line["y"][-1] <= 1.0


def test_average_ranks_are_drawn_where_enough_matches_were_played(pages: dict[bool, Outline]) -> None:
    (ranks,) = [one for one in figures(pages[False]) if "rank" in one["layout"]["xaxis"]["title"]["text"]]
    assert ranks["layout"]["xaxis"]["title"]["text"] == "average rank over 6 matches"
    assert next(dot["name"] for dot in ranks["data"]) == "beam"
    assert ranks["layout"]["shapes"]


def test_every_instance_has_its_facts_reference_and_all_incumbents(pages: dict[bool, Outline]) -> None:
    page = pages[False]
    assert page.tags.count("details") == 9
    text = " ".join(page.texts)
    for part in ("adaround of mlp", "bits = 2", "by beam, in this store; not in the registry", "Provenance"):
        assert part in text


def test_the_raw_cells_come_with_the_page(pages: dict[bool, Outline]) -> None:
    (address,) = [one for one in pages[False].addresses if one.startswith("data:")]
    cells = pd.read_csv(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert len(cells) == 297
    assert {"loss", "excess", "reference", "commit", "primal_integral"} <= set(cells.columns)


def test_a_better_solution_than_the_registrys_is_shown_as_such(tmp_path: Path) -> None:
    registry = tmp_path / "references.json"
    registry.write_text('{"version": 0, "date": "2026-01-01", "instances": []}')
    apply(propose(make_store(tmp_path / "a.db", [{"loss": 3.0}])), path=registry, day="2026-01-02")
    store = make_store(tmp_path / "b.db", [{"loss": 2.5, "solver": "beam"}])
    page = outline(report(store, tmp_path / "r.html", references=load_references(registry)))
    text = " ".join(page.texts)
    assert "1 better than the registry" in text
    assert "2.5 by beam, in this store; better than 3 by sa, 2026-11-02, best-known, in the registry" in text
    assert "registry version 1 of 2026-01-02" in text


def test_hostile_names_and_messages_stay_text(pages: dict[bool, Outline]) -> None:
    plain, hostile = pages[False], pages[True]
    assert sorted(set(plain.tags)) == sorted(set(hostile.tags))
    assert hostile.tags.count("script") == 3
    assert HOSTILE in "".join(hostile.texts)
    texts = [text for figure in figures(hostile) for line in figure["data"] for text in line.get("text", [])]
    assert any("&lt;script&gt;" in text for text in texts)
    assert not any("<" in text for text in texts)


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


@pytest.mark.slow
def test_a_page_of_ten_thousand_cells_is_light(tmp_path: Path) -> None:
    out = report(multiply(make_benchmark(tmp_path / "s.db", seeds=1), 101), tmp_path / "r.html")
    assert out.stat().st_size < 20_000_000
    assert "9,999, of which" in out.read_text(encoding="utf-8")


def test_of_an_instance_of_many_cells_each_solvers_best_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances_section, "MOST_ROWS", 3)
    cells = [{"solver": name, "seed": seed, "loss": seed + 0.125} for name in ("a", "b") for seed in (1, 2)]
    text = " ".join(outline(report(make_store(tmp_path / "s.db", cells), tmp_path / "r.html")).texts)
    assert "2 more are in the download" in text
    shown = text[text.index("The best cell of each solver") :]
    assert shown.count("1.125") == 2
    assert "2.125" not in shown


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
