"""What is read from the source is what the registries hold, and quick questions import nothing slow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qubopress import problems, solvers, suites
from qubopress.problems.networks import stated, weights, zoo
from qubopress.problems.tasks.kinds import KINDS, float_metric
from qubopress.suites import load
from qubopress.suites.cli import index
from qubopress.suites.suite import outline

SLOW = {"torch", "numba", "ortools", "dimod", "tntorch", "sklearn", "skimage", "highspy"}


def ours(function: object) -> bool:
    return str(function.__module__).startswith(("qubopress.solvers.", "qubopress.problems."))


def test_the_solvers_of_the_source_are_those_of_the_registry() -> None:
    entries = [entry for name in solvers.names() if ours((entry := solvers.get(name)).search)]
    found = {one.name: (one.of, one.what) for one in index.solvers()}
    assert found == {
        entry.name: (", ".join(shape.__name__ for shape in entry.accepts), entry.summary) for entry in entries
    }


def test_the_problems_of_the_source_are_those_of_the_registry() -> None:
    known = [one for name in problems.names() if ours((one := problems.get(name)).generate)]
    found = {one.name: (one.of, one.what) for one in index.problems()}
    assert found == {one.name: (one.family, one.summary) for one in known}


def test_what_is_stated_of_a_network_is_what_its_kind_and_its_weights_say() -> None:
    assert {kind: (one.metric, one.metric_key) for kind, one in KINDS.items()} == stated.METRICS
    kept = [name for name in zoo.network_names() if (weights.WEIGHTS / f"{name}.safetensors").exists()]
    assert len(kept) > 10
    for name in kept:
        assert stated.float_metric(name)[1] == float_metric(name)
        assert stated.header(weights.WEIGHTS / f"{name}.safetensors") == weights.weights_metadata(name)


def test_damaged_weights_state_nothing(tmp_path: Path) -> None:
    for content in (b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]"):
        (tmp_path / "w.safetensors").write_bytes(content)
        with pytest.raises(problems.InputError, match="must be a safetensors file, got damaged content"):
            stated.header(tmp_path / "w.safetensors")
    with pytest.raises(problems.MissingDataError, match="no weights at"):
        stated.header(tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", suites.suite_names())
def test_the_outline_of_a_suite_is_its_size(name: str) -> None:
    whole = load(name)
    told = outline(name)
    assert (told.description, told.instances, told.solvers) == (
        whole.description,
        len(whole.instances),
        len(whole.solvers),
    )


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (["list"], 0),
        (["leaderboard", "--store", "missing.db"], 2),
        (["compare", "a.db", "b.db"], 2),
        (["verify", "--store", "missing.db"], 2),
        (["merge", "a.db", "b.db", "--out", "c.db"], 2),
        (["run", "no-such"], 2),
        (["check", "no-such"], 2),
        (["tune", "no-such", "--suite", "smoke"], 2),
        (["submit-check", "missing.jsonl"], 2),
        (["submit-check", "missing.db"], 2),
        (["references"], 0),
    ],
)
def test_a_quick_question_imports_nothing_slow(call: list[str], code: int, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom qubopress.suites import cli\n"
        f"code = cli.call({call!r})\n"
        f"print(code, sorted({SLOW!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == f"{code} []", done.stderr
