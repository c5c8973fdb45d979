"""The bridge to dimod: our solvers as dimod samplers, and any dimod sampler as one of our solvers."""

from __future__ import annotations

from typing import Annotated, Any, cast

import dimod
import numpy as np
from dimod.core.sampler import Sampler

from ..problems import InputError, Qubo
from .registry import Entry, Range, get, solver
from .run import Run
from .solving import solve

__all__ = ["RegisteredSampler", "from_dimod", "sampler"]

OWN = ("seed", "time_limit", "num_reads")
"""What every sampler takes beside the parameters of its solver."""


class RegisteredSampler(Sampler):
    """A registered solver behind dimod's interface.

    Attributes:
        parameters: the solver's own, and `seed`, `time_limit` (seconds) and `num_reads`.
        properties: `solver` (its name) and `reference`.
    """

    parameters: dict[str, Any] = {}  # noqa: RUF012 - dimod asks the class for both names
    properties: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.parameters = {name: [] for name in (*entry.parameters, *OWN)}
        self.properties = {"solver": entry.name, "reference": entry.reference}

    def sample(
        self,
        bqm: dimod.BinaryQuadraticModel,
        *,
        seed: int | None = None,
        time_limit: float | None = None,
        num_reads: int | None = None,
        **parameters: Any,
    ) -> dimod.SampleSet:
        """Minimise a model of any vartype and labels; one sample for each search.

        Parameters:
            bqm: the model; samples come in its vartype and its labels.
            seed: non-negative integer, None for a fresh one.
            time_limit: seconds for all reads together; None does one run of the solver's fixed work a read.
            num_reads: independent searches, one by default, or the solver's own reads where it has that
                parameter.
            parameters: the solver's own.

        Raises:
            InputError: an unknown parameter, or a value outside its range.
        """
        own = "num_reads" in self.entry.parameters
        if own and num_reads is not None:
            parameters["num_reads"] = num_reads
        labels, qubo = list(bqm.variables), _qubo(bqm)
        seeds = np.random.SeedSequence(seed).generate_state(1 if own else max(1, num_reads or 1))
        budget = {"restarts": 1} if time_limit is None else {"seconds": time_limit / len(seeds)}
        reads = [solve(qubo, self.entry.name, seed=int(one), **budget, **parameters) for one in seeds]
        for read in reads:
            if read.x is None:
                raise InputError(f"{self.entry.name} has no solution: {read.message}")
        bits = np.array([read.x for read in reads], dtype=np.int8).reshape(len(reads), len(labels))
        return _sampleset(bits, labels, bqm, status=[str(read.status) for read in reads])


def sampler(name: str) -> RegisteredSampler:
    """A registered solver of Qubos as a dimod sampler.

    Raises:
        InputError: there is no such solver, or it does not take a Qubo.
    """
    entry = get(name)
    if Qubo not in entry.accepts:
        takes = ", ".join(shape.__name__ for shape in entry.accepts)
        raise InputError(f"a dimod sampler needs a solver of Qubos, but {name} solves {takes}")
    return RegisteredSampler(entry)


def _qubo(bqm: dimod.BinaryQuadraticModel) -> Qubo:
    """The model over 0/1 variables in the order of its labels."""
    binary = bqm.change_vartype(dimod.BINARY, inplace=False)
    vectors: Any = binary.to_numpy_vectors(variable_order=list(bqm.variables))
    linear, (row, column, value), offset = vectors
    Q = np.diag(np.asarray(linear, dtype=np.float64))
    Q[row, column] = value
    return Qubo(Q, float(offset))


def _sampleset(
    bits: Any, labels: list[Any], bqm: dimod.BinaryQuadraticModel, *, status: list[str]
) -> dimod.SampleSet:
    values = bits if bqm.vartype is dimod.BINARY else 2 * bits - 1
    make: Any = dimod.SampleSet.from_samples_bqm
    return cast(dimod.SampleSet, make((values, labels), bqm, info={"status": status}))


def from_dimod(sampler: Sampler, *, name: str, reference: str = "") -> Entry:
    """Register a dimod sampler as a solver of Qubos; a restart is one call of `sample`.

    It is given a seed, and takes `num_reads` as a parameter, where it knows them. dimod has no way to stop a
    call, so its calls should be short beside the budget.

    Raises:
        InputError: the name is taken.
    """
    seeded = "seed" in sampler.parameters

    def search(qubo: Qubo, run: Run, **given: Any) -> None:
        bqm = qubo.to_bqm()
        while run.open():
            seed = {"seed": int(run.rng.integers(2**31))} if seeded else {}
            best = sampler.sample(bqm, **seed, **given).first.sample
            run.offer([best[i] for i in range(qubo.n)])

    def search_reads(
        qubo: Qubo, run: Run, *, num_reads: Annotated[int, Range(1, 1_000_000, log=True)] = 1
    ) -> None:
        search(qubo, run, num_reads=num_reads)

    chosen = search_reads if "num_reads" in sampler.parameters else search
    chosen.__doc__ = f"{type(sampler).__name__}, a dimod sampler; a restart is one call of it."
    solver(name, accepts=Qubo, reference=reference, anytime=False)(chosen)
    return get(name)
