from __future__ import annotations

import importlib
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.solvers import registry as solver_registry
from qubopress.suites import plugins

SOLVER = '''
from qubopress import solvers, problems

@solvers.solver("{name}", accepts=problems.Qubo)
def search(qubo, run):
    """{what}"""
    run.offer([0] * qubo.n)
'''


def write(path: Path, name: str, what: str = "Nothing.") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOLVER.format(name=name, what=what), encoding="utf-8")
    return path


def test_every_file_of_a_folder_is_imported_once(tmp_path: Path) -> None:
    write(tmp_path / "a.py", "first")
    write(tmp_path / "b.py", "second")
    plugins.load_folder(str(tmp_path))
    plugins.load_folder(str(tmp_path))
    assert {"first", "second"} <= set(solvers.names())


def test_two_folders_may_hold_files_of_one_name(tmp_path: Path) -> None:
    write(tmp_path / "one" / "mine.py", "first")
    write(tmp_path / "two" / "mine.py", "second")
    plugins.load_folder(str(tmp_path / "one"))
    plugins.load_folder(str(tmp_path / "two"))
    assert {"first", "second"} <= set(solvers.names())


def test_no_folder_is_no_plugin_and_a_missing_one_an_error(tmp_path: Path) -> None:
    before = solvers.names()
    plugins.load_folder("")
    assert solvers.names() == before
    with pytest.raises(InputError, match=r"no plug-in folder at .*none; name a folder of Python files"):
        plugins.load_folder(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import qubopress_nowhere", "ModuleNotFoundError: No module named 'qubopress_nowhere'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines$"),
        ("raise SystemExit", "SystemExit$"),
    ],
)
def test_a_broken_file_is_a_warning_and_the_others_are_loaded(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    write(tmp_path / "b.py", "second")
    with pytest.warns(UserWarning, match=rf"plug-in .*a\.py is left out: {reason}"):
        plugins.load_folder(str(tmp_path))
    assert "second" in solvers.names()


BAD = {
    "taken": "@solvers.solver('tabu', accepts=problems.Qubo)\ndef bad(qubo, run):\n    pass\n",
    "no shape": "@solvers.solver('shapeless', accepts=int)\ndef bad(qubo, run):\n    pass\n",
    "no default": "@problems.problem('askew')\ndef bad(task, *, bits):\n    yield\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_function_leaves_its_neighbours(tmp_path: Path, kind: str) -> None:
    text = f"from qubopress import problems\n{SOLVER.format(name='first', what='')}\n{BAD[kind]}"
    write(tmp_path / "mine.py", "last")
    last = (tmp_path / "mine.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(f"{text}\n{last}", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"bad of plug-in .*mine\.py is left out: InputError: ") as told:
        plugins.load_folder(str(tmp_path))
    assert len(told) == 1
    assert {"first", "last"} <= set(solvers.names())
    assert plugins.source_of(solvers.get("last").search)


def test_the_source_of_a_plugin_is_its_file(tmp_path: Path) -> None:
    write(tmp_path / "one" / "mine.py", "first")
    write(tmp_path / "two" / "mine.py", "second")
    write(tmp_path / "three" / "mine.py", "third", what="Another line.")
    for folder in ("one", "two", "three"):
        plugins.load_folder(str(tmp_path / folder))
    hashes = {plugins.source_of(solvers.get(name).search) for name in ("first", "second", "third")}
    assert len(hashes) == 3
    assert hashes.isdisjoint({None, ""})


def test_a_plugins_helper_is_part_of_it_and_its_neighbour_is_not(tmp_path: Path) -> None:
    for folder, changed in (("one", ""), ("two", "helper"), ("three", "neighbour")):
        path = write(tmp_path / folder / "mine.py", "named")
        text = path.read_text(encoding="utf-8").replace('"named"', "__file__.split('/')[-2]")
        path.write_text(text + "\ndef later():\n    import helper\n", encoding="utf-8")
        for name in ("helper", "neighbour"):
            (path.parent / f"{name}.py").write_text(f"CHANGED = {name == changed}", encoding="utf-8")
        plugins.load_folder(str(path.parent))
    one, two, three = (plugins.source_of(solvers.get(name).search) for name in ("one", "two", "three"))
    assert one == three != two


def test_the_packages_own_have_no_source_apart_and_a_functions_of_this_file_has_none() -> None:
    assert {plugins.source_of(solvers.get(name).search) for name in solvers.names()} == {""}
    assert {plugins.source_of(problems.get(name).generate) for name in problems.names()} == {""}

    @solvers.solver("homeless", accepts=problems.Qubo)
    def homeless(qubo: problems.Qubo, run: solvers.Run) -> None:
        run.offer([0] * qubo.n)

    assert plugins.source_of(homeless) is None


def test_a_sampler_brought_by_a_plugin_counts_as_the_plugins(tmp_path: Path) -> None:
    text = "import dimod\nfrom qubopress import solvers\n"
    text += 'solvers.from_dimod(dimod.ExactSolver(), name="bridged")\n'
    (tmp_path / "bridge.py").write_text(text, encoding="utf-8")
    plugins.load_folder(str(tmp_path))
    assert plugins.source_of(solvers.get("bridged").search) not in (None, "")


def test_entry_points_are_loaded_and_a_broken_one_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "outsiders_package.py", "outsider")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = {"qubopress.solvers": ["outsiders_package", "qubopress_nowhere"], "qubopress.problems": []}
    found = {group: [EntryPoint("x", value, group) for value in values] for group, values in points.items()}
    monkeypatch.setattr(plugins, "entry_points", lambda group: found[group])
    with pytest.warns(UserWarning, match="plug-in qubopress_nowhere is left out: ModuleNotFoundError"):
        plugins.load_entry_points()
    assert plugins.source_of(solvers.get("outsider").search) not in (None, "")
    assert isinstance(sys.modules.pop("outsiders_package"), types.ModuleType)


def test_a_sampler_of_an_installed_package_counts_as_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import dimod\nfrom qubopress import solvers\n"
    text += 'solvers.from_dimod(dimod.ExactSolver(), name="bridged")\n'
    (tmp_path / "bridging_package.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    # As where something else has imported it before.
    importlib.import_module("bridging_package")
    plugins.load_entry_points([EntryPoint("x", "bridging_package", "qubopress.solvers")])
    assert plugins.source_of(solvers.get("bridged").search) not in (None, "")
    del sys.modules["bridging_package"]


def test_a_formulation_is_loaded_alone_where_others_stand_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "a.py", "first")
    write(tmp_path / "b.py", "second")
    plugins.load_folder(str(tmp_path))
    place = plugins.place_of(solvers.get("first").search)
    assert place == str(tmp_path / "a.py")
    for name in ("first", "second"):
        del sys.modules[solver_registry._REGISTRY.pop(name).search.__module__]
    plugins.load_place(place)
    assert "first" in solvers.names()
    assert "second" not in solvers.names()
    assert plugins.place_of(solvers.get("tabu").search) == ""


def test_the_tests_beside_a_plug_in_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("raise RuntimeError('imported')")
    plugins.load_folder(str(tmp_path))  # a broken plug-in would be a warning, and so an error here
