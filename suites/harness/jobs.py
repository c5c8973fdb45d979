"""Jobs: what the warm server's children do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
import ortools.sat.python.cp_model
import scipy.sparse
import tntorch
import torch
from dwave import samplers

from ... import problems, solvers
from ...problems.cache import used, version
from ...problems.errors import one_line
from .. import plugins
from ..spec import InstanceSpec
from .cell import execute
from .survey import SHAPES, survey
from .wire import read_cell, send

__all__ = ["JOBS", "preload"]

# Imported for the children's sake: a fork inherits what its parent has loaded.
WARM = (numba, ortools.sat.python.cp_model, scipy.sparse, tntorch, samplers, problems, solvers)

# Looked up once; only a child imports them, because strangers' code never enters the server.
POINTS = plugins.find_entry_points()


def preload(payload: dict[str, Any]) -> None:
    """Load tasks and compiled kernels once for all children. What is missing is each cell's own result.

    Solvers on torch's autograd stay cold: its engine does not survive a fork.
    """
    torch.set_num_threads(1)
    # The first optimiser of a process imports torch's compiler, for more than a second.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for name, shape in payload.get("solvers", ()):
        if plugins.compiles(solvers.get(name).search):
            solvers.warm(name, SHAPES[shape])
    for spec in payload.get("specs", ()):
        with suppress(problems.InputError):
            InstanceSpec(**spec).keep_task()
    version()
    # The first search looks for thread pools among all loaded libraries, which takes 40 ms.
    solvers.solve(problems.Qubo([[1.0]]), "random", restarts=1)


def run_survey(payload: dict[str, Any], descriptor: int) -> None:
    """Survey an instance; answers {"survey": …}, {"missing": …}, {"refused": …} or {"broken": …}.

    Beside a survey stand the "pieces": keys of what the formulation measured, or found in the cache.
    """
    try:
        _load_plugins(payload)
        answer: dict[str, Any] = {"survey": survey(InstanceSpec(**payload["spec"])).to_json()}
        answer["pieces"] = used()
    except problems.MissingDataError as error:
        answer = {"missing": str(error)}
    except problems.InputError as error:
        answer = {"refused": str(error)}
    except Exception as error:
        answer = {"broken": one_line(error)}
    send(descriptor, answer)


def run_cell(payload: dict[str, Any], descriptor: int) -> None:
    """Run a cell; tells when the clock starts and stops, then answers {"record": …} or {"broken": …}."""
    try:
        _load_plugins(payload)
        cell, provenance = read_cell(payload)
        record = execute(cell, provenance, lambda seconds: send(descriptor, {"clock": seconds}))
        answer = {"record": record.to_json()}
    except Exception as error:
        answer = {"broken": one_line(error)}
    send(descriptor, answer)


def _load_plugins(payload: dict[str, Any]) -> None:
    plugins.load_entry_points(POINTS)
    plugins.load_folder(payload["plugins"])


JOBS: dict[str, Callable[[dict[str, Any], int], None]] = {"survey": run_survey, "cell": run_cell}
"""What a child can be asked for: a function of the request and the descriptor that answers go to."""
