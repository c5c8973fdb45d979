"""Anyone can register a formulation, and its mistakes are told in one line."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import mlp_task, one_thread

from qubopress import problems
from qubopress.problems import InputError, Qubo
from qubopress.problems.errors import unknown_name

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def two_stages(task, *, n=2, weight=1.0):
    """Weigh bits.

    In two stages.
    """
    x = yield Qubo(weight * np.eye(n))
    y = yield Qubo(-np.eye(n), offset=float(x.sum()))
    network = task.copy()
    network.answers = (x, y)
    return network


def test_a_registered_problem_can_be_found_described_and_driven() -> None:
    assert problems.problem("mine", family="test", version=3)(two_stages) is two_stages
    found = problems.get("mine")
    assert "mine" in problems.names()
    assert problems.names() == sorted(problems.names())
    assert (found.name, found.family, found.version) == ("mine", "test", 3)
    assert (found.summary, found.defaults) == ("Weigh bits.", {"n": 2, "weight": 1.0})


def test_each_stage_is_sent_the_answer_to_its_own_instance() -> None:
    problems.problem("mine")(two_stages)
    seen = []

    def decide(stage, instance):
        seen.append((stage, instance.offset, instance.n))
        return [True, False, True] if stage == 0 else np.zeros(3)

    network = problems.drive(problems.get("mine"), mlp_task(), {"n": 3}, decide)
    assert seen == [(0, 0.0, 3), (1, 2.0, 3)]
    assert [answer.tolist() for answer in network.answers] == [[1, 0, 1], [0, 0, 0]]
    assert all(answer.dtype == np.int8 for answer in network.answers)


def test_a_problem_without_stages_ends_at_once() -> None:
    @problems.problem("nothing")
    def nothing(task):
        return task.copy()
        yield

    def never(*_):
        pytest.fail("there is nothing to decide")

    assert problems.drive(problems.get("nothing"), mlp_task(), {}, never) is not None


def test_settings_put_what_is_given_over_the_defaults() -> None:
    problems.problem("mine")(two_stages)
    assert problems.get("mine").settings({"weight": 2.0}) == {"n": 2, "weight": 2.0}
    assert problems.get("mine").defaults == {"n": 2, "weight": 1.0}


def test_an_unknown_parameter_is_refused_with_the_closest() -> None:
    problems.problem("mine")(two_stages)
    with pytest.raises(InputError, match="no parameter of mine named 'weigth'; did you mean 'weight'"):
        problems.get("mine").settings({"weigth": 1})


def test_an_unknown_problem_is_refused_with_the_closest() -> None:
    with pytest.raises(InputError, match="no problem named 'adaruond'; did you mean 'adaround'"):
        problems.get("adaruond")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(
        InputError, match="a problem named 'adaround' is registered already; choose another name"
    ):
        problems.problem("adaround")(two_stages)


def plain(task):
    return task


def needy(task, bits):
    yield bits


def empty():
    yield


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        (plain, "a problem must be a generator function: yield instances, return the network"),
        (needy, "parameter 'bits' must have a default"),
        (empty, r"a problem must take the task first; write def mine\(task"),
    ],
)
def test_what_is_no_formulation_is_refused_and_not_registered(generate, message) -> None:
    with pytest.raises(InputError, match=message):
        problems.problem("mine")(generate)
    assert "mine" not in problems.names()


def test_an_answer_that_is_no_solution_is_refused() -> None:
    problems.problem("mine")(two_stages)
    with pytest.raises(InputError, match=r"bits must have shape \(2,\), got \(3,\)"):
        problems.drive(problems.get("mine"), mlp_task(), {}, lambda *_: [0, 0, 0])


@pytest.mark.parametrize("end", [None, 3])
def test_an_end_without_a_network_is_refused(end) -> None:
    @problems.problem("endless")
    def endless(task):
        yield Qubo(np.eye(1))
        return end

    with pytest.raises(InputError, match=f"endless must return a torch module, got {type(end).__name__}"):
        problems.drive(problems.get("endless"), mlp_task(), {}, lambda *_: [0])


def test_a_name_that_is_near_none_gets_the_cure_of_who_asks() -> None:
    known = ["tabu", "neal"]
    assert str(unknown_name("solver", "tabou", known, cure="look")) == (
        "no solver named 'tabou'; did you mean 'tabu'?"
    )
    assert str(unknown_name("solver", "xyz", known, cure="look")) == "no solver named 'xyz'; look"
    assert str(unknown_name("solver", "xyz", known)) == "no solver named 'xyz'; choose from neal, tabu"
