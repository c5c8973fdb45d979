from __future__ import annotations

import csv
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT, module_at

from qubopress import suites


def builder() -> ModuleType:
    """What builds the wheel for the type checker builds it here."""
    return module_at(".ci/build_wheel.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(builder().build(tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel alone in a folder; what it depends on comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("site")
    builder().unpack(wheel, folder)
    return folder


def test_the_only_name_it_installs_is_qubopress(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"qubopress"}
    packages = {name.split("/")[1] for name in names if name.startswith("qubopress/")}
    assert packages == {"problems", "solvers", "suites", "results"}
    assert not [name for name in names if "/test" in name or "/asv/" in name or name.endswith(".pyc")]


def test_it_carries_what_runs_without_the_checkout(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("problems", "solvers", "suites", "results"):
        there = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert {f"qubopress/{path}" for path in there if "asv" not in path.parts} <= names
        assert f"qubopress/{folder}/py.typed" in names
    assert {f"qubopress/suites/builtin/{name}.toml" for name in suites.suite_names()} <= names
    assert "qubopress/problems/weights/digits-mlp.safetensors" in names
    of_pages = [
        path for path in (ROOT / "results" / "page").rglob("*") if path.suffix in (".html", ".css", ".js")
    ]
    assert len(of_pages) > 2
    assert {f"qubopress/{path.relative_to(ROOT)}" for path in of_pages} <= names


@pytest.mark.slow
def test_the_smoke_suite_runs_from_the_wheel_alone(site: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    code = "import qubopress.suites.cli, qubopress.suites.harness.suite_run as h; print(h.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(site)
    call = [
        "run",
        "smoke",
        "--seconds",
        "0.05",
        "--seeds",
        "1",
        "--jobs",
        "2",
        "--store",
        "r.db",
        "--format",
        "csv",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "qubopress.suites.cli", *call],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert {row["family"] for row in rows} == {"rounding", "pruning"}
    assert {row["solver"] for row in rows} == {spec.name for spec in suites.load("smoke").solvers} | {
        "do nothing"
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.db"]
