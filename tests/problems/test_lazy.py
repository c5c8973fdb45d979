"""A package's names come from their modules when they are asked for, and no others do."""

from __future__ import annotations

import sys

import pytest

from qubopress import problems, results, solvers, suites
from qubopress.problems.lazy import lazily


@pytest.mark.parametrize("package", [problems, solvers, suites, results])
def test_every_name_that_a_package_hands_on_can_be_had_and_is_listed(package) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("package", [problems, solvers, suites, results])
def test_another_name_is_an_attribute_error(package) -> None:
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(problems), "Qubo", raising=False)
    find, _ = lazily("qubopress.problems", {"Qubo": "instances.qubo"})
    assert find("Qubo") is vars(sys.modules["qubopress.problems"])["Qubo"]
