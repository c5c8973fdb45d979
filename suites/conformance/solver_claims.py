"""What holds for every solver on every shape that it takes itself or through an adapter, claim by claim."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import time
from typing import Any

import numpy as np

from ... import solvers
from ...problems import Instance, Qubo
from ...solvers import Solution, Status
from .claim import Claim, claims, must
from .specimens import INSTANCES, LARGER, SMALLEST, optimum

__all__ = ["CLAIMS", "small", "smallest", "stressed"]

EVALUATIONS = 200
"""Fixed work of a search that asks a black box."""

BUDGET, OVERRUN, TRIES = 0.3, 0.5, 3
"""Seconds of a budget, and what a search may overrun it by."""

CLAIMS: list[Claim] = []
"""Every claim about a solver, in the order in which they are checked."""


# ---- the cases of a solver


def small(name: str) -> list[str]:
    """Kinds of instance that enumeration can judge and the solver reaches."""
    return [kind for kind, make in INSTANCES.items() if _reaches(name, make())]


def each_shape(name: str) -> list[str]:
    """The first of the small kinds of every class of instance."""
    first: dict[type, str] = {}
    for kind in small(name):
        first.setdefault(type(INSTANCES[kind]()), kind)
    return list(first.values())


def stressed(name: str) -> list[str]:
    """Kinds that keep it busy for a budget."""
    return [kind for kind, make in LARGER.items() if _reaches(name, make(4))]


def smallest(name: str) -> list[str]:
    """Instances with next to no choice."""
    return [kind for kind, instance in SMALLEST.items() if _reaches(name, instance)]


def provable(name: str) -> list[str]:
    """The small kinds where the solver says that it proves its results, else none."""
    return small(name) if solvers.get(name).exact else []


def scaled(name: str) -> list[str]:
    """Factors of all coefficients, for solvers that take a Qubo."""
    return ["1e-12", "1e12"] if Qubo in solvers.get(name).accepts else []


def _reaches(name: str, instance: Instance) -> bool:
    return solvers.reaches(solvers.get(name), type(instance))


def fixed_work(instance: Instance, name: str, *, seed: int = 0) -> Solution:
    """What one run of the solver's fixed work finds."""
    evaluations = EVALUATIONS if instance.counted else None
    return solvers.solve(instance, name, restarts=1, evaluations=evaluations, seed=seed)


@functools.cache
def outcome(name: str, kind: str) -> Solution:
    """The same on a small kind; several claims are about this outcome."""
    return fixed_work(INSTANCES[kind](), name)


@functools.cache
def repeated(name: str, kind: str) -> tuple[Solution, list[str]]:
    """The same once more, and which arrays of the instance it changed."""
    instance = INSTANCES[kind]()
    before = {key: array.copy() for key, array in _arrays(instance).items()}
    found = fixed_work(instance, name)
    after = _arrays(instance)
    return found, [key for key, array in before.items() if not np.array_equal(after[key], array)]


@functools.cache
def best_of(kind: str) -> float:
    """The optimum of a small kind."""
    return optimum(INSTANCES[kind]())


# ---- what it returns


@claims(CLAIMS, small)
def the_reported_loss_is_the_loss_of_feasible_bits(name: str, kind: str) -> None:
    """Bits of the instance's shape that keep its constraints, and their loss."""
    instance, found = INSTANCES[kind](), outcome(name, kind)
    must(found.status is not Status.LIED, found.message)
    x = _bits(found)
    must(x.shape == instance.shape, f"bits must have shape {instance.shape}, got {x.shape}")
    must(x.dtype == np.int8, f"bits must be int8, got {x.dtype}")
    true = instance.loss(x)
    must(found.loss == true, f"reported loss {found.loss}, but the bits have {true}")
    violation = instance.violation(x)
    must(found.violation == violation == 0.0, f"bits must be feasible, got a violation of {violation:g}")


@claims(CLAIMS, small)
def the_trace_falls_strictly_to_the_reported_loss(name: str, kind: str) -> None:
    """Times rise inside the search, losses fall, the last is the result's."""
    found = outcome(name, kind)
    _bits(found)
    must(found.trace, "the trace must hold a point for each new best, got none")
    times, losses = [t for t, _ in found.trace], [loss for _, loss in found.trace]
    must(losses[-1] == found.loss, f"the trace ends at {losses[-1]}, the reported loss is {found.loss}")
    must(all(a > b for a, b in itertools.pairwise(losses)), "losses of the trace must fall strictly")
    must(times == sorted(times), "times of the trace must rise")
    must(0.0 <= times[0] <= times[-1] <= found.seconds + 0.05, "times of the trace must lie in the search")


@claims(CLAIMS, small)
def the_same_seed_and_the_same_fixed_work_give_the_same_bits(name: str, kind: str) -> None:
    """All random numbers come from `run.rng`, and no clock decides where work ends."""
    first, (second, _) = outcome(name, kind), repeated(name, kind)
    cure = "take random numbers from run.rng alone"
    must(first.status is second.status, f"ended {first.status}, then {second.status}")
    must(first.loss == second.loss, f"losses {first.loss} and {second.loss} with the same seed; {cure}")
    must(np.array_equal(_bits(first), _bits(second)), f"other bits with the same seed; {cure}")


@claims(CLAIMS, each_shape)
def fixed_work_ends_finished_or_proven(name: str, kind: str) -> None:
    """Without a budget, `run.open()` ends the search."""
    found = solvers.solve(INSTANCES[kind](), name, restarts=2)
    allowed = (Status.FINISHED, Status.OPTIMAL)
    must(found.status in allowed, f"two restarts without a budget ended {found.status}: {_why(found)}")


# ---- what it proves


@claims(CLAIMS, small)
def no_bound_exceeds_the_optimum_and_optimal_means_optimal(name: str, kind: str) -> None:
    """Against enumeration; what is proven optimal is."""
    instance, found, best = INSTANCES[kind](), outcome(name, kind), best_of(kind)
    _bits(found)
    loss = float(found.loss if found.loss is not None else math.nan)
    must(loss >= best - instance.resolution, f"loss {loss} lies below the optimum {best}")
    bound = -math.inf if found.bound is None else found.bound
    must(bound <= best + instance.resolution, f"bound {bound} exceeds the optimum {best}")
    proven = found.status is Status.OPTIMAL
    must(not proven or _close(loss, best, 1e-8), f"OPTIMAL at {loss}, but the optimum is {best}")


@claims(CLAIMS, provable)
def an_exact_solver_equals_enumeration(name: str, kind: str) -> None:
    """And says so. A field reaches only supported capacities, so the field search may miss even then."""
    found, best = outcome(name, kind), best_of(kind)
    _bits(found)
    must(_close(found.loss, best, 1e-9), f"loss {found.loss}, but the optimum is {best}")
    proven = found.status is Status.OPTIMAL or found.adapter == "field-search"
    must(proven, f"an exact solver must end OPTIMAL, got {found.status}; call run.prove(bound)")


# ---- what it keeps to


@claims(CLAIMS, small)
def a_target_that_is_reached_ends_the_search(name: str, kind: str) -> None:
    """A loss that it finds in one restart ends three of them."""
    _bits(outcome(name, kind))
    reachable = outcome(name, kind).loss
    assert reachable is not None
    found = solvers.solve(INSTANCES[kind](), name, seconds=20.0, restarts=3, target=reachable + 1e-9)
    must(found.status in (Status.TARGET, Status.OPTIMAL), f"ended {found.status} at a target it had reached")
    loss = math.inf if found.loss is None else found.loss
    must(loss <= reachable + 1e-9, f"stopped at {loss} above the target {reachable}")


@claims(CLAIMS, small)
def inputs_stay_untouched(name: str, kind: str) -> None:
    """Whoever needs to write takes a copy."""
    _, changed = repeated(name, kind)
    must(not changed, f"{' and '.join(changed)} must stay as given; work on a copy")


@claims(CLAIMS, stressed)
def the_budget_is_kept(name: str, kind: str) -> None:
    """Up to half a second, and there is a solution. A halted machine is forgiven twice."""
    entry = solvers.get(name)
    instance = LARGER[kind](min(100, entry.max_variables or 100))
    solvers.warm(name, type(instance), sparse=bool(getattr(instance, "sparse", False)))
    for _ in range(TRIES):
        found, took = _timed(instance, name)
        if found.loss is not None and took < BUDGET + OVERRUN:
            break
    poll = "poll run.stopped() per sweep"
    must(took < BUDGET + OVERRUN, f"took {took:.2f} s of a budget of {BUDGET} s; {poll}")
    _bits(found)
    must(found.violation == 0.0, f"bits must be feasible, got a violation of {found.violation:g}")
    allowed = (Status.BUDGET, Status.OPTIMAL, Status.FINISHED)
    must(found.status in allowed, f"ended {found.status}: {_why(found)}")


def _timed(instance: Instance, name: str) -> tuple[Solution, float]:
    """A run and its seconds, without the garbage of earlier runs, as in a judged one."""
    gc.collect()
    gc.freeze()  # and not undone: the next collection then looks at what is new, a tenth of a second's work
    begun = time.monotonic()
    found = solvers.solve(instance, name, seconds=BUDGET)
    return found, time.monotonic() - begun


@claims(CLAIMS, smallest)
def the_smallest_instances_are_solved(name: str, kind: str) -> None:
    """No variable, one, all zero, no choice: to the optimum."""
    instance = SMALLEST[kind]
    found = solvers.solve(instance, name, restarts=1)
    _bits(found)
    must(found.violation == 0.0, f"bits must be feasible, got a violation of {found.violation:g}")
    best = optimum(instance)
    must(_close(found.loss, best, 1e-6, absolute=1e-12), f"loss {found.loss}, but the optimum is {best}")


@claims(CLAIMS, scaled)
def the_size_of_the_coefficients_makes_no_difference(name: str, size: str) -> None:
    """The same search on coefficients of another unit."""
    A = np.random.default_rng(0).integers(-9, 9, (8, 8)).astype(float)
    plain, other = (solvers.solve(Qubo(Q), name, restarts=3) for Q in (A, float(size) * A))
    must(other.status is plain.status, f"ended {other.status}, but {plain.status} at size 1")
    _bits(plain)
    want = float(size) * (plain.loss if plain.loss is not None else math.nan)
    must(_close(other.loss, want, 1e-9, absolute=1e-12), f"loss {other.loss} in place of {want}")


# ---- helpers


def _bits(found: Solution) -> Any:
    """The bits of a solution; Broken where it has none."""
    must(found.x is not None, f"no bits, ended {found.status}: {_why(found)}")
    return found.x


def _why(found: Solution) -> str:
    return found.message or found.status.advice


def _close(value: float | None, wanted: float, relative: float, *, absolute: float = 1e-9) -> bool:
    return value is not None and math.isclose(value, wanted, rel_tol=relative, abs_tol=absolute)


def _arrays(instance: Instance) -> dict[str, Any]:
    return {name: part for name, part in instance.content().items() if isinstance(part, np.ndarray)}
