"""solve: bring a solver to an instance, run it under a budget, check what it says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..problems import SHAPES, BlackBox, Capacity, InputError, Instance, Qubo, Rounding
from ..problems.arrays import count, number
from ..problems.threads import pools
from .adapters import adapter_for
from .compiled import compiles
from .registry import get
from .run import Declined, Run
from .solution import Solution, conclude
from .status import Status

__all__ = ["skipped", "solve", "trivial", "warm"]

SECONDS = 2.0
"""Budget where the caller gives neither seconds nor restarts nor evaluations."""

OURS = __name__.rpartition(".")[0] + "."
"""Where the package's own solvers are."""

MOST_THREADS = 256
"""More would not start on any machine; each takes a stack of its own."""


def solve(
    instance: Instance,
    solver: str,
    *,
    seconds: float | None = None,
    seed: int = 0,
    restarts: int | None = None,
    evaluations: int | None = None,
    target: float | None = None,
    threads: int = 1,
    watch: Callable[[Run], None] | None = None,
    **parameters: Any,
) -> Solution:
    """Search an instance with a registered solver.

    Parameters:
        instance: a Qubo, Capacity, Rounding or BlackBox.
        solver: name in the registry.
        seconds: wall-clock budget; 2 s where neither restarts nor evaluations bound the work.
        seed: non-negative integer; the same seed and the same fixed work give the same bits.
        restarts: None repeats until the budget is used; r does r runs of the solver's fixed work.
        evaluations: most new losses that a search of a BlackBox may ask for; other shapes ignore it.
        target: loss at which to stop.
        threads: threads the solver may use.
        watch: given the run before the search begins, for those who look on; nothing is warmed after it.
        parameters: the solver's own; see `qubopress list`.

    Raises:
        InputError: an unknown solver, shape or parameter, or a budget that is none.
        OfferError: the solver offered what is no solution.
    """
    if not isinstance(instance, tuple(SHAPES.values())):
        raise InputError(
            f"instance must be Qubo, Capacity, Rounding or BlackBox, got {type(instance).__name__}"
        )
    entry = get(solver)
    values = entry.settings(parameters)
    adapter = adapter_for(entry, instance)
    bounded = evaluations if instance.counted else None
    budget = _budget(seconds, restarts, bounded) | _threads(threads)
    goal = None if target is None else number(target, name="target")
    reason = entry.refuses(instance)
    if reason:
        return skipped(reason)
    with _limited(threads):
        warm(entry.name, type(instance), **_form(instance))
        run = Run(
            instance, seed=count(seed, name="seed", low=0), target=goal, unit=entry.unit(instance), **budget
        )
        if watch is not None:
            watch(run)
        try:
            return trivial(instance, run) or adapter(instance, run, entry, values)
        except Declined as declined:
            return skipped(str(declined))


def _budget(seconds: float | None, restarts: int | None, evaluations: int | None) -> dict[str, Any]:
    if seconds is None and restarts is None and evaluations is None:
        seconds = SECONDS
    if seconds is not None and number(seconds, name="seconds") <= 0:
        raise InputError(f"seconds must be positive, got {seconds}")
    return {
        "seconds": None if seconds is None else float(seconds),
        "restarts": None if restarts is None else count(restarts, name="restarts", low=1),
        "evaluations": None if evaluations is None else count(evaluations, name="evaluations", low=1),
    }


def _threads(threads: int) -> dict[str, Any]:
    return {"threads": count(threads, name="threads", low=1, high=MOST_THREADS)}


def skipped(reason: str) -> Solution:
    """The solution of a solver that declined."""
    return Solution(None, None, None, None, None, Status.SKIPPED, [], 0.0, message=reason)


def trivial(instance: Instance, run: Run) -> Solution | None:
    """The solution of an instance that leaves no choice, None for any other."""
    if np.prod(instance.shape) and not instance.settled:
        return None
    only = instance.baseline()
    run.offer(only)
    run.prove(run.loss)
    return conclude(run, seconds=run.elapsed(), adapter="no free variable")


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """At most `threads` threads in BLAS, OpenMP and torch while the search runs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with pools().limit(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)


def warm(name: str, shape: type, *, sparse: bool = False, levels: int = 2, groups: bool = False) -> None:
    """Compile and import what a solver needs for a shape, on a tiny instance, before any clock starts.

    A stranger's solver without kernels has nothing to compile: it would only run, and may take its time.

    Parameters:
        name: of the solver.
        shape: class of the instance.
        sparse: whether its matrix is.
        levels: values of a coordinate of a Rounding: kernels for two are others than those for more.
        groups: whether a neuron of a Rounding has a step for each group.
    """
    search = get(name).search
    if search.__module__.startswith(OURS) or compiles(search):
        _warmed(search, name, shape, (sparse, levels, groups))


def _form(instance: Instance) -> dict[str, Any]:
    """What decides which kernels an instance takes, beside its class."""
    if not isinstance(instance, Rounding):
        return {"sparse": instance.sparse}
    return {"levels": 2 if (instance.levels == 2).all() else 3, "groups": instance.group is not None}


@functools.cache
def _warmed(search: Callable[..., None], name: str, shape: type, form: tuple[bool, int, bool]) -> None:
    entry, tiny = get(name), _tiny(shape, *form)
    # A pass that compiled has used its budget and may have stopped before the solver's next kernel.
    for _ in range(5):
        run = Run(tiny, restarts=1, seconds=0.05, evaluations=8)
        # A solver that fails on two variables may be right on the real instance, where errors do count.
        with suppress(Exception):
            adapter_for(entry, tiny)(tiny, run, entry, {})
        if run.elapsed() < 0.1:
            return


def _tiny(shape: type, sparse: bool, levels: int, groups: bool) -> Instance:
    """A two-variable instance of a shape."""
    Q: Any = np.array([[1.0, -2.0], [-2.0, 1.5]])
    if shape is Rounding:
        split: dict[str, Any] = {"group": [0, 1], "scale": [[1.0, 1.0]]} if groups else {}
        return Rounding(np.eye(2), [[0.25, 0.75]], levels=levels, **split)
    if shape is BlackBox:
        return BlackBox(lambda x: x.sum(axis=1).astype(float), 2, start=[1, 0], K=1)
    Q = sp.csr_array(Q) if sparse else Q
    return Capacity(Q, np.ones(2), 1) if shape is Capacity else Qubo(Q)
