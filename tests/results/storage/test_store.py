"""The store keeps what it was given, commits each cell at once, and refuses foreign files kindly."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_info, make_record, make_store

from qubopress.results import RecordError, Store, StoreError, load, pack
from qubopress.results.storage import store as store_module
from qubopress.results.storage.traces import unpack_trace

COLUMNS = [
    "cell",
    "suite",
    "family",
    "instance",
    "solver",
    "parameters",
    "seed",
    "budget_seconds",
    "status",
    "loss",
    "energy",
    "violation",
    "bound",
    "metric",
    "seconds",
    "finished_at",
    "commit",
    "machine",
    "problem",
    "network",
    "instance_key",
    "metric_name",
    "adapter",
    "message",
    "restarts",
    "evaluations",
    "threads",
    "wall_seconds",
    "peak_bytes",
    "baseline_loss",
    "baseline_metric",
    "float_metric",
    "higher_is_better",
    "problem_parameters",
    "timing_grade",
    "anytime",
    "counts",
    "limits",
    "measures",
]


def refused(path: Path, *, write: bool = False) -> str:
    """The one line in which opening this path is refused; it must name the path."""
    with pytest.raises(StoreError, match=path.name) as error:
        Store(path, write=write).close()
    assert "\n" not in str(error.value)
    return str(error.value)


@contextmanager
def as_a_guest(folder: Path) -> Iterator[None]:
    """Read-only folder and file, for a user who may not change that."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# ---- what goes in comes out


def test_records_and_instances_come_back_as_they_were(tmp_path: Path) -> None:
    record = make_record(parameters={"b": 2, "a": [1.5, None]}, bound=-3.5, adapter="rows", restarts=2)
    failed = make_record(
        cell="cell-2", status="FAILED", loss=None, stages=(), trace=(), message="a\nb \N{SNOWMAN}"
    )
    with Store(tmp_path / "s.db", write=True) as store:
        store.add_instance(make_info())
        store.add(record)
        store.add(failed)
    with Store(tmp_path / "s.db") as store:
        assert list(store.records()) == [record, failed]
        assert store.instances() == [make_info()]
        assert store.environments() == [("0123abc", "lab-1", record.versions)]


def test_traces_come_back_as_arrays(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}, {"trace": ()}])
    with Store(path) as store:
        traces = store.traces()
    assert list(traces) == ["cell-0"]
    np.testing.assert_array_equal(traces["cell-0"], [[0.01, 5.0], [0.4, 2.0]])


def test_solutions_can_be_judged_again(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with Store(path) as store:
        (record,) = store.records()
    assert record.stages[0].bits == pack([[1, 0, 1], [0, 0, 1]])
    assert record.stages[0].shape == (2, 3)


def test_an_unknown_baseline_stays_unknown(tmp_path: Path) -> None:
    info = {"baseline_loss": float("nan"), "stage_losses": (float("inf"),)}
    with Store(make_store(tmp_path / "s.db", [], [info])) as store:
        (back,) = store.instances()
    assert np.isnan(back.baseline_loss)
    assert back.stage_losses == (float("inf"),)


def test_a_cell_is_there_for_others_as_soon_as_it_is_added(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path, write=True) as store:
        store.add(make_record())
        with Store(path) as reader:
            assert reader.statuses() == {"cell-1": "BUDGET"}


def test_two_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path, write=True) as one, Store(path, write=True) as other:
        one.add(make_record(cell="a"))
        other.add(make_record(cell="b"))
        one.add(make_record(cell="c"))
        with pytest.raises(StoreError, match="'a' must be new"):
            other.add(make_record(cell="a"))
    assert list(load(path)["cell"]) == ["a", "b", "c"]


def test_a_store_is_resumed(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{"cell": "a"}, {"cell": "b", "status": "TIMEOUT"}])
    with Store(path, write=True) as store:
        assert store.finished(["a", "b", "c"]) == {"a", "b"}
        assert store.statuses() == {"a": "BUDGET", "b": "TIMEOUT"}
        store.add(make_record(cell="c"))
        assert store.finished(["a", "c"]) == {"a", "c"}


def test_the_same_cell_twice_is_an_error_unless_it_replaces(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", write=True) as store:
        store.add(make_record())
        with pytest.raises(StoreError, match=r"'cell-1' must be new .*replace=True"):
            store.add(make_record(loss=1.0))
        store.add(make_record(loss=1.0, stages=(), trace=()), replace=True)
        (record,) = store.records()
    assert record.loss == 1.0
    assert record.stages == ()
    assert record.trace == ()


def test_work_is_kept_beside_the_trace_and_a_store_without_any_stays_as_it_was(tmp_path: Path) -> None:
    old, new = make_record(), make_record(cell="cell-2", trace_work=(3, 9), work_unit="flips")
    with Store(tmp_path / "s.db", write=True) as store:
        store.add(old)
        assert store.work() == {}
        with closing(sqlite3.connect(tmp_path / "s.db")) as db:
            assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'work'").fetchall()
        store.add(new)
        assert list(store.records()) == [old, new]
        assert {cell: (unit, counts.tolist()) for cell, (unit, counts) in store.work().items()} == {
            "cell-2": ("flips", [3, 9])
        }
        store.add(replace(new, trace_work=(), work_unit=""), replace=True)
        assert store.work() == {}
    with Store(tmp_path / "s.db") as store:
        assert store.records()


def test_work_that_a_store_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{"trace_work": (3, 9), "work_unit": "flips"}])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE work SET counts = x'00'")
    with Store(path) as store, pytest.raises(StoreError, match="the store was damaged or altered"):
        store.work()


def test_the_latest_description_of_an_instance_stands(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", write=True) as store:
        store.add_instance(make_info())
        store.add_instance(make_info(float_metric=0.9))
        assert store.instances() == [make_info(float_metric=0.9)]


def test_a_store_open_for_reading_takes_nothing(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [])
    with Store(path) as store, pytest.raises(StoreError, match="write=True"):
        store.add(make_record())


# ---- load


def test_a_loaded_store_has_one_row_a_cell_and_the_promised_columns(tmp_path: Path) -> None:
    path = make_store(
        tmp_path / "s.db", [{"parameters": {"b": 1, "a": 2}}, {"loss": None, "instance_key": "gone"}]
    )
    frame = load(path)
    assert set(COLUMNS) <= set(frame.columns)
    assert list(frame["cell"]) == ["cell-0", "cell-1"]
    assert frame["parameters"][0] == '{"a":2,"b":1}'
    assert frame["baseline_loss"][0] == 10.0
    assert np.isnan(frame["baseline_loss"][1])
    assert np.isnan(frame["loss"][1])
    assert frame["loss"].dtype == frame["bound"].dtype == np.float64


def test_what_a_cell_says_of_its_work_is_loaded(tmp_path: Path) -> None:
    cells = [
        {},
        {
            "timing_grade": False,
            "anytime": False,
            "counts": {"flips": 7},
            "limits": {"memory": "cgroup 4 GiB"},
            "measures": {"SSIM": 0.5, "products": math.inf},
        },
    ]
    path = make_store(tmp_path / "s.db", cells)
    frame = load(path)
    assert frame["timing_grade"].tolist() == frame["anytime"].tolist() == [True, False]
    assert frame["counts"].tolist() == ["{}", '{"flips":7}']
    assert frame["limits"].tolist() == ["{}", '{"memory":"cgroup 4 GiB"}']
    with Store(path) as store:
        record = store.record("cell-1")
    assert (record.timing_grade, record.anytime, record.counts) == (False, False, {"flips": 7})
    assert record.measures == {"SSIM": 0.5, "products": math.inf}


def test_a_record_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Store(make_store(tmp_path / "s.db", [{}])) as store:
        assert store.record("cell-0") == make_record(cell="cell-0")
        with pytest.raises(StoreError, match=r"s\.db must hold the cell 'cell-9'"):
            store.record("cell-9")


def test_an_empty_store_loads_as_an_empty_table(tmp_path: Path) -> None:
    frame = load(make_store(tmp_path / "s.db", []))
    assert frame.empty
    assert set(COLUMNS) <= set(frame.columns)


def test_ten_thousand_cells_load_a_row_each(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(cell)") if row[1] not in ("id", "cell")]
        columns = ", ".join(f'"{name}"' for name in names)
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999)"
        db.execute(
            f"INSERT INTO cell (cell, {columns}) {numbers} SELECT 'more-' || i, {columns} FROM n, cell"
        )
    frame = load(path)
    assert len(frame) == 10_000
    assert frame["cell"].is_unique


# ---- files that are no store, and places that cannot be written


def test_a_missing_store_is_refused_and_not_made(tmp_path: Path) -> None:
    assert "must be an existing store; run a suite" in refused(tmp_path / "none.db")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)
    assert "is a folder" in refused(tmp_path, write=True)


@pytest.mark.parametrize("write", [False, True])
def test_a_file_that_is_not_sqlite_is_refused_and_left_alone(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    assert "file is not a database" in refused(path, write=write)
    assert path.read_text() == "not a database, " * 100


@pytest.mark.parametrize("write", [False, True])
def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE cell (x)")
    before = path.read_bytes()
    assert "another SQLite file" in refused(path, write=write)
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store_when_written_but_is_none_to_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    assert "must be a store of qubopress" in refused(path)
    Store(path, write=True).close()
    assert load(path).empty


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")
    assert "must have schema 4, got 99" in refused(path)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("schema", [1, 2])
def test_a_store_of_an_earlier_schema_is_refused_with_the_cure(
    tmp_path: Path, schema: int, write: bool
) -> None:
    path = make_store(tmp_path / "s.db", [])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA user_version = {schema}")
    assert "run its suites again into a new file" in refused(path, write=write)


def test_a_damaged_store_is_refused_in_one_line(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{"cell": f"c{i}"} for i in range(30)])
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"s\.db"):
        load(path)


@pytest.mark.parametrize("before", [b"CREATE TABLE ", b"TEXT NO"])
def test_what_sqlite_says_on_several_lines_or_in_no_text_is_told_on_one(
    tmp_path: Path, before: bytes
) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    content = path.read_bytes()
    at = content.index(before, content.index(b"CREATE TABLE cell")) + len(before)
    path.write_bytes(content[:at] + b"\xe6" + content[at + 1 :])
    with pytest.raises(StoreError, match="must be a sound, accessible store") as raised, Store(path) as store:
        store.frame()
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 700


def test_altered_rows_are_refused_in_one_line(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE cell SET status = 'PERFECT'")
    with Store(path) as store, pytest.raises(StoreError, match="damaged or altered"):
        list(store.records())


@pytest.mark.parametrize("points", [None, "text", 1.5, b"", b"x"])
def test_a_trace_of_another_type_is_refused(points: Any) -> None:
    with pytest.raises(StoreError, match="a trace must be pairs of numbers"):
        unpack_trace(points)


def test_what_is_no_json_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    read = {
        "cell SET parameters": lambda store: list(store.records()),
        "cell SET versions": Store.environments,
        "stage SET shape": lambda store: list(store.records()),
        "instance SET parameters": Store.instances,
    }
    for number, (where, reading) in enumerate(read.items()):
        path = make_store(tmp_path / f"{number}.db", [{}])
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(f"UPDATE {where} = '{{x'")
        with Store(path) as store, pytest.raises(StoreError, match="damaged or altered"):
            reading(store)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW cell2 AS SELECT * FROM cell",
        "CREATE TRIGGER t AFTER INSERT ON cell BEGIN DELETE FROM stage; END",
        "CREATE TABLE other (a)",
        "CREATE INDEX i ON cell (loss)",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "ALTER TABLE cell ADD COLUMN more INTEGER",
    ],
)
@pytest.mark.parametrize("write", [False, True])
def test_a_store_with_anything_beside_its_tables_is_refused(
    tmp_path: Path, statement: str, write: bool
) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
    with pytest.raises(StoreError, match="must hold a store's own tables and nothing else, got the"):
        Store(path, write=write)


def test_a_view_in_the_place_of_a_table_is_refused_before_any_query(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS cell FROM n"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"DROP TABLE stage; DROP TABLE trace; DROP TABLE cell; CREATE VIEW cell AS {endless}"
        )
    with pytest.raises(StoreError, match="got the view 'cell'"):
        load(path)


def test_a_query_that_takes_more_work_than_the_file_explains_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    monkeypatch.setattr(store_module, "STEP", 1)
    monkeypatch.setattr(store_module, "FEWEST_STEPS", 1)
    monkeypatch.setattr(store_module, "BYTES_A_STEP", 10**9)
    with Store(path) as store, pytest.raises(StoreError, match="more work than its size explains"):
        store.frame()


@pytest.mark.parametrize("column", ["parameters", "counts", "limits", "measures"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, '"x"', "{"])
def test_json_that_is_too_deep_or_none_is_refused_by_every_reader(
    tmp_path: Path, column: str, text: str
) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE cell SET {column} = ?", [text])
    with pytest.raises(StoreError, match=f"must hold {column} as JSON|must hold sound records"):
        load(path)
    with Store(path) as store, pytest.raises(StoreError, match="must hold sound records"):
        list(store.records())


@pytest.mark.parametrize("column", ["budget_seconds", "seconds", "wall_seconds"])
@pytest.mark.parametrize("value", ["9e999", "-9e999", "-3"])
def test_a_time_that_is_none_is_refused_and_its_cell_named(tmp_path: Path, column: str, value: str) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE cell SET {column} = {value}")
    with pytest.raises(StoreError, match=rf"must hold {column} from 0 to 1e\+09, got .* in cell 'cell-0'"):
        load(path)


@pytest.mark.parametrize("point", [(math.nan, 2.0), (-500.0, 2.0), (0.1, math.inf)])
def test_a_trace_of_impossible_times_is_refused(tmp_path: Path, point: tuple[float, float]) -> None:
    path = make_store(tmp_path / "s.db", [{"trace": (point,)}])
    with (
        Store(path) as store,
        pytest.raises(StoreError, match="finite traces from 0 on, got another in cell"),
    ):
        store.traces()


def test_a_trace_that_is_none_is_refused(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trace SET points = x'00'")
    with Store(path) as store, pytest.raises(StoreError, match="pairs of numbers"):
        store.traces()


def test_a_store_cannot_lie_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "create" in refused(tmp_path / "no" / "s.db", write=True)


def test_a_place_that_cannot_be_written_is_told_at_once(open_folder: Path) -> None:
    path = make_store(open_folder / "s.db", [{}])
    with as_a_guest(open_folder):
        assert "make the file writable" in refused(path, write=True)
        assert "check the permissions" in refused(open_folder / "new.db", write=True)


def test_a_store_in_a_read_only_folder_can_be_read(open_folder: Path) -> None:
    path = make_store(open_folder / "s.db", [{}])
    with as_a_guest(open_folder):
        assert len(load(path)) == 1
    assert [file.name for file in open_folder.iterdir()] == ["s.db"]


def test_reading_leaves_no_file_behind_and_changes_nothing(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{}])
    before = path.read_bytes()
    load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["s.db"]
    assert path.read_bytes() == before


def test_what_a_run_resumed_is_kept_by_commit_and_goes_with_its_cell(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.db", [{"commit": "one"}, {"commit": "one"}])
    with Store(path, write=True) as store:
        assert store.resumed() == {}
        store.resume(["cell-0", "cell-1", "cell-none"], "two")
        store.resume(["cell-0"], "two")
        store.resume(["cell-0"], "one")
        assert store.resumed() == {"two": ["cell-0", "cell-1"]}
        store.add(make_record(cell="cell-0", commit="three"), replace=True)
    with Store(path) as store:
        assert store.resumed() == {"two": ["cell-1"]}


def test_an_odd_name_is_a_name(tmp_path: Path) -> None:
    assert len(load(make_store(tmp_path / "a b?mode=memory#%20é.db", [{}]))) == 1


def test_a_failed_commit_leaves_nothing_behind(tmp_path: Path) -> None:
    record = make_record()
    object.__setattr__(record, "trace", (("not", "numbers"),))
    with Store(tmp_path / "s.db", write=True) as store:
        with pytest.raises(ValueError, match="could not convert"):
            store.add(record)
        assert store.statuses() == {}
        store.add(make_record())
        assert store.statuses() == {"cell-1": "BUDGET"}


def test_store_errors_and_record_errors_are_value_errors() -> None:
    assert issubclass(StoreError, ValueError)
    assert issubclass(RecordError, ValueError)
