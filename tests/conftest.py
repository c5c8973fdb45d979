"""Tests keep what they measure in a folder of their own, so that no earlier run can speak for this one.

What a test registers is forgotten after it, so that tests may run in any order and process.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT
from warm import clean_registries

os.environ["QUBOPRESS_CACHE"] = tempfile.mkdtemp(prefix="qubopress-tests-")
atexit.register(shutil.rmtree, os.environ["QUBOPRESS_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _nothing_registered_stays() -> Iterator[None]:
    with clean_registries():
        yield


@pytest.fixture(scope="session")
def descent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program of the tutorial, compiled, in a folder whose name has a blank."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler named cc here")
    page = (ROOT / "docs/tutorials/solver.md").read_text(encoding="utf-8")
    found = re.search(r'^```c title="mine/descent.c"\n(.*?)^```$', page, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    folder = tmp_path_factory.mktemp("a program")
    (folder / "descent.c").write_text(found[1], encoding="utf-8")
    subprocess.run([compiler, "-O2", "-o", "descent", "descent.c"], cwd=folder, check=True)
    return folder / "descent"
