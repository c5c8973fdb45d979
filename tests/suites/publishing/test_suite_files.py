"""What is published of a store reads back as it was and ranks alike; the repository publishes what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from records import make_benchmark, make_info, make_record, make_store
from repository import ROOT

from qubopress import results
from qubopress.problems import InputError
from qubopress.results import Stage, Store, StoreError
from qubopress.results.page.published_page import published_page
from qubopress.results.scoring.references import References
from qubopress.results.storage import rows
from qubopress.results.storage.cells_csv import read_cells, write_cells
from qubopress.results.storage.rows import as_store
from qubopress.suites import cli, load, suite_names
from qubopress.suites.publishing import doc_tables, suite_files
from qubopress.suites.publishing.suite_files import CELLS, CORRELATIONS, PAGE, ROWS, add, cells_of, page
from qubopress.suites.verification import rejudging

DATA = ROOT / "results/data"
NONE = References(0, "2026-01-01", {})

CELLS_OF_TWO = [
    {"suite": "smoke", "solver": "sa", "loss": 2.0, "peak_bytes": None, "restarts": 1},
    {"suite": "smoke", "solver": "beam", "loss": 1.0, "counts": {"steps": 3}, "parameters": {"width": 8}},
    {
        "suite": "smoke",
        "solver": "tabu",
        "loss": None,
        "status": "CRASHED",
        "message": 'died, "so"',
        "stages": (),
    },
    {"suite": "own", "solver": "sa", "loss": 3.0, "commit": "0123abc+"},
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "r.db", CELLS_OF_TWO)


def test_published_cells_read_back_as_they_were_and_rank_alike(store: Path, tmp_path: Path) -> None:
    add([store], tmp_path)
    before = results.load(store)
    for suite, cells in cells_of(tmp_path):
        own = before[before["suite"] == suite].set_index("cell").loc[cells["cell"]].reset_index()
        pd.testing.assert_frame_equal(cells[own.columns], own)
        boards = [results.leaderboard(one, references=NONE) for one in (cells, own)]
        pd.testing.assert_frame_equal(*boards)


@pytest.mark.parametrize(
    "name", ["..", "../up", "/tmp/away", "a/b", "a/../../b", ".hidden", "", "x\0y", "x" * 101]
)
def test_a_suite_whose_name_leads_elsewhere_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str
) -> None:
    store = make_store(tmp_path / "r.db", [{"suite": "smoke"}, {"suite": name}])
    data = tmp_path / "a" / "data"
    data.mkdir(parents=True)
    with pytest.raises(InputError, match="the name of a suite must be at most 100 letters"):
        add([store], data)
    assert sorted(tmp_path.rglob("*")) == [data.parent, data, store]


def test_each_suite_has_a_folder_and_says_what_can_be_rejudged(store: Path, tmp_path: Path) -> None:
    told = {one.suite: (one.cells, one.rejudgeable, one.changed) for one in add([store], tmp_path)}
    assert told == {"smoke": (3, 2, 0), "own": (1, 1, 1)}
    smoke = dict(cells_of(tmp_path))["smoke"].set_index("solver")["rejudgeable"]
    assert smoke.to_dict() == {"sa": True, "beam": True, "tabu": False}
    with as_store(tmp_path / "smoke" / ROWS) as back, Store(back) as kept, Store(store) as whole:
        found = {one.solver: one for one in kept.records()}
        bits = {one.solver: one.stages for one in whole.records() if one.suite == "smoke"}
    assert set(found) == {"sa", "beam"}
    assert all(one.trace == () and one.stages == bits[name] for name, one in found.items())


def test_large_solutions_and_rows_beyond_the_file_are_not_rejudgeable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = (Stage(6, 2.0, 0.0, bytes(suite_files.SMALL + 1), (6,)),)
    records = [
        make_record(cell="large", stages=large),
        make_record(cell="first"),
        make_record(cell="later", seed=1),
    ]
    assert [one.cell for one in suite_files._small(records)] == ["first", "later"]
    monkeypatch.setattr(suite_files, "MOST", len(records[1].to_json()) + 10)
    assert [one.cell for one in suite_files._small(records)] == ["first"]


def test_several_stores_are_published_together(store: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "o.db", [{"suite": "own", "solver": "beam", "cell": "other"}])
    (told,) = [one for one in add([store, other], tmp_path / "data") if one.suite == "own"]
    assert told.cells == 2
    with pytest.raises(InputError, match="publishing takes a store at least"):
        add([], tmp_path)


def test_a_suite_with_a_parameter_has_its_table_too(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    with Store(store, write=True) as kept:
        kept.add_instance(make_info(parameters={"keep": 0.5}))
        kept.add(make_record(suite="pruning"))
    add([store], tmp_path)
    table = pd.read_csv(tmp_path / "pruning/by-keep.csv")
    assert table[["keep", "solver", "loss"]].to_numpy().tolist() == [[0.5, "sa", 2.0]]


def test_the_command_publishes_a_store_and_writes_the_page(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in {name for block in doc_tables.BLOCKS for name in (block.page, block.source)}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert cli.call(["publish", "--root", str(tmp_path), "--add", str(store)]) == 0
    said = capsys.readouterr().out
    assert "smoke: 3 cells, 2 with their bits" in said
    assert "own: 1 cells are of a checkout with changes of its own" in said
    text = (tmp_path / "results/data" / PAGE).read_text(encoding="utf-8")
    assert text.index('data-family="own"><h2>') < text.index('data-family="smoke"><h2>')
    assert cli.call(["publish", "--root", str(tmp_path)]) == 0
    assert f"{PAGE}: unchanged" in capsys.readouterr().out


def without_plotly(page: str) -> str:
    """A page but for the library, which is another one in another version."""
    head, begin, rest = page.partition('<script id="plotly">')
    return head + begin + rest.partition("</script>")[2]


def test_the_page_has_what_a_report_has_but_the_course_of_runs(tmp_path: Path) -> None:
    add([make_benchmark(tmp_path / "s.db", seeds=2)], tmp_path / "data")
    text = without_plotly(page(tmp_path / "data"))
    for part in (
        *('data-filter="family"', 'data-filter="solver"', 'data-filter="instance"', 'download="cells.csv'),
        *(
            "paper-1-rounding",
            "paper-1-analog",
            "Average ranks",
            "bytes as stored",
            "Median normalised excess",
        ),
    ):
        assert part in text
    for part in ("Excess over time", ">PAR10</button>", ">to 10 %</button>"):
        assert part not in text
    assert "cells.parquet" not in text


def test_the_page_escapes_names_and_loads_nothing(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    add([make_store(tmp_path / "r.db", [{"suite": "own", "solver": hostile}])], tmp_path)
    text = published_page(dict(cells_of(tmp_path)), references=NONE)
    assert hostile not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not [word for word in ("http:", "https:", "src=", "url(") if word in without_plotly(text)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a CSV file of published cells"),
        ("suite,seed\na,b\n", "must be a CSV file of published cells"),
        ("suite,seed\na,1\n", "must have the column instance_key, got none; publish its store again"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / CELLS).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=message) as caught:
        page(tmp_path)
    assert "\n" not in str(caught.value)


# ---- what this repository publishes


def published_folders() -> list[Any]:
    return [pytest.param(path.parent, id=path.parent.name) for path in sorted(DATA.glob(f"*/{CELLS}"))]


def test_the_page_of_the_repository_is_that_of_its_cells() -> None:
    kept, made = (DATA / PAGE).read_text(encoding="utf-8"), page(DATA)
    assert without_plotly(kept) == without_plotly(made), "run `make publish` and commit the page"


@pytest.mark.parametrize("folder", published_folders())
def test_published_tables_and_rows_are_those_of_the_published_cells(folder: Path) -> None:
    cells = read_cells(folder / CELLS)
    assert set(cells["suite"]) == {folder.name}
    with as_store(folder / ROWS) as store, Store(store) as kept:
        rows = {one.cell: one.loss for one in kept.records()}
    marked = cells[cells["rejudgeable"]].set_index("cell")["loss"]
    assert rows == marked.to_dict()
    by = load(folder.name).by if folder.name in suite_names() else ""
    if by:
        stored = pd.read_csv(folder / f"by-{by}.csv", keep_default_na=False, na_values=[""])
        made = results.by_parameter(cells, by)
        shared = ["problem", "network", by, "solver", "loss", "metric", "cells", "imputed"]
        pd.testing.assert_frame_equal(stored[shared], made[shared], check_dtype=False)


QUICK = ("", "digits-mlp", "digits-cnn")
"""Networks whose instances are built in a moment anywhere."""


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.parent.name) for path in sorted(DATA.rglob(f"*{rows.ROWS}"))]
)
def test_a_sample_of_the_published_rows_holds(path: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    infos = [line for line in lines if "instance" in line]
    quick = [line for line in lines if "record" in line and line["record"]["network"] in QUICK]
    sample = quick[:: max(1, len(quick) // 5)]
    (tmp_path / ROWS).write_text("".join(f"{json.dumps(line)}\n" for line in (*infos, *sample)))
    checked = list(rejudging.rejudge(tmp_path))
    assert len(checked) == len(sample)
    assert [one for one in checked if one.fault] == []


def test_a_frame_keeps_all_digits(tmp_path: Path, store: Path) -> None:
    frame = results.load(store).assign(loss=0.1 + 0.2, rejudgeable=False)
    assert (read_cells(write_cells(frame, tmp_path / CELLS))["loss"] == 0.1 + 0.2).all()


def test_published_correlations_are_those_of_the_published_cells() -> None:
    told = sorted(path.parent.name for path in DATA.glob(f"*/{CORRELATIONS}"))
    assert {"pruning", "pruning-formulations"} <= set(told)
    for name in told:
        found = results.correlations(read_cells(DATA / name / CELLS)).replace({"problem": {"": "all"}})
        pd.testing.assert_frame_equal(pd.read_csv(DATA / name / CORRELATIONS), found)
