"""Wire: what the harness and the server's children tell each other, all of it JSON; nothing is unpickled."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from ...results import Budget
from ..spec import InstanceSpec, SolverSpec
from .cell import Cell
from .provenance import Provenance
from .survey import Survey

__all__ = ["cell_request", "read_cell", "read_messages", "send", "survey_request"]


def survey_request(spec: InstanceSpec, plugin_folder: str) -> dict[str, Any]:
    """Request to survey an instance."""
    return {"spec": vars(spec), "plugins": plugin_folder}


def cell_request(cell: Cell, provenance: Provenance, plugin_folder: str) -> dict[str, Any]:
    """Request to run a cell."""
    fields = vars(cell) | {
        "spec": vars(cell.spec),
        "solver": vars(cell.solver),
        "survey": cell.survey.to_json(),
        "budget": vars(cell.budget),
    }
    return {"cell": fields, "provenance": vars(provenance), "plugins": plugin_folder}


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
