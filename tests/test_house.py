"""A room for each question: where files stand and which way imports run, read from the files themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import house
import pytest
from repository import ROOT

from qubopress import solvers

RULES = [
    house.misplaced_solvers,
    house.solvers_that_lend,
    house.pieces_that_nobody_shares,
    house.packages_out_of_order,
    house.folders_out_of_order,
    house.modules_with_a_handed_on_name,
    house.tests_out_of_place,
    house.helpers_off_the_path,
    house.crowded_folders,
]


def registered(accepts: str, rest: str = "") -> str:
    return f'@solver("planted", accepts={accepts}{rest})\ndef planted(instance, run): ...\n'


MISPLACED = [
    ("solvers/qubo/planted.py", registered("Rounding"), "rounding"),
    ("solvers/exact/planted.py", registered("Rounding", ", exact=True"), "rounding"),
    ("solvers/rounding/planted.py", registered("Capacity"), "capacity"),
    ("solvers/qubo/planted.py", registered("(BlackBox,)"), "black_box"),
    ("solvers/qubo/planted.py", registered("(Qubo, Capacity)", ", exact=True"), "exact"),
    ("solvers/exact/planted.py", registered("(Qubo, Rounding)", ", exact=False"), "qubo"),
    ("solvers/planted.py", registered("Qubo"), "qubo"),
    ("solvers/qubo/planted.py", registered("(Capacity, BlackBox)"), "a folder of its own"),
]
LENT = [
    ("solvers/capacity/exchanges.py", "from .swap import swap", "solvers/capacity/swap.py"),
    ("solvers/qubo/sa.py", "def f():\n    from . import tabu", "solvers/qubo/tabu.py"),
    ("solvers/adapters.py", "if TYPE_CHECKING:\n    from .exact.mip import mip", "solvers/exact/mip.py"),
    (
        "solvers/exact/mip.py",
        "from qubopress.solvers.rounding.beam import beam",
        "solvers/rounding/beam.py",
    ),
]
UPWARDS = [
    ("problems/arrays.py", "from . import cache", "cache"),
    ("problems/instances/qubo.py", "def f():\n    from ..formats.lp import read", "formats"),
    ("problems/pruning/repair.py", "from ..quantization import grids", "quantization"),
    ("problems/tasks/task.py", "if TYPE_CHECKING:\n    from ..registry import Problem", "registry"),
    ("problems/layers/costs.py", "from qubopress.problems import Task", "__init__"),
    ("solvers/qubo/sa.py", "from ..capacity.exchanges import anneal", "capacity"),
    ("solvers/run.py", "from .solution import Solution", "solution"),
    ("suites/harness/cell.py", "import qubopress.suites.cli.app", "cli"),
    ("suites/conformance/claim.py", "from ..verification import checked", "verification"),
    ("results/storage/store.py", "from ..scoring import scores", "scoring"),
    ("results/page/report.py", "from ..commits.compare import compare", "commits"),
]
UNKNOWN = [
    ("problems/errors.py", "from ..solvers.status import Status", "solvers"),
    ("solvers/run.py", "def f():\n    from ..results import Store", "results"),
    ("results/storage/store.py", "import qubopress.suites.spec", "suites"),
    ("results/page/frame.py", "if TYPE_CHECKING:\n    from qubopress import problems", "problems"),
]


def add(root: Path, file: str, text: str) -> int:
    """Add lines to a file, or write it; the line that comes last."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}{text}\n", encoding="utf-8")
    return len(f"{before}{text}".splitlines())


def copied(folder: Path, *names: str) -> Path:
    """The Python files of some folders of the repository, alone."""
    for name in names:
        for path in (ROOT / name).rglob("*.py"):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return folder


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.replace("_", "-"))
def test_the_house_has_no(rule: house.Rule) -> None:
    assert rule(ROOT) == []


def test_the_registrations_that_are_read_are_those_that_are_live() -> None:
    live = {
        (entry.name, entry.search.__module__, frozenset(one.__name__ for one in entry.accepts), entry.exact)
        for entry in map(solvers.get, solvers.names())
        if entry.search.__module__.startswith("qubopress.")
    }
    read = {
        (one.name, f"qubopress.{one.file.removesuffix('.py').replace('/', '.')}", one.accepts, one.exact)
        for one in house.registrations(ROOT)
    }
    assert read == live
    assert len(read) > 30


@pytest.mark.parametrize(("file", "text", "folder"), MISPLACED)
def test_a_planted_solver_is_sent_where_its_registration_says(
    file: str, text: str, folder: str, tmp_path: Path
) -> None:
    add(copied(tmp_path, "solvers"), file, text)
    offence = f"{file} registers planted, which belongs in solvers/{folder}"
    assert house.misplaced_solvers(tmp_path) == [offence]


@pytest.mark.parametrize(("file", "text", "lender"), LENT)
def test_a_planted_import_from_a_solver_is_named(file: str, text: str, lender: str, tmp_path: Path) -> None:
    line = add(copied(tmp_path, "solvers"), file, text)
    offence = f"{file}:{line} imports from {lender}, which registers a solver"
    assert house.solvers_that_lend(tmp_path) == [offence]


def test_a_planted_piece_is_named_until_something_imports_it(tmp_path: Path) -> None:
    add(copied(tmp_path, "solvers"), "solvers/qubo/planted.py", "X = 1")
    offence = "solvers/qubo/planted.py registers no solver and nothing imports it"
    assert house.pieces_that_nobody_shares(tmp_path) == [offence]
    add(tmp_path, "solvers/qubo/sa.py", "from .planted import X")
    assert house.pieces_that_nobody_shares(tmp_path) == []


@pytest.mark.parametrize(("file", "text", "there"), UPWARDS)
def test_a_planted_import_up_the_order_is_named(file: str, text: str, there: str, tmp_path: Path) -> None:
    floor, here = file.removesuffix(".py").split("/")[:2]
    line = add(copied(tmp_path, floor), file, text)
    offence = f"{file}:{line} imports {there}, which {here} stands below"
    assert house.folders_out_of_order(tmp_path) == [offence]


def test_a_planted_folder_without_a_place_is_named(tmp_path: Path) -> None:
    add(copied(tmp_path, "results"), "results/planted/one.py", "X = 1")
    offence = "results/planted/one.py: planted has no place in the order of results"
    assert house.folders_out_of_order(tmp_path) == [offence]


@pytest.mark.parametrize(("file", "text", "package"), UNKNOWN)
def test_a_planted_import_of_another_package_is_named(
    file: str, text: str, package: str, tmp_path: Path
) -> None:
    floor = file.split("/")[0]
    line = add(copied(tmp_path, floor), file, text)
    offence = f"{file}:{line} imports {package}, which {floor} must not know"
    assert house.packages_out_of_order(tmp_path) == [offence]


@pytest.mark.parametrize("file", ["results/leaderboard.py", "results/leaderboard/__init__.py"])
def test_a_planted_module_with_a_handed_on_name_is_named(file: str, tmp_path: Path) -> None:
    add(copied(tmp_path, "results"), file, "X = 1")
    offence = "results hands on leaderboard and has a module of that name"
    assert house.modules_with_a_handed_on_name(tmp_path) == [offence]


@pytest.mark.parametrize(
    ("file", "offence"),
    [
        ("tests/solvers/planted/test_it.py", ": there is no folder solvers/planted to mirror"),
        ("tests/planted/test_it.py", ": there is no folder planted to mirror"),
        ("tests/solvers/test_tabu.py", " is about solvers/qubo/tabu.py"),
        ("tests/solvers/capacity/test_run.py", " is about solvers/run.py"),
    ],
)
def test_a_planted_test_that_mirrors_nothing_is_named(file: str, offence: str, tmp_path: Path) -> None:
    add(copied(tmp_path, "solvers", "tests/solvers"), file, "")
    assert house.tests_out_of_place(tmp_path) == [f"{file}{offence}"]


def test_another_path_of_pytest_is_named(tmp_path: Path) -> None:
    add(tmp_path, "pyproject.toml", '[tool.pytest.ini_options]\npythonpath = ["tests"]')
    assert house.helpers_off_the_path(tmp_path) == [
        "pytest's pythonpath must be tests/helpers, got ['tests']"
    ]


def test_a_folder_of_too_many_tracked_files_is_named_unless_it_holds_data(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for folder in ("solvers/qubo", "docs/hooks", "results/data"):
        for i in range(house.MOST_FILES + 1):
            add(tmp_path, f"{folder}/file{i}.py", "")
    assert house.crowded_folders(tmp_path) == []
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert house.crowded_folders(tmp_path) == ["solvers/qubo has 21 files, at most 20 are allowed"]
