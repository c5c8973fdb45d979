from __future__ import annotations

import ast
from pathlib import Path

import pytest
from repository import ROOT

MAY_IMPORT = {
    "storage": {"storage"},
    "scoring": {"storage", "scoring"},
    "page": {"storage", "scoring", "page"},
    "commits": {"storage", "scoring", "commits", "markdown"},
}


def imported(path: Path) -> set[str]:
    """The folders of results that a file imports from; its own for a neighbour."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {
        path.parent.name if one.level == 1 else (one.module or "").split(".")[0] for one in found if one.level
    }


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_between_the_folders_run_one_way(folder: str) -> None:
    files = list((ROOT / "results" / folder).glob("*.py"))
    assert len(files) > 2
    for path in files:
        assert imported(path) <= MAY_IMPORT[folder], path
