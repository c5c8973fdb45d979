"""HiGHS in a process of its own, as `mip` starts it: its library and the one in OR-Tools exclude each other.

Run as a script that imports nothing of qubopress. It reads one line of JSON, the program, and answers in
lines: {"x": columns, "after": nodes} of a new incumbent, {"bound": b} of a higher dual bound, and last
{"nodes": n, "optimal": ...}.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import highspy
import numpy as np


def main() -> None:
    """Solve the program on stdin; ends early when the process that asked is gone."""
    task, library = json.loads(sys.stdin.readline()), _library()
    highs, parent, highest = library.Highs(), os.getppid(), -float("inf")

    def told(bound: float) -> None:
        nonlocal highest
        if highest < bound < library.kHighsInf:
            highest = bound
            _say(bound=bound)

    def watch(event: Any) -> None:
        told(event.data_out.mip_dual_bound)
        if os.getppid() != parent:
            event.interrupt()

    for name, value in task["options"].items():
        highs.setOptionValue(name, value)
    _pass(highs, library, task)

    def found(event: Any) -> None:
        _say(x=list(event.data_out.mip_solution), after=max(0, int(event.data_out.mip_node_count)))

    highs.cbMipImprovingSolution.subscribe(found)
    highs.cbMipInterrupt.subscribe(watch)
    start = library.HighsSolution()
    start.col_value = task["start"]
    highs.setSolution(start)
    highs.run()
    optimal = highs.getModelStatus() == library.HighsModelStatus.kOptimal
    nodes = max(0, int(highs.getInfo().mip_node_count))
    if optimal:
        # What presolve alone found was in no callback.
        _say(x=list(highs.getSolution().col_value), after=nodes)
    told(highs.getInfo().mip_dual_bound)
    _say(nodes=nodes, optimal=optimal)


def _library() -> Any:
    """The module without its types, which its releases do not agree on."""
    return highspy


def _pass(highs: Any, library: Any, task: dict[str, Any]) -> None:
    """The program: columns in [0, 1], the first of them integers; rows in one go."""
    lp, total = library.HighsLp(), len(task["costs"])
    lp.num_col_, lp.col_cost_ = total, np.array(task["costs"])
    lp.col_lower_, lp.col_upper_ = np.zeros(total), np.ones(total)
    kinds = library.HighsVarType
    whole = int(task["integers"])
    lp.integrality_ = [kinds.kInteger] * whole + [kinds.kContinuous] * (total - whole)
    highs.passModel(lp)
    low, high, places, values = (task[key] for key in ("low", "high", "places", "values"))
    starts = np.cumsum([0, *map(len, places)])[:-1].astype(np.int32)
    indices = np.array([i for row in places for i in row], dtype=np.int32)
    entries = np.array([a for row in values for a in row], dtype=np.float64)
    highs.addRows(len(low), np.array(low), np.array(high), len(indices), starts, indices, entries)


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
