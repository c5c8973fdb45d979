"""The registry: names, parameters with their ranges, limits; errors that name the cure."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
import scipy.sparse as sp

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding
from qubopress.solvers import Choice, Parameter, Range, Run


def register(name: str = "mine", **facts: Any) -> solvers.Entry:
    @solvers.solver(name, **({"accepts": Qubo} | facts))
    def search(
        qubo: Qubo,
        run: Run,
        *,
        sweeps: Annotated[int, Range(1, 100)] = 10,
        cooling: Annotated[float, Range(0.0, 1.0)] = 0.5,
        mode: Annotated[str, Choice("fast", "slow")] = "fast",
        greedy: bool = False,
        label="plain",  # type: ignore[no-untyped-def]  # a parameter need not be annotated
    ) -> None:
        """Search somehow.

        At length.
        """
        run.offer(np.zeros(qubo.n))

    return solvers.get(name)


def test_a_registered_solver_is_found_by_name_with_its_facts() -> None:
    entry = register(reference="Somebody 1999", exact=True, anytime=False, max_variables=7)
    assert "mine" in solvers.names()
    assert entry.accepts == (Qubo,)
    assert entry.reference == "Somebody 1999"
    assert (entry.exact, entry.anytime, entry.max_variables) == (True, False, 7)
    assert entry.summary == "Search somehow."


def test_parameters_are_read_off_the_signature() -> None:
    parameters = register().parameters
    assert parameters["sweeps"] == Parameter("sweeps", 10, int, Range(1, 100))
    assert parameters["mode"] == Parameter("mode", "fast", str, Choice("fast", "slow"))
    assert parameters["greedy"] == Parameter("greedy", False, bool, None)
    assert parameters["label"] == Parameter("label", "plain", str, None)


def test_names_are_sorted_and_each_is_explained() -> None:
    assert solvers.names() == sorted(solvers.names())
    for name in solvers.names():
        assert solvers.get(name).summary.endswith("."), name


def test_every_default_lies_in_its_own_range() -> None:
    for name in solvers.names():
        for parameter in solvers.get(name).parameters.values():
            assert parameter.check(parameter.default) == parameter.default


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(InputError, match="a solver named 'tabu' is registered already; choose another name"):
        register("tabu")


def test_a_parameter_without_a_default_is_refused() -> None:
    def search(qubo: Qubo, run: Run, *, sweeps: int) -> None: ...

    with pytest.raises(InputError, match="parameter 'sweeps' needs a default"):
        solvers.solver("mine", accepts=Qubo)(search)
    assert "mine" not in solvers.names()


def test_a_way_to_a_capacity_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="capacity must be one of field-search, penalty, got 'slack'"):
        register(accepts=Qubo, capacity="slack")


@pytest.mark.parametrize("accepts", [Capacity, (Qubo, Capacity)])
def test_a_penalty_is_for_solvers_of_qubos_alone(accepts: Any) -> None:
    with pytest.raises(InputError, match="capacity='penalty' must come with a solver of Qubos alone"):
        register(accepts=accepts, capacity="penalty")


def test_a_shape_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(InputError, match=r"accepts must name Qubo, .* or BlackBox, got <class 'int'>"):
        register(accepts=(Qubo, int))


@pytest.mark.parametrize(
    ("typed", "meant"), [("tabou", "tabu"), ("one_flip", "one-flip"), ("cpsat", "cp-sat")]
)
def test_a_misspelt_name_gets_the_closest_one(typed: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"no solver named '{typed}'; did you mean '{meant}'?"):
        solvers.get(typed)


def test_a_name_like_no_other_gets_them_all() -> None:
    with pytest.raises(InputError, match=r"no solver named 'zzz'; there are: .*cp-sat, .*dwave-tabu"):
        solvers.get("zzz")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sweeps": 0}, r"sweeps must lie in \[1, 100\], got 0"),
        ({"sweeps": 101}, r"sweeps must lie in \[1, 100\], got 101"),
        ({"sweeps": 2.5}, r"sweeps must be of type int, got 2\.5"),
        ({"sweeps": True}, "sweeps must be of type int, got True"),
        ({"cooling": -0.1}, r"cooling must lie in \[0, 1\], got -0\.1"),
        ({"cooling": float("nan")}, r"cooling must lie in \[0, 1\], got nan"),
        ({"cooling": "hot"}, "cooling must be of type float, got 'hot'"),
        ({"mode": "medium"}, r"mode must be one of \('fast', 'slow'\), got 'medium'"),
        ({"greedy": 1}, "greedy must be of type bool, got 1"),
        ({"swepes": 5}, "mine has no parameter 'swepes'; it has: sweeps, cooling, mode, greedy, label"),
    ],
)
def test_a_parameter_outside_its_range_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        register().settings(given)


def test_a_solver_without_parameters_says_so() -> None:
    with pytest.raises(InputError, match="one-flip has no parameter 'sweeps'; it has: none"):
        solvers.solve(Qubo(np.eye(2)), "one-flip", sweeps=3)


def test_given_parameters_reach_the_solver_converted() -> None:
    settings = register().settings({"cooling": 1, "sweeps": np.int64(3)})
    assert settings == {"cooling": 1.0, "sweeps": 3}
    assert type(settings["cooling"]) is float
    assert type(settings["sweeps"]) is int


@pytest.mark.parametrize(
    ("instance", "size"),
    [
        (Qubo(np.eye(8)), 8),
        (Capacity(np.eye(8), np.ones(8), 2), 8),
        (BlackBox(lambda x: x.sum(axis=1), 8, start=np.zeros(8)), 8),
        (Rounding(np.eye(4), np.zeros((3, 4)), levels=4), 8),
        (Rounding(np.eye(9), np.zeros((1, 9)), fixed=[[0] + [-1] * 8]), 8),
    ],
)
def test_size_is_judged_by_the_largest_part(instance: Instance, size: int) -> None:
    assert register("small", max_variables=size).refuses(instance) is None
    assert register("smaller", max_variables=size - 1).refuses(instance) == (
        f"smaller takes at most {size - 1} variables, got {size}"
    )


@pytest.mark.parametrize(
    ("instance", "couplings"),
    [
        (Qubo(np.ones((8, 8))), 28),
        (Qubo(sp.csr_array(np.diag(np.ones(7), 1))), 7),
        (Qubo(np.diag(np.ones(7), 1)), 7),
        (Capacity(np.diag(np.ones(7), 1), np.ones(8), 2), 7),
        (BlackBox(lambda x: x.sum(axis=1), 8, start=np.zeros(8)), 28),
        (Rounding(np.eye(4), np.zeros((3, 4)), levels=4), 28),
    ],
)
def test_couplings_are_counted_as_well(instance: Instance, couplings: int) -> None:
    assert register("small", max_couplings=couplings).refuses(instance) is None
    assert register("smaller", max_couplings=couplings - 1).refuses(instance) == (
        f"smaller takes at most {couplings - 1} couplings, got {couplings}"
    )


def test_a_solver_reaches_what_it_accepts_and_what_an_adapter_brings_to_it() -> None:
    shapes = (Qubo, Capacity, Rounding, BlackBox)
    reached = {
        name: [solvers.reaches(solvers.get(name), shape) for shape in shapes]
        for name in ("one-flip", "swap", "nearest-plane", "tensor-train")
    }
    assert reached == {
        "one-flip": [True, True, True, False],
        "swap": [False, True, False, False],
        "nearest-plane": [False, False, True, False],
        "tensor-train": [True, True, True, True],
    }


def test_a_shape_out_of_reach_is_an_error() -> None:
    with pytest.raises(InputError, match="swap solves Capacity, got a Qubo"):
        solvers.solve(Qubo(np.eye(2)), "swap")
