"""A plug-in is its file and what it imports from its own tree; nothing else measures anything anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from qubopress.suites.plugin_files import files_of, hash_of

PACKAGE = {
    "__init__.py": "",
    "solver.py": "import numpy, outsiders.settings\nfrom . import moves\nfrom .deep.tables import TABLE\n",
    "moves.py": "from .kernels import step\n",
    "kernels.py": "def step(): return 1\n",
    "settings.py": "RATE = 1\n",
    "late.py": "X = 1\n",
    "deep/__init__.py": "",
    "deep/tables.py": "def rows():\n    from ..late import X\n    return X\nTABLE = 2\n",
    "other.py": "from . import unused\n",
    "unused.py": "",
    "test_solver.py": "from . import solver\n",
    "README.md": "words",
    "data.csv": "1,2",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in PACKAGE.items():
        place = tmp_path / "outsiders" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return tmp_path / "outsiders"


MATTER = (
    "solver.py",
    "moves.py",
    "kernels.py",
    "settings.py",
    "late.py",
    "deep/__init__.py",
    "deep/tables.py",
    "__init__.py",
)


@pytest.mark.parametrize("name", MATTER)
def test_a_change_in_what_it_imports_is_another_plugin(root: Path, name: str) -> None:
    before = hash_of(root / "solver.py", root)
    (root / name).write_text((root / name).read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert hash_of(root / "solver.py", root) != before


@pytest.mark.parametrize("name", sorted(PACKAGE.keys() - set(MATTER)))
def test_a_change_in_what_it_does_not_import_changes_nothing(root: Path, name: str) -> None:
    before = hash_of(root / "solver.py", root)
    (root / name).write_text("changed = 1\n", encoding="utf-8")
    (root / "new_file.py").write_text("changed = 1\n", encoding="utf-8")
    assert hash_of(root / "solver.py", root) == before


def test_a_tree_elsewhere_is_the_same_plugin(root: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "outsiders"
    moved.parent.mkdir()
    before = hash_of(root / "solver.py", root)
    root.rename(moved)
    assert hash_of(moved / "solver.py", moved) == before


def test_files_that_import_each_other_are_each_met_once(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import two", encoding="utf-8")
    (tmp_path / "two.py").write_text("import one, json, nowhere", encoding="utf-8")
    assert files_of(tmp_path / "one.py", tmp_path) == [tmp_path / "one.py", tmp_path / "two.py"]


def test_what_lies_above_the_tree_is_none_of_it(root: Path) -> None:
    (root.parent / "above.py").write_text("", encoding="utf-8")
    (root / "other.py").write_text(
        "from .. import above\nimport above\nfrom ...... import x", encoding="utf-8"
    )
    assert files_of(root / "other.py", root) == [root / "__init__.py", root / "other.py"]
