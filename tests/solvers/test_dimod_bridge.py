"""The bridge to dimod: samplers pass dimod's own tests, and any sampler becomes a solver."""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import dimod
import dimod.testing
import numpy as np
import pytest
import scipy.sparse as sp
from dwave.samplers import SteepestDescentSolver

from qubopress import solvers
from qubopress.problems import InputError, Qubo
from qubopress.solvers import dimod_bridge, registry

SAMPLERS = [
    name
    for name in solvers.names()
    if Qubo in solvers.get(name).accepts and all(solvers.get(name).versions().values())
]
"""Every registered solver that a dimod sampler can be made of, and whose packages are here."""


@pytest.fixture
def _registry() -> Iterator[None]:
    before = dict(registry._REGISTRY)
    yield
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)


def triangle(vartype: str = "SPIN") -> dimod.BinaryQuadraticModel:
    quadratic = {("a", "b"): 1.0, ("b", 3): 1.0, ("a", 3): -2.0}
    return dimod.BinaryQuadraticModel({"a": 0.5, 3: -0.25}, quadratic, 1.5, vartype)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_has_the_api_of_dimod(name: str) -> None:
    dimod.testing.assert_sampler_api(solvers.sampler(name))


def _tests_of_dimod(name: str) -> type[unittest.TestCase]:
    """dimod's own tests of a sampler: small models of every kind, whose labels and vartype must be kept."""

    def make() -> dimod.Sampler:
        return solvers.sampler(name)

    make.__name__ = name.replace("-", "_")
    case = type(make.__name__, (unittest.TestCase,), {})
    return dimod.testing.load_sampler_bqm_tests(make)(case)  # type: ignore[no-any-return]


def _claims() -> list[Any]:
    """(sampler, one of dimod's tests) for every sampler."""
    cases = {name: _tests_of_dimod(name) for name in SAMPLERS}
    loader = unittest.defaultTestLoader
    return [
        pytest.param(case, method, id=f"{name}-{method}")
        for name, case in cases.items()
        for method in loader.getTestCaseNames(case)
    ]


CLAIMS = _claims()


@pytest.mark.parametrize(("case", "method"), CLAIMS)
def test_a_sampler_passes_a_test_of_dimods_own(case: type[unittest.TestCase], method: str) -> None:
    result = unittest.TestResult()
    case(method).run(result)
    assert result.testsRun == 1
    assert not result.skipped
    assert [text for _, text in result.failures + result.errors] == []


def test_dimod_has_tests_for_every_sampler() -> None:
    assert len(CLAIMS) >= 20 * len(SAMPLERS)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("name", ["exhaustive", "cp-sat"])
def test_an_exact_sampler_finds_the_ground_state_in_the_models_own_labels(name: str, vartype: str) -> None:
    bqm = triangle(vartype)
    best = solvers.sampler(name).sample(bqm).first
    assert best.energy == pytest.approx(dimod.ExactSolver().sample(bqm).first.energy)
    assert set(best.sample) == {"a", "b", 3}
    assert set(best.sample.values()) <= set(dimod.as_vartype(vartype).value)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_labels_that_are_numbers_in_another_order_are_no_positions(vartype: str) -> None:
    linear, quadratic = {2: -3.0, 0: 2.0, 3: 0.5, 1: -1.0}, {(2, 0): -0.5, (3, 1): 1.5}
    bqm = dimod.BinaryQuadraticModel(linear, quadratic, 0.0, vartype)
    assert list(bqm.variables) == [2, 0, 3, 1]
    for name in ("exhaustive", "cp-sat"):
        assert solvers.sampler(name).sample(bqm).first.sample == dimod.ExactSolver().sample(bqm).first.sample


def test_energies_are_those_of_the_model() -> None:
    bqm = triangle()
    found = solvers.sampler("random").sample(bqm, seed=3, num_reads=4)
    dimod.testing.assert_response_energies(found, bqm)
    assert len(found) == 4


def test_the_same_seed_gives_the_same_samples() -> None:
    bqm = dimod.generators.gnp_random_bqm(30, 0.3, "SPIN", random_state=1)
    first, second = (solvers.sampler("one-flip").sample(bqm, seed=7, num_reads=3) for _ in range(2))
    np.testing.assert_array_equal(first.record.sample, second.record.sample)
    other = solvers.sampler("one-flip").sample(bqm, seed=8, num_reads=3)
    assert not np.array_equal(first.record.sample, other.record.sample)


@pytest.mark.parametrize("name", ["sa", "neal", "tempering", "neal-penalty", "tabu", "one-flip"])
def test_every_read_that_was_asked_for_is_a_sample(name: str) -> None:
    sweeps = {"num_sweeps": 10} if "num_sweeps" in solvers.get(name).parameters else {}
    found = solvers.sampler(name).sample(triangle(), seed=1, num_reads=5, **sweeps)
    assert len(found) == 5
    assert len(found.info["status"]) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_reads": 0}, r"num_reads must be an integer in \[1, 10000\], got 0"),
        ({"num_reads": -3}, "num_reads must be an integer .* got -3"),
        ({"num_reads": 1.0}, r"num_reads must be an integer .* got 1\.0"),
        ({"num_reads": True}, "num_reads must be an integer .* got True"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"seed": 1.5}, "seed must be an integer of at least 0"),
        ({"time_limit": 0}, "time_limit must be positive, got 0"),
        ({"time_limit": -1.0}, "time_limit must be positive"),
    ],
)
@pytest.mark.parametrize("name", ["neal", "one-flip"])
def test_what_is_no_number_of_reads_no_seed_or_no_time_is_refused(
    name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        solvers.sampler(name).sample(triangle(), **given)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
def test_a_sparse_model_stays_sparse_and_its_losses_are_the_energies(vartype: str) -> None:
    rng = np.random.default_rng(0)
    n = 2_000
    first, distance = rng.integers(0, n, 6_000), rng.integers(1, n, 6_000)
    couplings = first, (first + distance) % n, rng.normal(size=6_000)
    bqm = dimod.BinaryQuadraticModel.from_numpy_vectors(rng.normal(size=n), couplings, 1.5, vartype)
    qubo = dimod_bridge._qubo(bqm)
    assert qubo.sparse
    assert qubo.Q.nnz <= n + 12_000
    bits = rng.integers(0, 2, (5, n))
    samples = bits if vartype == "BINARY" else 2 * bits - 1
    np.testing.assert_allclose(qubo.losses(bits), bqm.energies((samples, list(bqm.variables))))


def test_the_time_limit_is_that_of_all_reads_together() -> None:
    sampler, bqm = solvers.sampler("one-flip"), triangle()
    found = sampler.sample(bqm, time_limit=0.1, num_reads=2)
    assert found.info["status"] == ["BUDGET", "BUDGET"]
    assert "time_limit" in sampler.parameters


def test_an_unknown_parameter_is_an_error_that_names_the_known() -> None:
    with pytest.raises(InputError, match="tabu has no parameter 'sweeps'; it has: tenure, flips, share"):
        solvers.sampler("tabu").sample(triangle(), sweeps=3)


def test_a_solver_of_another_shape_is_no_sampler() -> None:
    with pytest.raises(InputError, match="needs a solver of Qubos, but swap solves Capacity"):
        solvers.sampler("swap")


def test_a_model_beyond_the_solvers_size_is_an_error() -> None:
    with pytest.raises(InputError, match="exhaustive has no solution: exhaustive takes at most 25 variables"):
        solvers.sampler("exhaustive").sample(dimod.BinaryQuadraticModel(30, "BINARY"))


class Spy(dimod.Sampler):
    """Exact, and remembers what it was asked."""

    parameters: Mapping[str, list[str]] = MappingProxyType({})
    properties: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *known: str) -> None:
        self.parameters = {name: [] for name in known}
        self.asked: list[dict[str, Any]] = []

    def sample(self, bqm: dimod.BinaryQuadraticModel, **given: Any) -> dimod.SampleSet:
        self.asked.append(given)
        return dimod.ExactSolver().sample(bqm)


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("sparse", [False, True])
def test_a_foreign_sampler_would_get_variables_in_order(sparse: bool) -> None:
    matrix = np.diag([0.0, 0.0, -1.0, 0.0, 2.0])
    matrix[0, 4], matrix[1, 2] = -1.0, 3.0
    model = Qubo(sp.csr_array(matrix) if sparse else matrix).to_bqm()
    assert list(model.variables) == [0, 1, 2, 3, 4]


def test_any_dimod_sampler_becomes_a_solver() -> None:
    entry = solvers.from_dimod(Spy(), name="exact-dimod")
    qubo = Qubo([[1.0, -3.0], [0.0, 1.0]])
    found = solvers.solve(qubo, "exact-dimod", restarts=1)
    assert (entry.name, entry.accepts, dict(entry.parameters)) == ("exact-dimod", (Qubo,), {})
    assert found.loss == -1.0
    assert found.x is not None
    assert found.x.tolist() == [1, 1]


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize("reference", [dimod.ExactSolver, SteepestDescentSolver])
def test_dimods_reference_samplers_become_solvers(reference: Any) -> None:
    entry = solvers.from_dimod(reference(), name="reference", reference="dimod")
    qubo = Qubo(np.array([[1.0, -3.0, 0.5], [0.0, 1.0, 2.0], [0.0, 0.0, -1.0]]), 2.0)
    found = solvers.solve(qubo, "reference", restarts=8, seed=1)
    assert entry.reference == "dimod"
    assert found.loss == pytest.approx(solvers.solve(qubo, "exhaustive").loss)
    back = solvers.sampler("reference").sample(qubo.to_bqm())
    assert back.first.energy == pytest.approx(found.loss)


@pytest.mark.usefixtures("_registry")
def test_a_sampler_is_asked_only_for_what_it_knows() -> None:
    plain, rich = Spy(), Spy("seed", "num_reads")
    solvers.from_dimod(plain, name="plain")
    solvers.from_dimod(rich, name="rich")
    solvers.solve(Qubo(np.eye(2)), "plain", restarts=1)
    solvers.solve(Qubo(np.eye(2)), "rich", restarts=1, num_reads=7)
    assert plain.asked[-1] == {}
    assert rich.asked[-1]["num_reads"] == 7
    assert isinstance(rich.asked[-1]["seed"], int)
    with pytest.raises(InputError, match="plain has no parameter 'num_reads'"):
        solvers.solve(Qubo(np.eye(2)), "plain", restarts=1, num_reads=7)


class Silent(Spy):
    """Takes a seed and reads without listing them, as OpenJij's samplers do."""

    def sample(  # type: ignore[override]
        self, bqm: dimod.BinaryQuadraticModel, num_reads: int = 1, *, seed: int | None = None
    ) -> dimod.SampleSet:
        return super().sample(bqm, num_reads=num_reads, seed=seed)


@pytest.mark.usefixtures("_registry")
def test_what_a_sampler_takes_and_does_not_list_is_seen_in_its_signature() -> None:
    silent = Silent()
    solvers.from_dimod(silent, name="silent")
    for _ in range(2):
        solvers.solve(Qubo(np.eye(2)), "silent", restarts=1, num_reads=7, seed=3)
    first, second = silent.asked
    assert first == second
    assert first["num_reads"] == 7
    assert isinstance(first["seed"], int)


class Claiming(Spy):
    """Gives every point, the worse the better it says that they are."""

    def sample(self, bqm: dimod.BinaryQuadraticModel, **given: Any) -> dimod.SampleSet:
        found = super().sample(bqm, **given)
        return dimod.SampleSet.from_samples(
            (found.record.sample, found.variables), "BINARY", -found.record.energy
        )


@pytest.mark.usefixtures("_registry")
def test_a_samplers_best_read_is_chosen_by_its_loss_and_not_by_what_it_claims() -> None:
    solvers.from_dimod(Claiming(), name="claiming")
    qubo = Qubo(np.array([[1.0, -3.0, 0.5], [0.0, 1.0, 2.0], [0.0, 0.0, -1.0]]), 2.0)
    assert solvers.solve(qubo, "claiming", restarts=1).loss == solvers.solve(qubo, "exhaustive").loss


class Empty(Spy):
    """Has nothing to give."""

    def sample(self, bqm: dimod.BinaryQuadraticModel, **given: Any) -> dimod.SampleSet:
        return super().sample(bqm, **given).slice(0, 0)


@pytest.mark.usefixtures("_registry")
def test_a_sampler_without_a_sample_is_told() -> None:
    solvers.from_dimod(Empty(), name="empty")
    with pytest.raises(ValueError, match="must give at least one sample, got none"):
        solvers.solve(Qubo(np.eye(2)), "empty", restarts=1)


@pytest.mark.usefixtures("_registry")
def test_rotors_of_dwave_are_judged_by_the_bits_they_give() -> None:
    rotors = pytest.importorskip("dwave.samplers.sqa", reason="an older dwave-samplers")
    solvers.from_dimod(rotors.RotorModelAnnealingSampler(), name="rotors")
    qubo = Qubo(np.triu(np.random.default_rng(0).normal(size=(12, 12))))
    found = solvers.solve(qubo, "rotors", restarts=2, num_reads=20, seed=1)
    assert found.x is not None
    assert found.loss == pytest.approx(qubo.loss(found.x))
    assert found.loss == pytest.approx(solvers.solve(qubo, "exhaustive").loss)


@pytest.mark.usefixtures("_registry")
def test_a_sampler_cannot_take_the_name_of_a_solver() -> None:
    with pytest.raises(InputError, match="'tabu' is registered already"):
        solvers.from_dimod(Spy(), name="tabu")
