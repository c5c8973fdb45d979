"""Jobs: what the warm server's children do. Requests and answers are JSON, so nothing is unpickled."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
import ortools.sat.python.cp_model
import scipy.sparse
import tntorch
import torch
from dwave import samplers
from numba.core.dispatcher import Dispatcher

from .. import problems, solvers
from ..problems.data import load_dataset
from ..problems.networks import network
from . import plugins
from .cell import Cell, execute
from .machine import Provenance
from .spec import InstanceSpec, SolverSpec
from .survey import SHAPES, Survey, survey

__all__ = ["JOBS", "cell_payload", "read_messages", "survey_payload"]

# Imported for the children's sake: a fork inherits what its parent has loaded.
WARM = (numba, ortools.sat.python.cp_model, scipy.sparse, tntorch, samplers, problems, solvers)


def preload(payload: dict[str, Any]) -> None:
    """Load data sets and compiled kernels once for all children. What is missing is each cell's own result.

    Solvers on torch's autograd stay cold: its engine does not survive a fork.
    """
    torch.set_num_threads(1)
    # The first optimiser of a process imports torch's compiler, for more than a second.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    for name, shape in payload.get("solvers", ()):
        if _compiled(name):
            solvers.warm(name, SHAPES[shape])
    for name in payload["networks"]:
        with suppress(problems.InputError):
            load_dataset(network(name).dataset)


def _compiled(name: str) -> bool:
    """Whether a built-in solver's file holds kernels that numba compiles."""
    module = sys.modules[solvers.get(name).search.__module__]
    return any(isinstance(one, Dispatcher) for one in vars(module).values())


def run_survey(payload: dict[str, Any], descriptor: int) -> None:
    """Survey an instance; answers {"survey": …} or {"refused": …}."""
    plugins.load_folder(payload["plugins"])
    try:
        answer = {"survey": survey(InstanceSpec(**payload["spec"])).to_json()}
    except problems.MissingDataError as error:
        answer = {"missing": str(error)}
    except problems.InputError as error:
        answer = {"refused": str(error)}
    _send(descriptor, answer)


def run_cell(payload: dict[str, Any], descriptor: int) -> None:
    """Run a cell; tells when the clock starts and stops, then answers {"record": …}."""
    plugins.load_folder(payload["plugins"])
    fields = dict(payload["cell"])
    fields["spec"] = InstanceSpec(**fields["spec"])
    fields["solver"] = SolverSpec(**fields["solver"])
    fields["survey"] = Survey.from_json(fields["survey"])
    provenance = Provenance(**payload["provenance"])
    record = execute(Cell(**fields), provenance, lambda seconds: _send(descriptor, {"clock": seconds}))
    _send(descriptor, {"record": record.to_json()})


JOBS: dict[str, Callable[..., None]] = {"preload": preload, "survey": run_survey, "cell": run_cell}


def survey_payload(spec: InstanceSpec, plugin_folder: str) -> dict[str, Any]:
    """Request to survey an instance."""
    return {"spec": vars(spec), "plugins": plugin_folder}


def cell_payload(cell: Cell, provenance: Provenance, plugin_folder: str) -> dict[str, Any]:
    """Request to run a cell."""
    fields = vars(cell) | {
        "spec": vars(cell.spec),
        "solver": vars(cell.solver),
        "survey": cell.survey.to_json(),
    }
    return {"cell": fields, "provenance": vars(provenance), "plugins": plugin_folder}


def _send(descriptor: int, message: dict[str, Any]) -> None:
    """One message: its length in four bytes, then JSON."""
    data = json.dumps(message, allow_nan=False).encode()
    view = memoryview(struct.pack("!I", len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_messages(buffer: bytearray) -> list[dict[str, Any]]:
    """Take the whole messages off the front of a buffer; ValueError if one is not JSON."""
    found = []
    while len(buffer) >= 4:
        (length,) = struct.unpack("!I", buffer[:4])
        if len(buffer) < 4 + length:
            break
        message = json.loads(bytes(buffer[4 : 4 + length]))
        del buffer[: 4 + length]
        if not isinstance(message, dict):
            raise ValueError("a message must be a JSON object")
        found.append(message)
    return found
