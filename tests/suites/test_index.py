"""What is read from the source is what the registries hold, and quick questions import nothing slow."""

from __future__ import annotations

import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

from qubopress import problems, solvers, suites
from qubopress.problems.formats import FORMATS, READ
from qubopress.problems.instances import file_formats
from qubopress.problems.networks import stated, weights, zoo
from qubopress.problems.tasks.kinds import KINDS, float_metric
from qubopress.suites import index, load
from qubopress.suites.cli.experiments import GROUPED
from qubopress.suites.cli.networks import ARGUMENTS
from qubopress.suites.experiments import compress_bench
from qubopress.suites.exporting import formats
from qubopress.suites.exporting.saving import WRITERS
from qubopress.suites.suite import outline

SLOW = {"torch", "numba", "ortools", "dimod", "tntorch", "sklearn", "skimage", "highspy", "pandas", "plotly"}

MISSPELT = """
seconds = 1.0
[[problem]]
name = "random-qubo"
[[solver]]
name = ["sa", "tabuu"]
"""


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
        ("list", 0),
        ("leaderboard --store missing.db", 2),
        ("report --store missing.db", 2),
        ("compare a.db b.db", 2),
        ("compare base head --store missing.db", 2),
        ("merge out.db a.db b.db", 2),
        ("export --store missing.db --out cells.csv", 2),
        ("export-asv --store missing.db", 2),
        ("references update --store missing.db", 2),
        ("verify --store missing.db", 2),
        ("submit-check missing.jsonl", 2),
        ("submit-check missing.db", 2),
        ("rejudge --data missing", 2),
        ("gate --baseline missing", 2),
        ("gate --solver no-such", 2),
        ("run no-such", 2),
        ("run own.toml", 2),
        ("run smoke --solver no-such", 2),
        ("run smoke --problem no-such", 2),
        ("run smoke --seeds 0", 2),
        ("run smoke --executor no-such", 2),
        ("run smoke --plugins missing", 2),
        ("run --instance missing.lp", 2),
        ("instances no-such --out set", 2),
        ("instances smoke --out set --problem no-such", 2),
        ("instances smoke --out set --format no-such", 2),
        ("judge missing", 2),
        ("new solver No_Name", 2),
        ("check no-such", 2),
        ("check sa --network digits-mlp", 2),
        ("tune no-such --suite smoke", 2),
        ("tune sa --suite no-such", 2),
        ("compress no-such --out x.safetensors", 2),
        ("compress no_such:net --out x.safetensors --data x.npz", 2),
        ("compress digits-mlp --out x.safetensors --problem no-such", 2),
        ("compress digits-mlp --out x.safetensors --solver no-such", 2),
        ("compress digits-mlp --out x.safetensors --set seed=1", 2),
        ("compress digits-mlp --out x.safetensors --as no-such", 2),
        ("train no-such", 2),
        ("publish --add missing.db", 2),
        ("experiment rounding-methods --network no-such --out .", 2),
        ("experiment compress-bench --network no-such", 2),
        ("experiment pruning-claims missing.db", 2),
    ],
)
def test_a_quick_question_imports_nothing_slow(call: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(MISSPELT, encoding="utf-8")
    done = asked(call.split(), tmp_path)
    assert done.stderr.splitlines()[-1] == f"{code} []", done.stderr


def test_a_wrong_registry_is_told_without_what_recomputes(tmp_path: Path) -> None:
    done = asked(["references", "--registry", "missing.json"], tmp_path)
    assert done.stderr.splitlines()[-1] == "2 ['pandas']", done.stderr


def asked(call: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A call in a process of its own, which ends in its code and what is slow of all that it imported."""
    program = (
        "import sys\nfrom qubopress.suites import cli\n"
        f"code = cli.call({call!r})\n"
        f"print(code, sorted({SLOW!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_misspelt_suite_is_refused_as_by_the_registries(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    for text in (MISSPELT, MISSPELT.replace("random-qubo", "random-qbuo")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(problems.InputError, match=r"suite own.toml: no (solver|problem) named") as told:
            index.refuse_misspelt(str(path))
        with pytest.raises(problems.InputError, match="no") as loaded:
            load(path)
        assert str(told.value) == str(loaded.value)


@pytest.mark.parametrize(
    "wish", [{"solver": ["tabuu"]}, {"solver": ["x*"]}, {"problem": ["tailor"]}], ids=lambda one: str(one)
)
def test_what_chooses_nothing_is_refused_as_by_the_registries(
    wish: dict[str, list[str]],
) -> None:
    with pytest.raises(problems.InputError, match=r"no (solver|problem)") as told:
        index.refuse_misspelt("smoke", **wish)
    with pytest.raises(problems.InputError, match="no") as narrowed:
        load("smoke").narrowed(**wish)
    assert str(told.value) == str(narrowed.value)


@pytest.mark.parametrize("name", suites.suite_names())
def test_a_suite_of_ours_is_not_refused(name: str) -> None:
    whole = load(name)
    one = whole.instances[-1]
    index.refuse_misspelt(name, solver=["*", "random"], problem=[one.problem, one.name, "*"])


def test_what_a_plugin_or_a_program_may_be_is_left_to_the_run(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(MISSPELT, encoding="utf-8")
    index.refuse_misspelt(str(path), plugins="mine")
    path.write_text(MISSPELT + '[[solver]]\ncommand = "mine {instance} {solution}"\n', encoding="utf-8")
    index.refuse_misspelt(str(path), solver=["mine"])


def test_names_that_are_stated_are_those_of_what_bears_them() -> None:
    assert set(file_formats.WRITTEN) == {"npz", *FORMATS}
    assert set(file_formats.READ) == {"npz", *FORMATS, *READ}
    assert tuple(WRITERS) == formats.FORMATS
    assert set(signature(suites.compress).parameters) == set(ARGUMENTS)
    assert compress_bench.GROUPED.name == GROUPED
