"""The gate: a slower kernel and a narrower beam are caught by name, unchanged code passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from planted import narrow_beam, slow_down
from records import make_store
from repository import ROOT

from qubopress.results import Store, StoreError
from qubopress.results.storage.rows import as_store, write_rows
from qubopress.suites import cli, load
from qubopress.suites.harness import suite_run
from qubopress.suites.regression import gate, stopwatch
from qubopress.suites.regression.gate import Fall, Judged, judge

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

TELL = suite_run.Progress()


# ---- the verdict, on stores that are made up


def cells(*losses: float, status: str = "FINISHED") -> list[dict[str, object]]:
    """Beam's cells with these losses, a seed each; the baseline's loss is 10."""
    return [
        {"solver": "beam", "seed": seed, "loss": loss, "status": status, "restarts": 1}
        for seed, loss in enumerate(losses)
    ]


class Watch:
    """Stands in for the stopwatch: beam takes `times` the baseline's, round by round."""

    families: ClassVar = {"mlp int4": "rounding"}

    def __init__(self, times: tuple[float, ...]) -> None:
        self.left = list(times)
        self.least = np.inf

    def round(self, names: set[str] | None = None) -> None:
        assert names in (None, {"beam"})
        self.least = min(self.least, self.left.pop(0))

    def times(self) -> stopwatch.Times:
        return {"beam": {"mlp int4": 2.0 * self.least}}


def judged(
    folder: Path,
    patch: Patch,
    base: list[dict[str, object]],
    head: list[dict[str, object]],
    *times: float,
) -> Judged:
    """What the gate says of a run that left `head`, its cells lasting `times` baseline's, round by round."""
    (folder / "base").mkdir()
    write_rows(make_store(folder / "old.db", base), folder / "base" / gate.ROWS)
    (folder / "base" / gate.TIMES).write_text(gate._times_text({"beam": {"mlp int4": 2.0}}))
    watch = Watch(times or (1.0, 1.0))
    patch.setattr(gate, "_measure", lambda _, store, __: make_store(Path(store), head))
    patch.setattr(gate, "Stopwatch", lambda _: watch)
    found = judge(folder / "base", folder / "new.db", solver="beam", progress=TELL)
    assert not watch.left
    return found


def test_the_same_losses_pass(tmp_path: Path, monkeypatch: Patch) -> None:
    same = cells(2.0, 3.0, 2.5)
    assert judged(tmp_path, monkeypatch, same, same) == Judged((), 3, 0)


def test_many_small_losses_of_quality_are_a_fall_and_as_many_each_way_are_none(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    base, worse = [2.0 + seed / 10 for seed in range(8)], [2.02 + seed / 10 for seed in range(8)]
    mixed = [loss + (0.03 if seed % 2 else -0.01) for seed, loss in enumerate(base)]
    for name, losses, count in (("worse", worse, 1), ("mixed", mixed, 0)):
        (tmp_path / name).mkdir()
        found = judged(tmp_path / name, monkeypatch, cells(*base), cells(*losses))
        assert len(found.falls) == count, (name, found)
    (fall,) = judged_again(tmp_path, monkeypatch, base, worse).falls
    assert (fall.solver, fall.family, fall.measure) == ("beam", "rounding", "quality")


def judged_again(folder: Path, patch: Patch, base: list[float], head: list[float]) -> Judged:
    (folder / "again").mkdir()
    return judged(folder / "again", patch, cells(*base), cells(*head))


def test_a_solver_that_fails_has_fallen_to_the_baseline(tmp_path: Path, monkeypatch: Patch) -> None:
    failed = cells(2.0, 2.0, status="CRASHED")
    (fall,) = judged(tmp_path, monkeypatch, cells(2.0, 2.0), failed).falls
    assert str(fall) == "beam in rounding: quality +1 of excess"


def test_a_slowdown_counts_if_no_round_is_without_it(tmp_path: Path, monkeypatch: Patch) -> None:
    slow = (2.0, 1.9, *(gate.MORE_ROUNDS - 1) * (2.2,), 1.8)
    for name, times, ratios in (
        ("slow", slow, [1.8]),
        ("busy once", (2.0, 1.1), []),
        ("busy long", (*slow[:-1], 1.2), []),
        ("a little", (1.3, 1.35), []),
    ):
        (tmp_path / name).mkdir()
        same = cells(2.0)
        found = judged(tmp_path / name, monkeypatch, same, same, *times)
        assert [one.effect for one in found.falls] == pytest.approx(ratios), name
        assert all(one.measure == "time" for one in found.falls)


def test_times_of_another_processor_are_shown_and_not_judged(tmp_path: Path, monkeypatch: Patch) -> None:
    slow, here = (gate.ROUNDS + gate.MORE_ROUNDS) * (2.0,), gate.processor()
    processors = iter(["Other CPU", here])
    monkeypatch.setattr(gate, "processor", lambda: next(processors))
    found = judged(tmp_path, monkeypatch, cells(2.0), cells(9.0), *slow)
    assert [one.measure for one in found.falls] == ["quality"]
    assert (found.shown, found.timed_on) == ((Fall("beam", "rounding", "time", 2.0),), "Other CPU")


def test_instances_whose_times_the_baseline_lacks_are_named(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Watch, "times", lambda self: {"beam": {"mlp int4": 2.0, "new": 9.0}})
    monkeypatch.setattr(Watch, "families", {"mlp int4": "rounding", "new": "rounding"})
    same = cells(2.0)
    assert judged(tmp_path, monkeypatch, same, same) == Judged((), 1, 0, untimed=("new",))


def test_no_instance_of_the_gate_has_a_baseline_that_nobody_beats() -> None:
    with as_store(ROOT / "results" / "data" / "gate-baseline" / gate.ROWS) as store, Store(store) as kept:
        cells = kept.frame()
    assert set(cells["instance"]) == {one.name for one in load("gate").instances}
    best = cells.groupby("instance").agg({"loss": "min", "baseline_loss": "first"})
    assert (best["loss"] < best["baseline_loss"]).all(), best


def test_the_exit_code_tells_a_fall_from_nothing_to_compare_with(
    tmp_path: Path, capsys: Captured, monkeypatch: Patch
) -> None:
    fall = Fall("sa", "rounding", "time", 2.0)
    foreign = Judged((), 3, 0, shown=(fall,), timed_on="Other CPU", untimed=("mlp int4", "new"))
    for found, code in (
        (Judged((), 3, 0), 0),
        (Judged((fall,), 3, 1), 1),
        (Judged((), 3, 1), 3),
        (foreign, 0),
    ):
        monkeypatch.setattr(gate, "judge", lambda *_, found=found, **__: found)
        assert cli.call(["gate"]) == code
    said = capsys.readouterr().err
    assert "qubopress: regression of sa in rounding: time ×2\n" in said
    assert "qubopress: not judged: sa in rounding: time ×2\n" in said
    assert "no time on mlp int4, new in the baseline: qubopress gate --renew, on a quiet machine" in said
    assert "times are not judged here: the baseline's are of Other CPU" in said
    monkeypatch.undo()
    assert cli.call(["gate", "--baseline", str(tmp_path)]) == 2
    assert "times.json must be a baseline's times" in capsys.readouterr().err


def test_a_store_that_exists_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "r.db", cells(1.0))
    with pytest.raises(StoreError, match="must not exist yet"):
        gate._measure(load("gate"), store, TELL)


# ---- planted in a copy of the tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the four packages, compiled kernels included, that stands before the installed ones."""
    for name in ("problems", "solvers", "suites", "results"):
        shutil.copytree(ROOT / name, tmp_path / "copy/qubopress" / name)
    return tmp_path / "copy"


def gated(tree: Path, *arguments: object) -> tuple[int, str]:
    """Exit code and notes of the gate of a tree, against a baseline beside it."""
    call = [sys.executable, "-m", "qubopress.suites.cli", "gate", "--baseline", tree / "base", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [str(one) for one in call]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_slowdown_and_a_halved_beam_are_caught_by_name_and_unchanged_code_passes(tree: Path) -> None:
    code, notes = gated(tree, "--renew")
    assert code == 0, notes
    code, notes = gated(tree)
    assert code == 0, notes
    solvers = tree / "qubopress/solvers"
    slow_down(solvers)
    code, notes = gated(tree, "--solver", "sa")
    assert code == 1, notes
    assert "regression of sa in rounding: time ×" in notes
    assert "quality" not in notes
    narrow_beam(solvers, 32)
    code, notes = gated(tree, "--solver", "beam")
    assert code == 1, notes
    assert "regression of beam in rounding: quality" in notes
