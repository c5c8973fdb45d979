"""The documentation says of the tests what is so, every solver has its page, and the site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT, module_at

from qubopress import problems, results, solvers, suites
from qubopress.results.scoring import scores
from qubopress.suites.conformance import problem_claims, solver_claims

CLAIMS = {
    "solvers/every_solver": solver_claims.CLAIMS,
    "problems/every_problem": problem_claims.CLAIMS,
}
"""Files of which each claim is a test, named by its function."""


def hook(name: str) -> ModuleType:
    """A module of the site, without mkdocs."""
    return module_at(f"docs/hooks/{name}.py")


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    return hook("pages")


def ours(registry: ModuleType, function: str) -> list[str]:
    """Names that this package registers; other tests register their own."""
    found = {name: getattr(registry.get(name), function).__module__ for name in registry.names()}
    return [name for name, module in found.items() if module.startswith("qubopress.")]


def test_every_test_that_the_harness_page_names_exists() -> None:
    page = (ROOT / "docs" / "harness.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+/[a-z_/]+)::(\w+)`", page)
    assert len(named) > 60
    for file, name in named:
        folder, _, stem = file.rpartition("/")
        source = (ROOT / "tests" / folder / f"test_{stem}.py").read_text(encoding="utf-8")
        claimed = {claim.holds.__name__ for claim in CLAIMS.get(file, [])}
        assert f"def test_{name}(" in source or name in claimed, f"{file}::{name}"


def test_every_solver_has_a_page_with_its_facts(pages: ModuleType) -> None:
    made = pages.pages()
    for name in ours(solvers, "search"):
        entry, page = solvers.get(name), made[f"solvers/{name}.md"]
        assert f"[{name}]({name}.md)" in made["solvers/index.md"]
        assert page.startswith(f"# {name}\n")
        assert entry.reference in page
        for one in entry.parameters.values():
            assert f"| `{one.name}` | {one.kind.__name__} | `{one.default!r}` |" in page


def test_every_formulation_stands_on_its_familys_page(pages: ModuleType) -> None:
    made = pages.pages()
    for name in ours(problems, "generate"):
        one = problems.get(name)
        page = made[f"problems/{one.family}.md"]
        section = page.split(f"## {name} {{")[1].split("\n## ")[0]
        assert one.summary.split("<")[0] in section
        for parameter, default in one.defaults.items():
            assert f"| `{parameter}` | `{default!r}` |" in section


def test_it_is_said_of_every_solver_and_family_when_to_use_it(pages: ModuleType) -> None:
    families = {problems.get(name).family for name in ours(problems, "generate")}
    assert set(pages.WHEN["families"]) == families, "docs/when.toml"
    assert set(pages.WHEN["solvers"]) == set(ours(solvers, "search")), "docs/when.toml"
    assert all(len(text) > 20 for part in pages.WHEN.values() for text in part.values())


def test_the_suites_page_and_the_reference_leave_nothing_out(pages: ModuleType) -> None:
    made = pages.pages()
    assert all(f"\n## {name}\n" in made["suites.md"] for name in suites.suite_names())
    for package in (problems, solvers, suites, results):
        page = made[f"reference/{package.__name__.split('.')[1]}.md"]
        shown = re.findall(r"^::: ([\w.]+)$", page, flags=re.MULTILINE)
        assert [place.split(".")[-1] for place in shown] == list(package.__all__)
        assert not any(place in sys.modules for place in shown)


def test_every_command_and_option_stands_on_the_page_of_the_command_line(pages: ModuleType) -> None:
    page = pages.pages()["reference/commands.md"]
    for name in ("run", "leaderboard", "compare", "references update", "new", "tune"):
        section = page.split(f"## {name}\n")[1].split("\n## ")[0]
        call = [sys.executable, "-m", "qubopress.suites.cli", *name.split(), "--help"]
        told = subprocess.run(call, capture_output=True, text=True, check=True).stdout
        options = set(re.findall(r"^ +(--[a-z-]+)", told, flags=re.MULTILINE)) - {"--help"}
        assert options
        assert options == set(re.findall(r"`(--[a-z-]+)`", section))


def test_the_scoring_page_says_the_policy_in_the_codes_own_words(pages: ModuleType) -> None:
    assert "<!-- scoring policy -->" in (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    assert pages.policy().count("\n- ") + 1 == len(scores.POLICY)
    assert all(point.split("<")[0] in pages.policy() for point in scores.POLICY)


def test_the_scoring_page_knows_every_ending_and_which_are_ranked() -> None:
    page = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z]+)` \|.*\| (yes|at the baseline) \|$", page, flags=re.MULTILINE))
    assert list(rows) == [status.name for status in solvers.Status]
    assert {name for name, ranked in rows.items() if ranked == "yes"} == set(results.RANKED)


def test_a_docstrings_parts_are_told_apart(pages: ModuleType) -> None:
    said = pages.sections(
        "What.\n\nMore.\n\nParameters:\n    a: one\n        and on.\n    b: two.\n\nRaises:\n    E: bad."
    )
    assert said == {"": "What.\n\nMore.", "Parameters": "a: one\n    and on.\nb: two.", "Raises": "E: bad."}
    assert pages._entries(said["Parameters"]) == {"a": "one and on.", "b": "two."}


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr[-3000:]
    built = list(tmp_path.rglob("*.html"))
    assert len(built) > len(solvers.names())
    for path in built:
        tags = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", path.read_text(encoding="utf-8"))
        assert tags
        assert [tag for tag in tags if re.search(r"(?:src|href)=\"?(?:https?:)?//", tag)] == [], path
    for path in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path
