"""Solutions that come as files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from warm import write_suite

from qubopress import problems, results, solvers, suites
from qubopress.problems import InputError
from qubopress.problems.formats.bits import write_bits
from qubopress.results import Store
from qubopress.suites.exchange.judging import Judged, judge_solutions
from qubopress.suites.exchange.known import improve
from qubopress.suites.exchange.writing import write_instances
from qubopress.suites.verification.stored_numbers import verify

SUITE = """
seconds = 1
[[problem]]
name = "random-qubo"
n = [12, 14]
[[problem]]
name = "taylor"
network = "digits-cnn"
keep = 0.5
[[solver]]
name = "tabu"
"""

SMALL, LARGE, PRUNING = "random-qubo-n-12", "random-qubo-n-14", "taylor-digits-cnn-keep-0.5"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    write_instances(suites.load(write_suite(folder, SUITE)), folder, formats=["qplib", "mqlib"])
    return folder


def judged(folder: Path, place: Path, store: Path) -> dict[tuple[str, str], Judged]:
    return {(one.entrant, one.instance): one for one in judge_solutions(folder, place, store)}


def test_solutions_of_a_program_in_c_rank(descent: Path, place: Path, tmp_path: Path) -> None:
    (tmp_path / "in/descent").mkdir(parents=True)
    (tmp_path / "in/zeros").mkdir()
    for name in (SMALL, LARGE):
        solution = tmp_path / f"in/descent/{name}.txt"
        subprocess.run([descent, place / f"{name}.mqlib", "0.2", "1", solution], check=True)
        n = problems.load_instance(place / f"{name}.mqlib").n
        (tmp_path / f"in/zeros/{name}.txt").write_text("0" * n)
    found = judged(tmp_path / "in", place, tmp_path / "r.db")
    assert {one.fault for one in found.values()} == {""}
    best = solvers.solve(problems.load_instance(place / f"{SMALL}.qplib"), "exhaustive").loss
    assert found["descent", SMALL].loss == pytest.approx(best)
    board = results.leaderboard(tmp_path / "r.db")
    assert list(board["solver"]) == ["descent", "zeros"]
    assert list(board["excess"]) == pytest.approx([0.0, 1.0])


def test_each_kind_of_false_solution_is_named(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / f"{SMALL}.txt").write_text("01")
    (folder / f"{PRUNING}.txt").write_text("1" * 22)
    write_bits(folder / f"{LARGE}.txt", np.ones(14, dtype=np.int8), loss=-1e9)
    (folder / "stranger.txt").write_text("01")
    found = {name: one.fault for (_, name), one in judged(folder, place, tmp_path / "r.db").items()}
    assert found == {
        SMALL: "a solution must have 12 values, got 2",
        PRUNING: "it breaks the constraint by 12",
        LARGE: found[LARGE],
        "stranger": f"no instance 'stranger' in {place}",
    }
    assert found[LARGE].startswith("claimed loss -1000000000.0, but the bits have ")
    with Store(tmp_path / "r.db") as store:
        statuses = {record.instance: record.status for record in store.records()}
    assert sorted(statuses.values()) == ["FAILED", "INFEASIBLE", "LIED"]


def test_judged_cells_stand_beside_cells_that_ran_on_the_same_file(place: Path, tmp_path: Path) -> None:
    (tmp_path / "zeros").mkdir()
    (tmp_path / f"zeros/{SMALL}.txt").write_text("0" * 12)
    own = suites.load("smoke").narrowed(solver="one-flip").on([place / f"{SMALL}.qplib"])
    suites.run(own, store=tmp_path / "r.db")
    judged(tmp_path / "zeros", place, tmp_path / "r.db")
    frame = results.load(tmp_path / "r.db")
    assert frame["instance_key"].nunique() == 1
    assert set(results.leaderboard(tmp_path / "r.db")["solver"]) == {"one-flip", "zeros"}
    false = [falsehood for _, falsehood in verify(tmp_path / "r.db") if falsehood and not falsehood.elsewhere]
    assert false == []


def test_best_known_solutions_are_an_entrant_and_get_better(place: Path, tmp_path: Path) -> None:
    for name, found in improve(
        place, tmp_path / "best", seconds=0.3, names=("one-flip", "exhaustive", "swap")
    ):
        assert found.loss is not None, name
    suite = suites.load(write_suite(tmp_path, SUITE))
    entries = write_instances(suite, tmp_path / "set", formats=["qplib"], known=tmp_path / "best")
    assert {one.name: one.best is not None and one.best.proven for one in entries} == {
        SMALL: True,
        LARGE: True,
        PRUNING: True,
    }
    (tmp_path / "zeros").mkdir()
    (tmp_path / f"zeros/{SMALL}.txt").write_text("0" * 12)
    judged(tmp_path / "zeros", tmp_path / "set", tmp_path / "r.db")
    assert list(results.leaderboard(tmp_path / "r.db")["solver"]) == ["best-known", "zeros"]


def test_no_solutions_and_a_changed_file_are_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold solutions NAME.txt, or folders of them, got none"):
        list(judge_solutions(tmp_path, place, tmp_path / "r.db"))
    with pytest.raises(InputError, match="no folder of solutions at"):
        list(judge_solutions(tmp_path / "none", place, tmp_path / "r.db"))
    suite = suites.load(write_suite(tmp_path, SUITE))
    write_instances(suite, tmp_path / "set", formats=["coo"])
    (tmp_path / "zeros").mkdir()
    (tmp_path / f"zeros/{SMALL}.txt").write_text("0" * 12)
    with (tmp_path / f"set/{SMALL}.coo").open("a") as file:
        file.write("# another\n")
    with pytest.raises(InputError, match=r"must be as manifest.json says, got other bytes"):
        list(judge_solutions(tmp_path / "zeros", tmp_path / "set", tmp_path / "r.db"))
