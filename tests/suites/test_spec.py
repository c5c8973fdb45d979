from __future__ import annotations

import datetime
import math
import re

import pytest

from qubopress.problems import InputError
from qubopress.suites.spec import InstanceSpec, SolverSpec, canonical, seed_of


def test_a_seed_depends_on_every_name_and_on_nothing_else() -> None:
    seed = seed_of("suite", "key", "tabu {}", 0, 1)
    assert seed == seed_of("suite", "key", "tabu {}", 0, 1)
    assert seed == 7962488352054097240
    others = [
        ("other", "key", "tabu {}", 0, 1),
        ("suite", "key", "tabu {}", 1, 0),
        ("suitekey", "", "tabu {}", 0, 1),
    ]
    assert len({seed, *(seed_of(*names) for names in others)}) == 4
    assert 0 <= seed < 2**63


def test_plain_data_has_one_text_whatever_its_order() -> None:
    assert (
        canonical({"b": 1, "a": [2.5, "x"]})
        == canonical({"a": [2.5, "x"], "b": 1})
        == '{"a":[2.5,"x"],"b":1}'
    )


def test_a_spec_holds_the_defaults_and_its_name_what_differs() -> None:
    spec = InstanceSpec.of("adaround", network="digits-mlp", bits=3, calibration=100)
    assert spec.parameters["grid"] == "minmax"
    assert spec.everything["calibration"] == 100
    assert spec.name == "adaround/digits-mlp/bits=3,calibration=100"
    assert InstanceSpec.of("adaround", network="digits-mlp").name == "adaround/digits-mlp"


def test_a_spec_survives_the_store() -> None:
    spec = InstanceSpec.of("hybrid", network="digits-cnn", refine=4, prepare="swap", calibration_seed=2)
    assert InstanceSpec.from_record(spec.problem, spec.network, spec.everything) == spec


def test_a_store_cannot_smuggle_a_second_network_into_a_spec() -> None:
    spec = InstanceSpec.from_record("adaround", "digits-mlp", {"network": "fashion-mlp", "bits": 2})
    assert spec.network == "digits-mlp"


@pytest.mark.parametrize(
    ("problem", "table", "message"),
    [
        ("adaruond", {"network": "digits-mlp"}, "no problem named 'adaruond'; did you mean 'adaround'?"),
        (3, {"network": "digits-mlp"}, "the name of a problem must be a text, got 3"),
        ("adaround", {}, "problem adaround needs a network"),
        ("adaround", {"network": "digits-mpl"}, "no network named 'digits-mpl'; did you mean 'digits-mlp'?"),
        ("adaround", {"network": 3}, "network must be a text, got 3"),
        ("adaround", {"network": "digits-mlp", "bitz": 3}, "no parameter of adaround named 'bitz'"),
        ("adaround", {"network": "digits-mlp", "problem": "x"}, "no parameter of adaround named 'problem'"),
        ("adaround", {"network": "digits-mlp", "cls": 1}, "no parameter of adaround named 'cls'"),
        (
            "adaround",
            {"network": "digits-mlp", "calibration": 0},
            "calibration must be an integer of at least 1",
        ),
        (
            "adaround",
            {"network": "digits-mlp", "calibration_seed": -1},
            "calibration_seed must be an integer",
        ),
        (
            "hybrid",
            {"network": "digits-cnn", "prepare": "swop"},
            "no solver named 'swop'; did you mean 'swap'?",
        ),
        ("hybrid", {"network": "digits-cnn", "alpha": math.nan}, "alpha must be a finite number"),
        (
            "hybrid",
            {"network": "digits-cnn", "alpha": datetime.date(2026, 1, 1)},
            "alpha must be a finite number",
        ),
    ],
)
def test_a_table_that_is_no_instance_is_refused(
    problem: object, table: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        InstanceSpec.of(problem, **table)


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("tabuu", {}, "no solver named 'tabuu'; did you mean 'tabu'?"),
        (["tabu"], {}, "the name of a solver must be a text"),
        ("neal", {"num_reeds": 3}, "neal has no parameter 'num_reeds'"),
        ("neal", {"num_reads": 0}, "num_reads must lie in"),
        ("neal", {"name": "x"}, "neal has no parameter 'name'"),
    ],
)
def test_a_table_that_is_no_solver_is_refused(name: object, table: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        SolverSpec.of(name, **table)


def test_the_key_of_an_instance_knows_version_parameters_and_data() -> None:
    spec = InstanceSpec.of("adaround", network="digits-mlp", bits=3)
    task = spec.task()
    others = [
        InstanceSpec.of("adaround", network="digits-mlp", bits=4),
        InstanceSpec.of("adaround", network="digits-mlp", bits=3, calibration_seed=1),
        InstanceSpec.of("adaround", network="digits-mlp", bits=3, calibration=499),
    ]
    keys = {spec.key(task), spec.key(task, version=99), *(other.key(other.task()) for other in others)}
    assert len(keys) == 5
    assert spec.key(spec.task()) == spec.key(task)
