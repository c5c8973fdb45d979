"""mip: HiGHS' branch and cut on the linearised products (McCormick 1976), with its proven bound."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Annotated, Any

import numpy as np

from ...problems import Capacity, Qubo
from ...problems.arrays import Bits
from ..registry import Range, solver
from ..run import Run
from .bounds import posiform
from .linearised import local_start, products

__all__ = ["mip"]

SIZE = 1e5
"""Largest coefficient of the scaled objective: HiGHS' tolerances are absolute, and small beside this."""

TOLERANCE = 1e-9
"""Of feasibility, integrality and reduced costs; HiGHS takes none below 1e-10."""

LOOK = 0.02
"""Seconds between two looks at the run while HiGHS says nothing."""


@solver(
    "mip",
    accepts=(Qubo, Capacity),
    reference="McCormick 1976; Huangfu & Hall 2018",
    exact=True,
    max_variables=150,
    requires={"highspy": ""},  # in a process of its own: beside OR-Tools in one, neither can be imported
)
def mip(
    instance: Qubo | Capacity, run: Run, *, nodes: Annotated[int, Range(1, 10**9, log=True)] = 10_000
) -> None:
    """One model, one search. What HiGHS' tolerances may hide is taken off the bound.

    HiGHS runs in a process of its own, whose start costs some 0.2 s of the budget.

    Parameters:
        nodes: of branch and cut, for runs of fixed work.
    """
    if not run.open():
        return
    start = local_start(instance)
    run.offer(start)
    run.prove(posiform(instance.qubo))
    if run.stopped():
        return
    model = _Model(instance, start)
    left = nodes * (run.restarts or 1)
    while left > 0 and not run.stopped():
        used, misfits = model.search(run, left if run.restarts is not None else None)
        left -= max(1, used)
        # The capacity is relaxed: what only its tolerance let in is forbidden, and the search repeated.
        if not misfits:
            break
        model.forbid(misfits)
    run.stopped()


class _Model:
    """The instance as a mixed-integer program: bits first, then a variable in [0, 1] for every product.

    Only the side of x_i x_j that the objective does not hold by itself is written down: z ≥ x_i + x_j − 1
    for a positive coefficient, z ≤ x_i and z ≤ x_j for a negative one.
    """

    def __init__(self, instance: Qubo | Capacity, start: Bits) -> None:
        self.instance = instance
        self.qubo = instance.qubo
        i, j, a = products(self.qubo)
        costs = np.concatenate([self.qubo.linear, a])
        largest = float(np.abs(costs).max(initial=0.0))
        # A power of two keeps whole coefficients whole in ratio.
        self.scale = float(2.0 ** np.floor(np.log2(SIZE / largest))) if largest else 1.0
        self.costs = (costs * self.scale).tolist()
        self.start = np.concatenate([start, start[i] * start[j]]).astype(np.float64).tolist()
        self.low, self.high = list[float](), list[float]()
        self.places, self.values = list[list[int]](), list[list[float]]()
        z, up = self.qubo.n + np.arange(len(a)), a > 0
        self._add(-np.inf, 1.0, np.stack([i[up], j[up], z[up]], axis=1), [1.0, 1.0, -1.0])
        for other in (i, j):
            self._add(-np.inf, 0.0, np.stack([z[~up], other[~up]], axis=1), [1.0, -1.0])
        if instance.K is not None:
            self._constrain(instance, instance.K)

    def _add(self, low: float, high: float, places: Any, values: list[float]) -> None:
        """Rows low ≤ Σ values · columns ≤ high, one for each row of `places`."""
        self.places += places.tolist()
        self.low += [low] * len(places)
        self.high += [high] * len(places)
        self.values += [values] * len(places)

    def _constrain(self, capacity: Qubo | Capacity, K: float) -> None:
        """The capacity, a little wider than its slack, in units of the largest cost."""
        unit = float(capacity.costs.max())
        most = (K + 2 * capacity.slack) / unit
        low = most if capacity.exact else -np.inf
        self._add(low, most, np.arange(capacity.n)[None], (capacity.costs / unit).tolist())

    def forbid(self, points: list[Bits]) -> None:
        """Leave these points out."""
        for point in points:
            signs = np.where(point == 1, -1.0, 1.0).tolist()
            self._add(1.0 - float(point.sum()), np.inf, np.arange(len(point))[None], signs)

    def search(self, run: Run, nodes: int | None) -> tuple[int, list[Bits]]:
        """Search until the run stops it. Nodes used, and the points found that do not fit the capacity."""
        misfits: list[Bits] = []
        with _highs(self.program(run, nodes)) as answers:
            for answer in answers:
                if "x" in answer:
                    point = np.rint(answer["x"][: self.qubo.n]).astype(np.int8)
                    run.offer(point)
                    misfits += [point] if self.instance.violation(point) > 0 else []
                if "bound" in answer:
                    run.prove(self.bound(answer["bound"]))
                if "nodes" in answer:
                    run.tally("nodes", answer["nodes"])
                    return answer["nodes"], misfits if answer["optimal"] else []
                if run.stopped():
                    break
        return 0, []

    def program(self, run: Run, nodes: int | None) -> dict[str, Any]:
        """The model and HiGHS' options, as plain data."""
        options: dict[str, Any] = {
            "output_flag": False,
            "threads": run.threads,
            "parallel": "on" if run.threads > 1 else "off",
            "random_seed": int(run.rng.integers(2**31)),
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
            "mip_feasibility_tolerance": TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        }
        if nodes is not None:
            options["mip_max_nodes"] = nodes
        rows = {"low": self.low, "high": self.high, "places": self.places, "values": self.values}
        columns = {"costs": self.costs, "integers": self.qubo.n, "start": self.start}
        return {"options": options} | columns | rows

    def bound(self, objective: float) -> float:
        """Lower bound on the loss from one on the objective.

        A reduced cost may be wrong by the tolerance in each variable, all of range 1, and HiGHS prunes what
        is less than the tolerance better than its incumbent.
        """
        hidden = TOLERANCE * (len(self.costs) + 1)
        return (objective - hidden) / self.scale + self.qubo.offset - self.instance.resolution


@contextmanager
def _highs(program: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """What HiGHS answers to a program, {} now and then while it is silent; it is killed on the way out."""
    script = Path(__file__).with_name("highs_process.py")
    # -P: the script's folder holds modules named like others'.
    process = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-P", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: SimpleQueue[str] = SimpleQueue()
    thread = Thread(target=_converse, args=(process, json.dumps(program), lines), daemon=True)
    thread.start()
    try:
        yield _answers(process, lines)
    finally:
        process.kill()
        thread.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()


def _converse(process: subprocess.Popen[str], program: str, lines: SimpleQueue[str]) -> None:
    """Send the program, queue every line that comes back, "" at the end."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(program + "\n")
        process.stdin.flush()
        for line in process.stdout:
            lines.put(line)
    except OSError:
        pass
    finally:
        lines.put("")


def _answers(process: subprocess.Popen[str], lines: SimpleQueue[str]) -> Iterator[dict[str, Any]]:
    while True:
        try:
            line = lines.get(timeout=LOOK)
        except Empty:
            yield {}
            continue
        if not line:
            error = process.stderr.read().strip() if process.stderr is not None else ""
            raise RuntimeError(f"mip: HiGHS ended without an answer: {error.splitlines()[-1:]}")
        yield json.loads(line)
