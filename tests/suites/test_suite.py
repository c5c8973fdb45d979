from __future__ import annotations

import re
from pathlib import Path

import pytest
from warm import write_suite

from qubopress import solvers, suites
from qubopress.problems import InputError
from qubopress.results import Budget

WHOLE = """
name = "mine"
seconds = 0.5
seeds = 3
by = "bits"

[[problem]]
name = "adaround"
network = ["digits-mlp", "fashion-mlp"]
bits = [2, 3]

[[problem]]
name = "taylor"
network = "digits-cnn"

[[solver]]
name = ["tabu", "one-flip"]

[[solver]]
name = "neal"
num_reads = [10, 100]
"""


@pytest.mark.parametrize("name", suites.suite_names())
def test_every_builtin_suite_loads_under_its_own_name(name: str) -> None:
    suite = suites.load(name)
    assert suite.name == name
    assert suite.description
    assert suite.instances


def test_the_smoke_suite_has_every_shape_and_nine_solvers_or_more() -> None:
    assert len(suites.load("smoke").solvers) >= 9


def test_lists_are_sweeps_and_the_rest_has_defaults(tmp_path: Path) -> None:
    suite = suites.load(write_suite(tmp_path, WHOLE))
    assert [spec.name for spec in suite.instances] == [
        "adaround/digits-mlp/bits=2",
        "adaround/digits-mlp/bits=3",
        "adaround/fashion-mlp/bits=2",
        "adaround/fashion-mlp/bits=3",
        "taylor/digits-cnn",
    ]
    assert [spec.label for spec in suite.solvers] == [
        "tabu {}",
        "one-flip {}",
        'neal {"num_reads":10}',
        'neal {"num_reads":100}',
    ]
    assert (suite.name, suite.budget.seconds, suite.seeds, suite.by) == ("mine", 0.5, 3, "bits")
    assert (suite.budget, suite.description) == (Budget(0.5), "")


def test_a_suite_without_a_name_bears_its_files(tmp_path: Path) -> None:
    text = WHOLE.replace('name = "mine"\n', "")
    assert suites.load(str(write_suite(tmp_path, text, name="paper"))).name == "paper"


def test_sweeps_that_overlap_name_a_cell_once(tmp_path: Path) -> None:
    twice = (
        WHOLE
        + '\n[[solver]]\nname = "tabu"\n\n[[problem]]\nname = "adaround"\nnetwork = "digits-mlp"\nbits = 2\n'
    )
    assert suites.load(write_suite(tmp_path, twice)) == suites.load(write_suite(tmp_path, WHOLE))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 3", "sedes = 3", "unknown key 'sedes'; a suite has: by, description, evaluations"),
        ("seconds = 0.5", "", "seconds must be given"),
        ("seconds = 0.5", "seconds = 0", "seconds must be positive, got 0"),
        ("seconds = 0.5", 'seconds = "long"', "seconds must be a finite number"),
        ("seconds = 0.5", "seconds = nan", "seconds must be a finite number"),
        ("seeds = 3", "seeds = 0", "seeds must be an integer in [1, 100000], got 0"),
        ('name = "neal"', 'name = "neal"\nseeds = 0', "seeds must be an integer in [1, 100000], got 0"),
        ("seeds = 3", "restarts = 1.5", "restarts must be an integer of at least 1, got 1.5"),
        ("seeds = 3", "threads = true", "threads must be an integer of at least 1, got True"),
        ('name = "mine"', "name = 7", "name must be a text, got 7"),
        ('name = "mine"', 'name = "../up"', "the name of a suite must be at most 100 letters"),
        ('name = "mine"', 'name = "/etc/x"', "set name = in the file"),
        ('by = "bits"', 'by = "bitz"', "by must be a parameter of a problem, got 'bitz'"),
        ('name = "adaround"', 'name = "adaruond"', "no problem named 'adaruond'; did you mean 'adaround'?"),
        ('name = "adaround"', "name = 5", "the name of a problem must be a text, got 5"),
        ('network = "digits-cnn"', "", "problem taylor needs a network"),
        ('network = "digits-cnn"', 'network = "digits"', "no network named 'digits'"),
        ("bits = [2, 3]", "bitz = 2", "no parameter of adaround named 'bitz'"),
        ("bits = [2, 3]", "bits = []", "bits must sweep at least one value"),
        ('name = "neal"', 'name = "neall"', "no solver named 'neall'; did you mean 'neal'?"),
        ("num_reads = [10, 100]", "num_reads = 0", "num_reads must lie in"),
        ("num_reads = [10, 100]", "reads = 1", "neal has no parameter 'reads'"),
        ('[[solver]]\nname = "neal"', "[[solver]]", "a suite needs [[solver]] tables, each with a name"),
        ("[[problem]]", "[[instance]]", "unknown key 'instance'"),
        ("seeds = 3", "seeds = [", "must be TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line_that_names_it(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in WHOLE
    path = write_suite(tmp_path, WHOLE.replace(old, new))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        suites.load(path)
    assert "own.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_suite_that_is_not_there_is_refused_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no suite named 'smoek'; did you mean 'smoke'\?"):
        suites.load("smoek")
    with pytest.raises(InputError, match=r"no suite file at .*none\.toml; see `qubopress list`"):
        suites.load(tmp_path / "none.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read suite"):
        suites.load(path)


def test_globs_choose_from_the_suite(tmp_path: Path) -> None:
    suite = suites.load(write_suite(tmp_path, WHOLE))
    assert [spec.label for spec in suite.narrowed(solver="ne*").solvers] == [
        'neal {"num_reads":10}',
        'neal {"num_reads":100}',
    ]
    both = suite.narrowed(solver=["tabu", "ne*", "tabu"])
    assert next(spec.name for spec in both.solvers) == "tabu"
    assert len(both.solvers) == len({spec.label for spec in both.solvers}) > 1
    assert [spec.name for spec in suite.narrowed(problem="*/bits=2").instances] == [
        "adaround/digits-mlp/bits=2",
        "adaround/fashion-mlp/bits=2",
    ]
    assert [spec.problem for spec in suite.narrowed(problem="taylor").instances] == ["taylor"]
    other = suite.narrowed(seconds=2, seeds=1)
    assert (other.budget.seconds, other.seeds, other.name) == (2.0, 1, "mine")


def test_a_solver_may_have_replicates_of_its_own(tmp_path: Path) -> None:
    text = WHOLE + '\n[[solver]]\nname = "random"\nseeds = 5\n'
    suite = suites.load(write_suite(tmp_path, text))
    names = [[solver.name for solver in entering] for entering in suite.rounds()]
    assert names == [["tabu", "one-flip", "neal", "neal", "random"]] * 3 + [["random"]] * 2
    assert [len(entering) for entering in suite.narrowed(seeds=2).rounds()] == [5, 5]


def test_a_solver_named_exactly_is_added(tmp_path: Path) -> None:
    suite = suites.load(write_suite(tmp_path, WHOLE))
    assert "swap" in solvers.names()
    assert [spec.label for spec in suite.narrowed(solver="swap").solvers] == ["swap {}"]


@pytest.mark.parametrize(
    ("narrowing", "message"),
    [
        ({"solver": "x*"}, "no solver of suite mine matches 'x*'"),
        ({"solver": "tabuu"}, "no solver named 'tabuu'; did you mean 'tabu'?"),
        ({"problem": "x*"}, "no problem of suite mine matches 'x*'; it has: adaround, taylor"),
        ({"seconds": 0.0}, "seconds must be positive, got 0.0"),
        ({"seconds": float("nan")}, "seconds must be a finite number, got nan"),
        ({"seeds": 0}, "seeds must be an integer in [1, 100000], got 0"),
    ],
)
def test_a_narrowing_to_nothing_is_refused(
    tmp_path: Path, narrowing: dict[str, object], message: str
) -> None:
    suite = suites.load(write_suite(tmp_path, WHOLE))
    with pytest.raises(InputError, match=re.escape(message)):
        suite.narrowed(**narrowing)
