"""compress: a module and data in, a compressed module out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from typing import Any

from torch import nn

from .. import problems, solvers
from ..problems import InputError
from ..problems.arrays import count
from ..problems.layers.agreement import repeatable
from ..problems.layers.borrowing import Guard, own_all
from ..problems.layers.sums import MEMORY
from ..problems.quantization.codes import settle
from ..problems.tasks.rules import Rules
from .compressing.outcomes import reported
from .compressing.report import attach
from .compressing.stages import FITTING, OWN_FITTING, Budget, Progress, Stages

__all__ = ["compress"]


def compress(
    model: nn.Module,
    data: Any,
    *,
    problem: str = "adaround",
    solver: str | None = None,
    seconds: float | None = None,
    seed: int = 0,
    samples: int = 1000,
    memory: int = MEMORY,
    refiner: str = "tensor-train",
    evaluations: int = 500,
    skip: Iterable[str] = (),
    only: Iterable[str] = (),
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    solver_parameters: Mapping[str, Any] | None = None,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    criterion: Callable[[Any, Any], Any] | None = None,
    progress: bool | Progress | None = None,
    **parameters: Any,
) -> nn.Module:
    """Compress a module of one's own with a formulation and a solver; the module itself stays as it is.

    `suites.report_of` tells of the result what became of each parameter, `suites.quantized` the integers of
    those that were rounded, and `suites.save` writes it to a file.

    Parameters:
        model: any torch module that the formulation can read.
        data: calibration samples, a DataLoader of (x, y) or a pair (x, y).
        problem: name of a formulation; see `qubopress list`.
        solver: name of a solver; None for one that fits: level-tabu for layers to round, swap for a
            capacity, layer-dp for one of bits, the refiner for what can only be asked.
        seconds: budget of each stage; one run of the solver's fixed work where None.
        seed: of the search.
        samples: most calibration samples to use.
        memory: bytes of Gram matrices to hold in memory; more lie in temporary files ($TMPDIR) and come back
            a layer at a time.
        refiner: solver of a refinement stage, where the formulation has one.
        evaluations: its budget.
        skip: globs of names of layers to leave as they are, such as "*.head".
        only: globs of the only layers that may change.
        layers: parameters of the formulation for some layers, as {"fc": {"bits": 8}}.
        solver_parameters: the solver's own, as {"width": 8}, and `threads`.
        forward: (model, batch) → output, for a model that is not called on its batches as they stand.
        criterion: (output, batch) → loss, for targets that are neither classes nor outputs.
        progress: True for a bar on stderr, or a function that is given each stage as it begins and ends.
        parameters: the formulation's own, such as bits=4 or keep=0.64; bits="3.0 on average" leaves it to the
            problem "bit-allocation" how many each layer gets. Eight bits come in groups of 32 where rows hold
            64 to 256 numbers, unless group is named.

    Returns:
        A new module with the compressed weights, in eval mode.

    Raises:
        InputError: an unknown name, a parameter out of range, data that cannot calibrate, a wish for layers
            that the formulation does not hear, or a stage for which the solver has no solution.
    """
    begun = time.monotonic()
    problem, parameters = _allocated(problem, parameters)
    formulation = problems.get(problem)
    parameters = {**_usual(problem, parameters), **parameters}
    fitting = {**FITTING, **OWN_FITTING[problem]} if problem in OWN_FITTING else FITTING
    budget = Budget(solver, solver_parameters or {}, seconds, seed, refiner, evaluations, fitting)
    budget.check()
    _check_parameters(formulation, budget, parameters)
    own: dict[str, Any] = {
        name: one for name, one in (("forward", forward), ("criterion", criterion)) if one is not None
    }
    rules = Rules(_globs("skip", skip), _globs("only", only), dict(layers or {}))
    most = count(memory, name="memory", low=0)
    with repeatable(seed), _shown(progress) as tell:  # a forward may draw numbers of its own
        task = replace(
            problems.own_task(model, data, samples=samples, borrow=True, **own), rules=rules, memory=most
        )

        def attempt() -> tuple[nn.Module, Stages]:
            task.ledger.fates.clear()
            stages = Stages(formulation, rules, task.ledger, budget, tell)
            return own_all(problems.drive(formulation, task, parameters, stages), task.network), stages

        network, stages = _guarding(model, task.network, attempt, seed)
    stages.check_heard()
    report = reported(
        task.network,
        network,
        ledger=task.ledger,
        stages=stages.ended,
        settings=formulation.settings(parameters),
        rules=rules,
        seconds=time.monotonic() - begun,
    )
    attach(network, report)
    settle(network)
    return network


def _guarding(
    model: nn.Module, network: nn.Module, attempt: Callable[[], tuple[nn.Module, Stages]], seed: int
) -> tuple[nn.Module, Stages]:
    """What an attempt gives; once more, with weights of the network's own, if it was to write the model's."""
    guard = Guard(model)
    try:
        with guard:
            found = attempt()
    except Exception:
        if not guard.tripped:
            raise
    if not guard.tripped:
        return found
    own_all(network, model)
    with repeatable(seed):
        return attempt()


def _allocated(problem: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The formulation and its parameters, where bits are wished as "3.0 on average"."""
    bits = given.get("bits")
    if problem != "adaround" or not isinstance(bits, str):
        return problem, given
    found = re.fullmatch(r"(\d+(?:\.\d+)?) on average", bits.strip())
    if found is None:
        raise InputError(f'bits must be an integer, or text like "3.0 on average", got {bits!r}')
    rest = {name: value for name, value in given.items() if name != "bits"}
    return "bit-allocation", {**rest, "average": float(found[1])}


def _usual(problem: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a formulation takes here where the caller does not say: for its boards it stays as published."""
    if problem == "bit-allocation":
        return {"guard": True}
    if problem != "adaround":
        return {}
    whole_rows = given.get("per", "channel") == "channel"
    real_bias = given.get("activations", "float") == "float"
    eight = whole_rows and real_bias and given.get("bits") == 8
    return {
        "levels": "all",
        "grid": "fit" if whole_rows else "mse",
        "bias": "corrected" if real_bias else "int32",
        "group": None if eight else 0,
        "guard": True,  # few samples do not tell all inputs apart, and what is fitted to them may be worse
    }


def _check_parameters(formulation: problems.Problem, budget: Budget, given: Mapping[str, Any]) -> None:
    """InputError for a parameter that is none of the formulation's; it says whose it is."""
    ours = [name for name in signature(compress).parameters if name not in ("model", "data", "parameters")]
    for name in given.keys() - formulation.defaults.keys():
        named = (
            [budget.solver] if budget.solver else ["level-tabu", "nearest-plane", "swap", *solvers.names()]
        )
        owner = next((one for one in named if name in solvers.get(one).parameters), None)
        if owner or name == "threads":
            whose = f"of the solver {owner}" if owner else "of every solver"
            cure = f"pass solver_parameters={{{name!r}: {given[name]!r}}}"
            cure = (
                cure if budget.solver or not owner else f"pass solver={owner!r}, {cure.removeprefix('pass ')}"
            )
            raise InputError(f"{name} is a parameter {whose}; {cure}")
        close = get_close_matches(name, ours, n=1)
        if close and not get_close_matches(name, formulation.defaults, n=1):
            raise InputError(f"compress has no argument {name!r}; did you mean {close[0]!r}?")


def _globs(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Globs as a tuple; one alone is one, not a list of letters."""
    globs = (given,) if isinstance(given, str) else tuple(given)
    for one in globs:
        if not isinstance(one, str):
            raise InputError(f"{name} must hold names of layers as text, got {one!r}")
    return globs


def _shown(progress: bool | Progress | None) -> AbstractContextManager[Progress]:
    """Who is told of the stages."""
    if progress is True:
        from .terminal.stages import StageProgress

        return StageProgress()
    if progress in (None, False):
        return nullcontext(lambda step: None)
    if not callable(progress):
        raise InputError(f"progress must be True or a function of a stage, got {progress!r}")
    return nullcontext(progress)
