"""Jobs: what the warm server's children do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import numba
import scipy.sparse
import torch

from ... import problems, solvers
from ...problems.cache import lacking, used, version
from ...solvers.compiled import compiles
from .. import plugins
from ..spec import InstanceSpec
from .cell import Cell, execute
from .family import PR_SET_CHILD_SUBREAPER, prctl
from .judged_search import Judge
from .search_process import SolverCode, SolverProcess
from .survey import SHAPES, survey
from .wire import read_cell, read_contestant, send

__all__ = ["JOBS", "preload"]

# Imported for the children's sake: a fork inherits what its parent has loaded.
WARM = (numba, scipy.sparse, problems, solvers)

_ahead: list[SolverProcess] = []
"""The solver's process that was forked while this one waited for its job."""


def fork_ahead() -> int:
    """In a child that waits: fork a solver's process, so that no search waits for it; its process id."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    _ahead.append(SolverProcess.fork())
    return _ahead[0].pid


def preload(payload: dict[str, Any]) -> None:
    """Load tasks and compiled kernels once for all children. What is missing is each cell's own result.

    Solvers on torch's autograd stay cold: its engine does not survive a fork.
    """
    torch.set_num_threads(1)
    for name, shape in payload.get("solvers", ()):
        _load(solvers.get(name).requires)
        if compiles(solvers.get(name).search):
            solvers.warm(name, SHAPES[shape])
    for spec in payload.get("specs", ()):
        with suppress(problems.InputError):
            _load(problems.get(spec["problem"]).requires)
            InstanceSpec(**spec).keep_task()
    lacking(payload.get("pieces", ()))  # reads each for its checksum, as every child else would
    version()
    # The first search looks for thread pools among all loaded libraries, which takes 40 ms.
    solvers.solve(problems.Qubo([[1.0]]), "random", restarts=1)


def _load(required: Mapping[str, str]) -> None:
    """Import modules that solvers or formulations need; what is not installed, their cells will say."""
    for module in filter(None, required.values()):
        with suppress(ImportError):
            import_module(module)


def run_survey(payload: dict[str, Any], descriptor: int) -> None:
    """Survey an instance; answers {"survey": …}, {"missing": …}, {"refused": …} or {"broken": …}.

    Beside a survey stand the "pieces": keys of what the formulation measured, or found in the cache.
    """
    try:
        plugins.load_place(payload["formulation"])
        answer: dict[str, Any] = {"survey": survey(InstanceSpec(**payload["spec"])).to_json()}
        answer["pieces"] = used()
    except problems.MissingDataError as error:
        answer = {"missing": str(error)}
    except problems.InputError as error:
        answer = {"refused": str(error)}
    except Exception as error:
        answer = {"broken": plugins.fault_of(error)}
    send(descriptor, answer)


def run_cell(payload: dict[str, Any], descriptor: int) -> None:
    """Judge a cell; tells when the clock starts and stops, then answers {"record": …} or {"broken": …}."""
    try:
        # A stranger's formulation is its own judge; a stranger's solver has no business here.
        plugins.load_place(payload["formulation"])
        cell, provenance = read_cell(payload)
        with _judge(cell, payload, descriptor) as judge:
            record = execute(cell, payload["key"], provenance, judge)
        answer = {"record": record.to_json()}
    except Exception as error:
        answer = {"broken": plugins.fault_of(error)}
    send(descriptor, answer)


def _judge(cell: Cell, payload: dict[str, Any], descriptor: int) -> Judge:
    contestant = read_contestant(payload)
    code = SolverCode(cell.solver.name, payload["plugins"], contestant.source)
    options = {name: getattr(cell.budget, name) for name in ("restarts", "evaluations", "threads")}

    def clock(seconds: float | None, pid: int) -> None:
        send(descriptor, {"clock": seconds, "pid": pid})

    process = _ahead.pop() if _ahead else None
    return Judge(contestant, code, options, cell.solver.parameters, clock, process)


JOBS: dict[str, Callable[[dict[str, Any], int], None]] = {"survey": run_survey, "cell": run_cell}
"""What a child can be asked for: a function of the request and the descriptor that answers go to."""
