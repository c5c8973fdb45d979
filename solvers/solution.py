"""Solution: what a search found, with every claim checked after the clock has stopped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..problems import Instance
from ..problems.arrays import Bits
from .run import Run
from .status import Status
from .traces import Point, falling

__all__ = ["Solution", "conclude"]


@dataclass(frozen=True, eq=False)
class Solution:
    """The outcome of one search.

    Attributes:
        x: best bits found, of the instance's shape; None where nothing was offered.
        loss: their loss, recomputed in float64; None without bits.
        violation: by how much they break the constraints, 0 if feasible; None without bits.
        energy: what the solver itself minimised at x, penalties included; the loss where it has none.
        bound: proven lower bound on the loss, None without one.
        status: how the search ended.
        trace: (seconds, loss) of each new best feasible point, both strictly changing.
        seconds: how long the search took.
        adapter: how the solver was brought to the shape, "" where it takes the shape itself.
        message: why it ended where the status needs a reason.
        counts: work done that no machine's speed changes: restarts, flips, evaluations.
        work_unit: the one of these counts that stands beside the trace, "" where nothing was counted in it.
        trace_work: (as long as trace) how much of it was counted by each point; empty without a unit.
    """

    x: Bits | None
    loss: float | None
    violation: float | None
    energy: float | None
    bound: float | None
    status: Status
    trace: list[tuple[float, float]]
    seconds: float
    adapter: str = ""
    message: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    work_unit: str = ""
    trace_work: list[int] = field(default_factory=list)

    @property
    def points(self) -> list[Point]:
        """The trace with the work beside it, 0 where none was counted."""
        work = self.trace_work or [0] * len(self.trace)
        return [Point(*place, done) for place, done in zip(self.trace, work, strict=True)]

    def along(self, points: list[Point]) -> Solution:
        """The same solution with another trace of the same work."""
        trace = [(point.seconds, point.loss) for point in points]
        work = [point.work for point in points] if self.work_unit else []
        return replace(self, trace=trace, trace_work=work)


def conclude(run: Run, *, seconds: float, adapter: str = "") -> Solution:
    """The solution of a run that has ended after `seconds`."""
    run.end()
    if run.best is None:
        message = (
            "the solver offered no solution within its budget; it must call run.offer(x) while run.open()"
        )
        return Solution(
            None, None, None, None, run.bound, Status.FAILED, [], seconds, adapter, message, run.work()
        )
    loss = run.loss if run.replayed and not run.claimed else run.instance.loss(run.best)
    points, lie = _checked(run)
    lie = run.lie or lie or _mismatch(run.instance, run.loss, loss) or _false_bound(run, loss)
    counts = run.work()
    found = Solution(
        x=run.best,
        loss=loss,
        violation=run.violation,
        energy=loss,
        bound=run.bound,
        status=Status.LIED if lie else _status(run, seconds),
        trace=[],
        seconds=seconds,
        adapter=adapter,
        message=lie,
        counts=counts,
        work_unit=run.unit if points and counts.get(run.unit) else "",
    )
    return found.along(falling(points, loss)) if points else found


def _status(run: Run, seconds: float) -> Status:
    if run.violation > 0:
        return Status.INFEASIBLE
    if run.proven():
        return Status.OPTIMAL
    if run.hit():
        return Status.TARGET
    used = run.exhausted or (run.seconds is not None and seconds >= run.seconds)
    return Status.BUDGET if used else Status.FINISHED


def _checked(run: Run) -> tuple[list[Point], str]:
    """Each incumbent with its claim recomputed, and the first lie among them."""
    points, lie = [], ""
    for one in run.history:
        loss = one.loss if one.claimed is None else run.instance.loss(one.claimed)
        lie = run.lie or lie or _mismatch(run.instance, one.loss, loss)
        points.append(Point(one.seconds, loss, one.work))
    return points, lie


def _mismatch(instance: Instance, claimed: float, loss: float) -> str:
    """What is wrong with a claim, "" if float64 cannot tell it from the truth."""
    if abs(claimed - loss) <= _tolerance(instance, loss):
        return ""
    return f"claimed loss {claimed!r}, but the bits have {loss!r}"


def _false_bound(run: Run, loss: float) -> str:
    """What is wrong with the bound, "" if nothing contradicts it."""
    if run.bound is None or run.violation > 0 or run.bound <= loss + _tolerance(run.instance, loss):
        return ""
    return f"claimed bound {run.bound!r}, but bits of loss {loss!r} were found"


def _tolerance(instance: Instance, loss: float) -> float:
    size = min(abs(loss), abs(loss - instance.offset))
    return 10 * instance.resolution + 1e-6 * size
