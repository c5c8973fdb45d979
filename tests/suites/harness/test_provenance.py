from __future__ import annotations

import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from qubopress import solvers
from qubopress.suites.harness import load, provenance

Times = namedtuple("Times", "user system idle")


def fresh() -> provenance.Provenance:
    return provenance.provenance.__wrapped__()


def test_provenance_names_code_machine_and_libraries() -> None:
    found = provenance.provenance()
    assert found is provenance.provenance()
    assert found.versions["torch"].startswith("2.")
    assert "cores" in found.machine
    assert len(found.identity) == 16


def test_another_version_of_a_library_is_another_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh().identity
    assert fresh().identity == before
    real = provenance.version_of
    monkeypatch.setattr(provenance, "version_of", lambda name: "99" if name == "numba" else real(name))
    assert fresh().versions["numba"] == "99"
    assert fresh().identity != before


def test_libraries_of_one_solver_stand_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fresh().beside(["ortools", "no-such-library-of-ours"])
    assert found.versions["ortools"][0].isdigit()
    assert found.versions["no-such-library-of-ours"] == "absent"
    assert found.identity == fresh().identity


def test_another_line_of_code_is_another_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh().identity
    source = Path(str(solvers.__file__)).parent
    for path in source.rglob("*.py"):
        copy = tmp_path / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(solvers, "__file__", str(tmp_path / "__init__.py"))
    assert fresh().identity == before
    (tmp_path / "qubo/tabu.py").write_text("# changed", encoding="utf-8")
    assert fresh().identity != before


def test_a_library_that_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "COMPUTING", ("no-such-library-of-ours",))
    assert fresh().versions["no-such-library-of-ours"] == "absent"


def test_without_a_checkout_the_version_stands_for_the_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert fresh().commit.startswith("v")


def test_what_others_use_is_what_is_busy_less_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, busy, own = [100.0], [50.0], [5.0]
    monkeypatch.setattr(load.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(load.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(load.psutil, "cpu_times", lambda: Times(user=busy[0], system=0.0, idle=clock[0]))
    watch = load.Load(lambda: own[0])
    clock[0], busy[0], own[0] = 110.0, 80.0, 34.0
    assert watch.others(100.0) == pytest.approx(1 / 40)
    assert not watch.disturbed(100.0)
    clock[0], busy[0] = 120.0, 88.0
    assert watch.others(110.0) == pytest.approx(8 / 40)
    assert watch.others(100.0) == pytest.approx(9 / 80)
    assert watch.disturbed(110.0)


def test_a_busy_process_counts_as_others_unless_it_is_ours() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        watched = psutil.Process(process.pid)
        theirs, ours = load.Load(lambda: 0.0), load.Load(lambda: sum(watched.cpu_times()[:2]))
        begun, used = time.monotonic(), sum(watched.cpu_times()[:2])
        time.sleep(1.2)
        share = (sum(watched.cpu_times()[:2]) - used) / 1.2 / (psutil.cpu_count() or 1)
        difference = theirs.others(begun) - ours.others(begun)
        process.kill()
    assert share > 0.05
    assert difference == pytest.approx(share, abs=0.05)


def test_a_changed_checkout_is_marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path.resolve()
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    (root / "file").write_text("one", encoding="utf-8")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(provenance, "ROOT", root)
    clean = fresh().commit
    assert len(clean) == 12
    (root / "file").write_text("two", encoding="utf-8")
    assert fresh().commit == f"{clean}+"
