from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qubopress import solvers
from qubopress.suites import machine


def fresh() -> machine.Provenance:
    return machine.provenance.__wrapped__()


def test_provenance_names_code_machine_and_libraries() -> None:
    found = machine.provenance()
    assert found is machine.provenance()
    assert found.versions["torch"].startswith("2.")
    assert "cores" in found.machine
    assert len(found.identity) == 16


def test_another_version_of_a_library_is_another_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh().identity
    assert fresh().identity == before
    real = machine.version
    monkeypatch.setattr(machine, "version", lambda name: "99" if name == "ortools" else real(name))
    assert fresh().versions["ortools"] == "99"
    assert fresh().identity != before


def test_another_line_of_code_is_another_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh().identity
    source = Path(str(solvers.__file__)).parent
    for path in source.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(solvers, "__file__", str(tmp_path / "__init__.py"))
    assert fresh().identity == before
    (tmp_path / "tabu.py").write_text("# changed", encoding="utf-8")
    assert fresh().identity != before


def test_a_library_that_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "COMPUTING", ("no-such-library-of-ours",))
    assert fresh().versions["no-such-library-of-ours"] == "absent"


def test_without_a_checkout_the_version_stands_for_the_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert fresh().commit.startswith("v")


def test_a_changed_checkout_is_marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path.resolve()
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    (root / "file").write_text("one", encoding="utf-8")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(machine, "ROOT", root)
    clean = fresh().commit
    assert len(clean) == 12
    (root / "file").write_text("two", encoding="utf-8")
    assert fresh().commit == f"{clean}+"
