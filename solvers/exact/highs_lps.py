"""Linear programs one after another, each warm from the one before, for `branch-and-cut`.

Run as a script that imports nothing of qubopress. A line of JSON with the costs of columns in [0, 1] begins
a program; any other says what changes before it is solved: rows that go, rows Σ ±columns ≤ high that come,
bounds of columns. It answers {"x": columns, "duals": rows}, or {"status": ...} where the method failed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import highspy
import numpy as np

OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "presolve": "off",
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}


def main() -> None:
    """Answer every line on stdin; ends when the process that asked is gone."""
    library, parent = _library(), os.getppid()
    highs = library.Highs()
    for name, value in OPTIONS.items():
        highs.setOptionValue(name, value)

    def watch(event: Any) -> None:
        if os.getppid() != parent:
            event.interrupt()

    highs.cbSimplexInterrupt.subscribe(watch)
    for line in sys.stdin:
        task = json.loads(line)
        if "costs" in task:
            _begin(highs, library, task["costs"])
        else:
            _change(highs, task)
            _solve(highs, library)


def _begin(highs: Any, library: Any, costs: list[float]) -> None:
    lp, total = library.HighsLp(), len(costs)
    lp.num_col_, lp.col_cost_ = total, np.array(costs, dtype=np.float64)
    lp.col_lower_, lp.col_upper_ = np.zeros(total), np.ones(total)
    highs.passModel(lp)


def _solve(highs: Any, library: Any) -> None:
    highs.run()
    status = highs.getModelStatus()
    if status == library.HighsModelStatus.kOptimal:
        found = highs.getSolution()
        _say(x=list(found.col_value), duals=list(found.row_dual))
    else:
        # A basis that led nowhere is not begun from again.
        highs.clearSolver()
        _say(status=str(status))


def _library() -> Any:
    """The module without its types, which its releases do not agree on."""
    return highspy


def _change(highs: Any, task: dict[str, Any]) -> None:
    gone = np.array(task["gone"], dtype=np.int32)
    if gone.size:
        highs.deleteRows(len(gone), gone)
    high, starts = np.array(task["high"], dtype=np.float64), np.array(task["starts"], dtype=np.int32)
    if high.size:
        places, signs = np.array(task["places"], dtype=np.int32), np.array(task["signs"], dtype=np.float64)
        low = np.full(high.size, -highspy.kHighsInf)
        highs.addRows(high.size, low, high, len(places), starts, places, signs)
    where = np.array(task["where"], dtype=np.int32)
    if where.size:
        highs.changeColsBounds(len(where), where, np.array(task["least"]), np.array(task["most"]))


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
