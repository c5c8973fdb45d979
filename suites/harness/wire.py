"""Wire: what the harness and the server's children tell each other, all of it JSON; nothing is unpickled."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from ... import problems, solvers
from ...problems import SHAPES
from ...results import Budget
from ...solvers import Entry
from .. import plugins
from ..spec import InstanceSpec, SolverSpec
from .cell import Cell
from .judged_search import Contestant
from .provenance import Provenance
from .survey import Survey

__all__ = ["cell_request", "read_cell", "read_contestant", "read_messages", "send", "survey_request"]


def survey_request(spec: InstanceSpec) -> dict[str, Any]:
    """Request to survey an instance."""
    return {"spec": vars(spec), "formulation": _formulation(spec)}


def _formulation(spec: InstanceSpec) -> str:
    """Where a stranger's formulation is found, "" for one of ours."""
    return plugins.place_of(problems.get(spec.problem).generate)


def cell_request(cell: Cell, provenance: Provenance, plugin_folder: str) -> dict[str, Any]:
    """Request to run a cell."""
    fields = vars(cell) | {
        "spec": vars(cell.spec),
        "solver": vars(cell.solver),
        "survey": cell.survey.to_json(),
        "budget": vars(cell.budget),
    }
    return {
        "cell": fields,
        "key": cell.key(provenance),
        "contestant": _contestant(cell.solver.name),
        "provenance": vars(provenance.beside(cell.libraries)),
        "plugins": plugin_folder,
        "formulation": _formulation(cell.spec),
    }


REGISTERED = ("exact", "anytime", "max_variables", "capacity", "groups")
"""What a judge must know of a solver besides its shapes."""


def _contestant(name: str) -> dict[str, Any]:
    entry = solvers.get(name)
    facts = {fact: getattr(entry, fact) for fact in REGISTERED}
    accepts = [shape.__name__ for shape in entry.accepts]
    return {**facts, "name": name, "accepts": accepts, "source": plugins.source_of(entry.search) or ""}


def read_contestant(request: dict[str, Any]) -> Contestant:
    """The solver of a cell's request; a stranger's is known by what was registered alone."""
    facts = dict(request["contestant"])
    name, source, accepts = facts.pop("name"), facts.pop("source"), facts.pop("accepts")
    if not source:
        return Contestant(solvers.get(name))
    shapes = tuple(SHAPES[shape] for shape in accepts)
    return Contestant(Entry(name, _elsewhere, shapes, **facts), source)


def _elsewhere(*_: Any) -> None:
    raise AssertionError("a stranger's solver runs in its own process alone")


def read_cell(request: dict[str, Any]) -> tuple[Cell, Provenance]:
    """What `cell_request` was made of."""
    fields = dict(request["cell"])
    fields["spec"] = InstanceSpec(**fields["spec"])
    fields["solver"] = SolverSpec(**fields["solver"])
    fields["survey"] = Survey.from_json(fields["survey"])
    fields["budget"] = Budget(**fields["budget"])
    return Cell(**fields), Provenance(**request["provenance"])


def send(descriptor: int, message: dict[str, Any]) -> None:
    """One message: its length in four bytes, then JSON."""
    data = json.dumps(message, allow_nan=False).encode()
    view = memoryview(struct.pack("!I", len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_messages(buffer: bytearray) -> list[dict[str, Any]]:
    """Take the whole messages off the front of a buffer.

    Raises:
        ValueError: one is no JSON object.
    """
    found = []
    while len(buffer) >= 4:
        (length,) = struct.unpack("!I", buffer[:4])
        if len(buffer) < 4 + length:
            break
        try:
            message = json.loads(bytes(buffer[4 : 4 + length]))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        del buffer[: 4 + length]
        if not isinstance(message, dict):
            raise ValueError(f"a message must be a JSON object, got a {type(message).__name__}")
        found.append(message)
    return found
