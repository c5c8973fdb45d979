"""The bridge to dimod: our solvers as dimod samplers, and any dimod sampler as one of our solvers."""

from __future__ import annotations

import inspect
import sys
from typing import Annotated, Any, cast

import dimod
import numpy as np
import scipy.sparse as sp
from dimod.core.sampler import Sampler

from ..problems import InputError, Qubo
from ..problems.arrays import count, number
from .registry import Entry, Range, get, solver
from .run import Run
from .solving import solve

__all__ = ["RegisteredSampler", "from_dimod", "sampler"]

OWN = ("seed", "time_limit", "num_reads")
"""What every sampler takes beside the parameters of its solver."""

MOST_READS = 10_000

DENSE, SHARE = 500, 0.1
"""Models of so many variables, or with more than this share of all couplings, become dense matrices."""


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
        """Minimise a model of any vartype and labels; one sample for each read.

        Parameters:
            bqm: the model; samples come in its vartype and its labels.
            seed: non-negative integer, None for a fresh one.
            time_limit: seconds for all reads together; None does one run of the solver's fixed work a read.
            num_reads: independent searches, one by default, each of which gives a sample. A solver with
                reads of its own does one in each, or as many as it must.
            parameters: the solver's own.

        Raises:
            InputError: an unknown parameter, or a value outside its range.
        """
        seeds = _seeds(seed, num_reads)
        if time_limit is not None and number(time_limit, name="time_limit") <= 0:
            raise InputError(f"time_limit must be positive, got {time_limit}")
        own = self.entry.parameters.get("num_reads")
        # The replicas that tempering calls its reads are two at least, and end in one point.
        if num_reads is not None and own is not None and own.takes(1):
            parameters["num_reads"] = 1
        labels, qubo = list(bqm.variables), _qubo(bqm)
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


def _seeds(seed: int | None, num_reads: int | None) -> Any:
    """A seed for each read."""
    reads = 1 if num_reads is None else count(num_reads, name="num_reads", low=1, high=MOST_READS)
    first = None if seed is None else count(seed, name="seed", low=0)
    return np.random.SeedSequence(first).generate_state(reads)


def _qubo(bqm: dimod.BinaryQuadraticModel) -> Qubo:
    """The model over 0/1 variables in the order of its labels, sparse where it is."""
    linear, (i, j, weights), offset = _vectors(bqm)
    if bqm.vartype is dimod.SPIN:
        # s = 2x − 1
        offset += float(weights.sum() - linear.sum())
        met = np.bincount(i, weights, len(linear)) + np.bincount(j, weights, len(linear))
        linear, weights = 2.0 * (linear - met), 4.0 * weights
    n = len(linear)
    every = np.arange(n)
    parts = np.concatenate([linear, weights]), (np.concatenate([every, i]), np.concatenate([every, j]))
    matrix = sp.coo_array(parts, shape=(n, n)).tocsr()
    dense = n <= DENSE or len(weights) > SHARE * n * (n - 1) / 2
    return Qubo(matrix.toarray() if dense else matrix, float(offset))


def _vectors(bqm: dimod.BinaryQuadraticModel) -> tuple[Any, tuple[Any, Any, Any], float]:
    """Linear terms, couplings and offset in the order of the labels."""
    vectors: Any = bqm.to_numpy_vectors(variable_order=list(bqm.variables))
    linear, (i, j, weights), offset = vectors
    return np.asarray(linear, np.float64), (i, j, np.asarray(weights, np.float64)), float(offset)


def _sampleset(
    bits: Any, labels: list[Any], bqm: dimod.BinaryQuadraticModel, *, status: list[str]
) -> dimod.SampleSet:
    values = bits if bqm.vartype is dimod.BINARY else 2 * bits - 1
    make: Any = dimod.SampleSet.from_samples_bqm
    return cast(dimod.SampleSet, make((values, labels), bqm, info={"status": status}))


def from_dimod(sampler: Sampler, *, name: str, reference: str = "") -> Entry:
    """Register a dimod sampler as a solver of Qubos; a restart is one call of `sample`.

    It is given a seed, and takes `num_reads` as a parameter, where it knows them: by its `parameters`, or by
    the signature of its `sample`, since some name there what they do not list. dimod has no way to stop a
    call, so its calls should be short beside the budget.

    Raises:
        InputError: the name is taken.
    """
    known = _known(sampler)
    seeded = "seed" in known

    def search(qubo: Qubo, run: Run, **given: Any) -> None:
        bqm = qubo.to_bqm()
        while run.open():
            seed = {"seed": int(run.rng.integers(2**31))} if seeded else {}
            run.offer(_best(sampler.sample(bqm, **seed, **given), qubo))

    def search_reads(
        qubo: Qubo, run: Run, *, num_reads: Annotated[int, Range(1, 1_000_000, log=True)] = 1
    ) -> None:
        search(qubo, run, num_reads=num_reads)

    chosen = search_reads if "num_reads" in known else search
    # Whoever calls brings it: cells find it where they import that.
    chosen.__module__ = sys._getframe(1).f_globals["__name__"]
    chosen.__doc__ = f"{type(sampler).__name__}, a dimod sampler; a restart is one call of it."
    solver(name, accepts=Qubo, reference=reference, anytime=False)(chosen)
    return get(name)


def _best(found: dimod.SampleSet, qubo: Qubo) -> Any:
    """The sample of least loss; a sampler's own energies may be those of other points, as of rotors."""
    if not len(found):
        raise ValueError("a dimod sampler must give at least one sample, got none")
    places = [found.variables.index(i) for i in range(qubo.n)]
    samples = found.record.sample[:, places]
    return samples[qubo.losses(samples).argmin()]


def _known(sampler: Sampler) -> set[str]:
    """Names that a sampler takes, listed or not."""
    try:
        named = inspect.signature(sampler.sample).parameters.values()
    except (TypeError, ValueError):
        named = {}.values()
    spoken = {one.name for one in named if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
    return spoken | set(sampler.parameters)
