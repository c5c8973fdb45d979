"""The commands on stored cells: ranking at a time, correlating, comparing, references, merging, exporting."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from records import make_benchmark, make_record, make_store
from warm import clean_registries, records, share_server, write_suite

from qubopress import results, suites
from qubopress.results import Store
from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]

EMPTY = '{"version": 0, "date": "2026-01-01", "instances": []}'


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.json").write_text(EMPTY, encoding="utf-8")
    with clean_registries():
        yield


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("benchmark") / "paper.db", seeds=2)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose bits can be judged again."""
    folder = tmp_path_factory.mktemp("real")
    text = (
        "seconds = 5\nrestarts = 1\n[[problem]]\nname = 'taylor'\nnetwork = 'digits-cnn'\n"
        "[[solver]]\nname = ['swap', 'random']\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        share_server(patch)
        suites.run(write_suite(folder, text), store=folder / "r.db")
    return folder / "r.db"


def call(*arguments: object) -> int:
    return cli.call([str(one) for one in arguments])


def refused(capsys: Captured, *arguments: object) -> str:
    """The one line with which a call ends that is wrong."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"qubopress: [^\n]+\n", err), err
    return err


def table_of(out: str, form: str) -> pd.DataFrame:
    if form == "csv":
        return pd.read_csv(io.StringIO(out))
    if form == "json":
        return pd.DataFrame(json.loads(out))
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    return pd.DataFrame(rows, columns=head)


PROGRAMS = pytest.mark.parametrize("form", ["csv", "json", "markdown"])


# ---- calls that are wrong


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("leaderboard --store a.db --at-seconds 0", "at_seconds must be positive, got 0"),
        ("leaderboard --store a.db --at-seconds nan", "at_seconds must be positive, got nan"),
        ("leaderboard --store a.db --at-seconds inf", "at_seconds must be positive, got inf"),
        ("leaderboard --store a.db --at-seconds soon", "Invalid value for '--at-seconds'"),
        ("leaderboard --store a.db --by bits --correlation", "--by and --correlation exclude each other"),
        (
            "leaderboard --store a.db --at-seconds 1 --correlation",
            "--at-seconds and --correlation exclude each other, got both; leave one out",
        ),
        ("compare a.db", "Missing argument 'HEAD'"),
        ("compare a.db none.db", "none.db must be an existing store"),
        ("compare none.db a.db", "none.db must be an existing store"),
        ("compare a.db text.db", "text.db must be a sound, accessible store"),
        ("compare a.db a.db --format xml", "--format must be one of"),
        (
            "compare 0123 ffff --store a.db",
            "a.db must hold exactly one commit 'ffff', got 0; it holds 0123abc",
        ),
        ("references --format xml", "--format must be one of"),
        ("references --registry none.json", "none.json must be a registry that can be read"),
        ("references --registry text.db", "text.db must be a sound registry; restore it"),
        ("references update --store none.db", "none.db must be an existing store"),
        ("references update --store a.db --registry none.json", "none.json must be a registry that can be"),
        ("references update --store a.db --plugins none", "no plug-in folder at"),
        ("references upgrade", "No such command 'upgrade'"),
        ("merge new.db", "Missing argument 'IN...'"),
        ("merge a.db b.db", "a.db must not exist yet, a merge overwrites nothing; name another file"),
        ("merge new.db none.db", "none.db must be an existing store"),
        ("merge new.db text.db", "text.db must be a sound, accessible store"),
        ("merge none/new.db a.db", "none/new.db must lie in a folder that exists; create none first"),
        ("export --store a.db", "Missing option '--out'"),
        ("export --store a.db --out cells.xls", "cells.xls must end in .csv, .parquet, .json"),
        ("export --store none.db --out cells.csv", "none.db must be an existing store"),
        ("export --store a.db --out none/cells.csv", "none/cells.csv must be a file in a folder that exists"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line_and_writes_nothing(
    tmp_path: Path, capsys: Captured, line: str, message: str
) -> None:
    for name in ("a.db", "b.db"):
        make_store(tmp_path / name, [{}])
    (tmp_path / "text.db").write_text("no database " * 100, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    assert message in refused(capsys, *line.split())
    assert sorted(tmp_path.iterdir()) == before


def test_the_commands_are_where_they_are_looked_for(capsys: Captured) -> None:
    for name in ("leaderboard", "compare", "merge", "export", "references"):
        assert call(name, "--help") == 0
        assert re.match(rf"\s*Usage: .* {name} ", capsys.readouterr().out)


# ---- leaderboard


@PROGRAMS
def test_a_board_at_a_shorter_budget_marks_those_whose_schedule_depends_on_it(
    tmp_path: Path, capsys: Captured, form: str
) -> None:
    cells = [{"solver": "tabu"}, {"solver": "neal", "anytime": False, "loss": 1.0}]
    store = make_store(tmp_path / "s.db", cells)
    assert call("leaderboard", "--store", store, "--at-seconds", "0.1", "--format", form) == 0
    board = table_of(capsys.readouterr().out, form)
    assert list(board["solver"]) == ["tabu", "neal"]
    assert board["cut"][1] == "marked: schedule depends on the budget"
    # The incumbent of 0.01 s has loss 5; the reference is 1, the baseline 10.
    assert float(board["excess"][0]) == pytest.approx(4 / 9, rel=1e-3)


def test_a_person_reads_the_mark_too(tmp_path: Path, capsys: Captured) -> None:
    cells = [{"solver": "tabu"}, {"solver": "neal", "anytime": False}]
    store = make_store(tmp_path / "s.db", cells)
    assert call("leaderboard", "--store", store, "--at-seconds", "0.1") == 0
    out = capsys.readouterr().out
    assert re.search(r"^ +1 +tabu ", out, flags=re.MULTILINE)
    assert re.search(r"^ +– +neal .*marked: schedule depends on the budget$", out, flags=re.MULTILINE)


def test_a_board_on_which_all_are_marked_is_still_a_board(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(tmp_path / "s.db", [{"solver": "neal", "anytime": False}, {"solver": "beam"}])
    assert call("leaderboard", "--store", store, "--at-seconds", "5") == 0
    out = capsys.readouterr().out
    assert "marked: schedule depends on the budget" in out
    assert "marked: ran for less" in out


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_correlations_come_in_every_format(benchmark: Path, capsys: Captured, form: str) -> None:
    assert call("leaderboard", "--store", benchmark, "--correlation", "--format", form) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if form == "table":
        assert "Spearman's ρ of loss and harm to the metric" in out
        assert all(family in out for family in ("analog", "pruning", "rounding"))
    else:
        found = table_of(out, form)
        assert {"analog", "pruning", "rounding"} == set(found["family"])
        assert (found["rho"].astype(float) > 0.5).all()


def test_too_little_to_correlate_exits_3(tmp_path: Path, capsys: Captured) -> None:
    store = make_store(tmp_path / "s.db", [{}])
    assert call("leaderboard", "--store", store, "--correlation") == 3
    assert "an instance with a metric and 3 different solutions" in capsys.readouterr().err


# ---- compare


def two_sides(folder: Path, worse: float) -> tuple[Path, Path]:
    """Two stores of eight seeds, the second's losses higher by `worse`."""
    cells = [{"seed": seed, "loss": 2.0 + seed / 10, "trace": ()} for seed in range(8)]
    base = make_store(folder / "base.db", cells)
    later = [{**cell, "loss": cell["loss"] + worse, "commit": "fedc987"} for cell in cells]
    return base, make_store(folder / "head.db", later)


def test_a_store_compared_with_itself_exits_0(benchmark: Path, capsys: Captured) -> None:
    assert call("compare", benchmark, benchmark) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "pairs of cells" in out


def test_a_regression_exits_1_and_names_solver_family_and_instance(tmp_path: Path, capsys: Captured) -> None:
    assert call("compare", *two_sides(tmp_path, 4.0), "--format", "csv") == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("qubopress: regression of sa in rounding: quality +0.5")
    assert line.endswith("of excess, most on mlp int4")
    rows = table_of(out, "csv").set_index("measure")
    assert rows.loc["quality", "verdict"] == "worse"
    assert rows.loc["time", "verdict"] == "same"


def test_an_improvement_exits_0(tmp_path: Path, capsys: Captured) -> None:
    base, head = two_sides(tmp_path, 4.0)
    assert call("compare", head, base) == 0
    assert capsys.readouterr().err == ""


def test_slower_cells_are_told_as_a_factor(tmp_path: Path, capsys: Captured) -> None:
    cells: list[dict[str, Any]] = [{"seed": seed, "seconds": 1.0} for seed in range(8)]
    base = make_store(tmp_path / "base.db", cells)
    head = make_store(tmp_path / "head.db", [{**cell, "seconds": 3.0} for cell in cells])
    assert call("compare", base, head) == 1
    assert "qubopress: regression of sa in rounding: time ×3" in capsys.readouterr().err


def test_nothing_in_common_exits_3(tmp_path: Path, capsys: Captured) -> None:
    base = make_store(tmp_path / "base.db", [{}])
    head = make_store(tmp_path / "head.db", [{"seed": 1}])
    assert call("compare", base, head) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"no cell of \S+base\.db has its like in \S+head\.db: instance, solver", line)
    assert call("compare", base, base, "--family", "pruning") == 3


def test_two_commits_of_one_store_are_compared_by_their_beginnings(tmp_path: Path, capsys: Captured) -> None:
    assert call("merge", "both.db", *two_sides(tmp_path, 4.0)) == 0
    assert call("compare", "0123", "fedc", "--store", "both.db") == 1
    assert "regression of sa" in capsys.readouterr().err
    assert call("compare", "fedc", "0123", "--store", "both.db") == 0


def test_markdown_is_a_comment_for_a_pull_request(tmp_path: Path, capsys: Captured) -> None:
    assert call("compare", *two_sides(tmp_path, 4.0), "--format", "markdown") == 1
    out = capsys.readouterr().out
    assert out.startswith("### `")
    assert "| **worse** | `sa` | `rounding` |" in out
    assert out.endswith("Lower is better.\n")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_comparison_can_be_read_by_programs(benchmark: Path, capsys: Captured, form: str) -> None:
    assert call("compare", benchmark, benchmark, "--format", form) == 0
    rows = table_of(capsys.readouterr().out, form)
    assert set(rows["verdict"]) <= {"same", "unclear", "unpaired"}
    assert {"solver", "family", "measure", "effect", "low", "high", "p", "pairs"} <= set(rows)


# ---- references


def test_references_show_the_registry_and_name_its_version(real: Path, capsys: Captured) -> None:
    assert call("references") == 0
    assert re.search(r"this package: registry version \d+ of \d{4}-", capsys.readouterr().err)
    assert call("references", "update", "--store", real, "--registry", "registry.json", "--apply") == 0
    capsys.readouterr()
    assert call("references", "--registry", "registry.json", "--format", "json") == 0
    out, err = capsys.readouterr()
    assert "registry.json: registry version 1 of " in err
    (entry,) = json.loads(out)
    assert entry["solver"] == "swap"
    assert entry["value"] == results.load(real)["loss"].min()


def test_an_update_lists_and_writes_nothing_unless_asked(
    real: Path, tmp_path: Path, capsys: Captured
) -> None:
    update = ("references", "update", "--store", real, "--registry", "registry.json", "--format", "csv")
    assert call(*update) == 0
    out, err = capsys.readouterr()
    assert list(table_of(out, "csv")["change"]) == ["new instance"]
    assert err == "nothing was written; --apply makes it version 1 of registry.json\n"
    assert (tmp_path / "registry.json").read_text(encoding="utf-8") == EMPTY
    assert call(*update, "--apply") == 0
    assert "wrote registry.json: registry version 1 of " in capsys.readouterr().err
    assert results.load_references(tmp_path / "registry.json").version == 1
    assert call(*update, "--apply") == 0
    assert "nothing to write to registry.json: registry version 1" in capsys.readouterr().err
    assert call(*update) == 0
    assert "nothing better than registry.json holds" in capsys.readouterr().err


def test_a_loss_that_its_bits_do_not_have_is_not_believed(
    real: Path, tmp_path: Path, capsys: Captured
) -> None:
    store = tmp_path / "edited.db"
    store.write_bytes(real.read_bytes())
    with sqlite3.connect(store) as db:
        db.execute("UPDATE cell SET loss = loss - 1000, status = 'FINISHED' WHERE solver = 'random'")
        db.execute("DELETE FROM trace")  # it would give the lie away before the bits do
    db.close()
    update = ("references", "update", "--store", store, "--registry", "registry.json", "--apply")
    assert call(*update, "--format", "json") == 1
    out, err = capsys.readouterr()
    assert "qubopress: not believed: " in err
    assert "(random on taylor/digits-cnn, seed 0): stored loss is" in err
    (offer,) = json.loads(out)
    assert offer["name"] == "taylor/digits-cnn"
    (known,) = results.load_references(tmp_path / "registry.json").instances.values()
    assert known.solver == "swap"


def test_what_cannot_be_checked_here_is_not_proposed(tmp_path: Path, capsys: Captured) -> None:
    """The synthetic records name a network that there is not."""
    store = make_store(tmp_path / "s.db", [{}])
    assert call("references", "update", "--store", store, "--registry", "registry.json", "--apply") == 0
    assert "qubopress: cannot check: cell-0 (sa on mlp int4, seed 0): " in capsys.readouterr().err
    assert (tmp_path / "registry.json").read_text(encoding="utf-8") == EMPTY


def test_an_empty_store_offers_nothing_and_exits_3(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.db", [])
    assert call("references", "update", "--store", store, "--registry", "registry.json") == 3


# ---- merge


def merged(*stores: Path, out: str = "new.db") -> list[results.Record]:
    assert call("merge", out, *stores) == 0
    return records(Path(out))


def test_merging_keeps_every_cell_with_bits_traces_and_instances(benchmark: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other.db", [{"cell": "other"}])
    kept = merged(benchmark, other)
    assert [one.to_json() for one in kept] == [one.to_json() for one in records(benchmark) + records(other)]
    with Store(tmp_path / "new.db") as new, Store(benchmark) as old:
        assert len(new.traces()) == len(old.traces()) + 1
        assert len(new.instances()) == len(old.instances()) + 1


def test_a_cell_that_two_stores_share_is_one(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}, {}])
    b = make_store(tmp_path / "b.db", [{}, {}, {}])
    assert len(merged(a, b)) == 3
    assert capsys.readouterr().out == "3 cells of 2 stores in new.db, 2 were the same\n"


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "lab-2"},
        {"commit": "fedc987"},
        {"versions": {"numpy": "2.5"}},
        {"finished_at": "2026-11-03T10:00:00+00:00"},
    ],
)
def test_two_measurements_of_one_cell_are_both_kept(tmp_path: Path, change: dict[str, Any]) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{**change, "loss": 3.0, "trace": ((0.5, 3.0),)}])
    first, second = merged(a, b)
    assert first == records(a)[0]
    assert dataclasses.replace(second, cell="cell-0") == records(b)[0]
    assert re.fullmatch(r"cell-0@[0-9a-f]{12}", second.cell)
    assert len(results.leaderboard("new.db")) == 1


def test_merging_again_adds_nothing_in_whatever_order(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"machine": "lab-2"}])
    c = make_store(tmp_path / "c.db", [{"machine": "lab-3"}])
    whole = merged(a, b, c)
    assert len(whole) == 3
    assert merged(tmp_path / "new.db", c, b, a, out="again.db") == whole
    turned = merged(c, tmp_path / "new.db", b, out="turned.db")
    assert sorted(one.machine for one in turned) == ["lab-1", "lab-2", "lab-3"]


def test_one_cell_with_two_contents_is_refused_and_leaves_nothing(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"loss": 1.0}])
    before = sorted(tmp_path.iterdir())
    assert "b.db must agree with the other stores on cell cell-0" in refused(capsys, "merge", "new.db", a, b)
    assert sorted(tmp_path.iterdir()) == before


def test_one_instance_with_two_baselines_is_refused(tmp_path: Path, capsys: Captured) -> None:
    a = make_store(tmp_path / "a.db", [{}])
    b = make_store(tmp_path / "b.db", [{"seed": 1, "cell": "b"}], [{"baseline_loss": 11.0}])
    message = refused(capsys, "merge", "new.db", a, b)
    assert "b.db must give instance mlp int4 the baseline loss 10 of the other stores, got 11" in message
    c = make_store(tmp_path / "c.db", [{"seed": 1, "cell": "c"}], [{"baseline_loss": 10.0 + 1e-8}])
    assert len(merged(a, c)) == 2


def test_a_store_that_exists_is_never_overwritten(tmp_path: Path, capsys: Captured) -> None:
    a, b = (make_store(tmp_path / name, [{}]) for name in ("a.db", "b.db"))
    before = b.read_bytes()
    assert "must not exist yet" in refused(capsys, "merge", b, a)
    assert b.read_bytes() == before


def test_a_thousand_cells_are_merged_and_exported(tmp_path: Path) -> None:
    with Store(tmp_path / "big.db", write=True) as store:
        store.add_all(make_record(cell=f"c{number}", seed=number) for number in range(1_000))
    assert len(merged(tmp_path / "big.db")) == 1_000
    assert call("export", "--store", "new.db", "--out", "cells.csv") == 0
    with Path("cells.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == 1_001


# ---- export


def test_an_export_to_csv_has_every_column_and_digit(benchmark: Path, capsys: Captured) -> None:
    assert call("export", "--store", benchmark, "--out", "cells.csv") == 0
    cells = results.load(benchmark)
    assert capsys.readouterr().out == f"{len(cells)} cells in cells.csv\n"
    found = pd.read_csv("cells.csv")
    fields = {one.name for one in dataclasses.fields(results.Record)} - {"stages", "trace"}
    assert fields | set(cells) == set(found)
    assert found["loss"].equals(cells["loss"])
    assert json.loads(found["versions"][0])["numpy"] == "2.4.6"


def test_an_export_to_json_is_strict(tmp_path: Path) -> None:
    store = make_store(
        tmp_path / "s.db", [{"bound": float("-inf"), "budget_seconds": None, "loss": 0.1 + 0.2}]
    )
    assert call("export", "--store", store, "--out", "cells.json") == 0
    text = Path("cells.json").read_text(encoding="utf-8")
    (cell,) = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (cell["bound"], cell["budget_seconds"], cell["loss"]) == ("-inf", None, 0.1 + 0.2)
    assert (cell["timing_grade"], cell["seed"]) == (True, 0)


def test_parquet_without_pyarrow_is_refused_with_the_cure(
    benchmark: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "pyarrow" else real_find(name)
    )
    message = refused(capsys, "export", "--store", benchmark, "--out", "cells.parquet")
    assert "takes pyarrow, which is not installed: pip install pyarrow, or name a .csv" in message
    assert not (tmp_path / "cells.parquet").exists()


def test_parquet_holds_the_same_cells(benchmark: Path) -> None:
    pytest.importorskip("pyarrow")
    assert call("export", "--store", benchmark, "--out", "cells.parquet") == 0
    found = pd.read_parquet("cells.parquet")
    assert found["loss"].tolist() == pytest.approx(results.load(benchmark)["loss"].tolist(), nan_ok=True)
