"""Run: the clock, the budget, the incumbent and the random numbers of one search."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..problems import InputError, Instance
from ..problems.arrays import Bits, Floats

__all__ = ["Declined", "Incumbent", "Listener", "OfferError", "Run"]


class OfferError(ValueError):
    """A solver offered what is no solution: a wrong shape, a wrong value, or a loss that is no number."""


class Declined(Exception):  # noqa: N818 - an answer, not an error
    """A solver declines an instance; the text is the reason."""


class Incumbent(NamedTuple):
    """A best point so far.

    Attributes:
        seconds: when it came.
        loss: the solver's own word where `claimed` holds its bits, else computed.
        work: what was counted by then, see `Run.worked`.
    """

    seconds: float
    loss: float
    claimed: Bits | None
    work: int


class Listener(Protocol):
    """Told what a search finds, where another process judges it."""

    def offered(self, x: Bits, claimed: float | None, work: int) -> None:
        """A new incumbent, its loss where that is the solver's own word, and the work counted by then."""

    def ended(self, run: Run) -> None:
        """The search is over, or that of a part."""

    def part(self, index: int) -> Listener:
        """Told of the part of that number."""


class Run:
    """What a solver is given beside the instance.

    `open()` starts the next restart, `stopped()` is polled inside one (per sweep or block, never per flip),
    `offer()` hands in a point. Solvers read no clock and no global seed of their own.

    Attributes:
        rng: random numbers, a function of the seed alone.
        seconds: wall-clock budget of this run, None without one; a part has its own share.
        restarts: how often the fixed work is done, None to repeat until the budget is used.
        evaluations: how many new losses a black-box search may ask for, None without a limit.
        target: loss at which to stop, None without one.
        threads: how many threads the solver may use.
        begun: seconds on the clock of the whole search when this part of it began; 0 for the whole.
        best: lowest feasible point so far (else the least infeasible), None before the first offer.
        loss: its loss; infinite before the first offer.
        claimed: whether that is the solver's own word.
        violation: its violation; infinite before the first offer.
        bound: proven lower bound on the loss, None without one.
        counts: work done that no machine's speed changes, such as restarts and flips; parts add to the whole.
        unit: the one of these counts that is remembered beside every incumbent.
        share: of the fixed work that is done, as far as the solver says; for those who watch, never a record.
        listener: told of incumbents and of the end, which it then judges in place of this process.
        replayed: whether no solver had a hand in this run, so that a loss that it computed stands.
        lie: what a part of the search was caught at, "" if nothing.
    """

    def __init__(
        self,
        instance: Instance,
        *,
        seed: int | np.random.SeedSequence = 0,
        seconds: float | None = None,
        restarts: int | None = None,
        evaluations: int | None = None,
        target: float | None = None,
        threads: int = 1,
        begun: float = 0.0,
        unit: str = "restarts",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.instance = instance
        self.seeds = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self.rng = np.random.default_rng(self.seeds)
        self.seconds, self.restarts, self.evaluations = seconds, restarts, evaluations
        self.target, self.threads, self.begun, self.unit = target, threads, begun, unit
        self.best: Bits | None = None
        self.loss = self.violation = np.inf
        self.bound: float | None = None
        self.history: list[Incumbent] = []
        self.counts: Counter[str] = Counter()
        self.opened = 0
        self.share = 0.0
        self.exhausted = False
        self.evaluated = instance.evaluations
        self.listener: Listener | None = None
        self.replayed = self.claimed = False
        self.lie = ""
        self.clock = clock
        self.started = clock()

    def elapsed(self) -> float:
        """Seconds since this run began."""
        return self.clock() - self.started

    def remaining(self) -> float:
        """Seconds left; infinite without a budget."""
        return np.inf if self.seconds is None else max(0.0, self.seconds - self.elapsed())

    def stopped(self) -> bool:
        """Whether to stop at once: the budget is used, the target reached, or the optimum proven."""
        if self.remaining() <= 0.0 or self._evaluations_used():
            self.exhausted = True
        return self.exhausted or self.hit() or self.proven()

    def open(self) -> bool:
        """Whether to begin one more restart; every call counts as one."""
        if self.stopped() or (self.restarts is not None and self.opened >= self.restarts):
            return False
        self.opened += 1
        self.tally("restarts")
        return True

    def tally(self, what: str, number: int = 1) -> None:
        """Count work by a name of the field's: flips, sweeps, nodes.

        A block is counted before its best is offered, so that the work beside an incumbent has led to it.

        Raises:
            InputError: a number below 0.
        """
        if number < 0:
            raise InputError(f"work must be counted up, got {number} {what}; pass what was done since")
        self.counts[what] += int(number)

    def worked(self) -> int:
        """How much work was done in the run's unit, as far as the solver has counted it by now."""
        if self.unit == "evaluations" and self.instance.counted and not self.replayed:
            return self.instance.evaluations - self.evaluated
        return self.counts[self.unit]

    def done(self) -> float:
        """Share of the work that is done: of the time where that is limited, else what the solver says."""
        if self.seconds is not None:
            return min(1.0, self.elapsed() / self.seconds)
        if self.evaluations is not None and self.instance.counted:
            return min(1.0, (self.instance.evaluations - self.evaluated) / self.evaluations)
        begun = max(0, self.opened - 1) / self.restarts if self.restarts and self.restarts > 1 else 0.0
        return max(begun, self.share)

    def losses(self, x: Bits) -> Floats:
        """Losses (k,) of k points, each an evaluation whether the instance counts its own or not."""
        if not self.instance.counted:
            self.tally("evaluations", len(x))
        return self.instance.losses(x)

    def _evaluations_used(self) -> bool:
        return self.evaluations is not None and self.evaluations_left() <= 0

    def evaluations_left(self) -> int:
        """New black-box evaluations left, no more than there are solutions; 2⁶² where nothing limits them."""
        if self.evaluations is None:
            return 2**62
        known = self.instance.evaluations
        left = self.evaluations - (known - self.evaluated)
        return min(left, self.instance.solutions - known) if self.instance.counted else left

    def hit(self) -> bool:
        """Whether a feasible incumbent reached the target."""
        return self.target is not None and self.violation == 0 and self.loss <= self.target

    def proven(self) -> bool:
        """Whether the bound meets a feasible incumbent, up to what float64 can tell apart."""
        if self.bound is None or self.violation != 0:
            return False
        # A large offset tells nothing about the size of the losses' differences.
        size = min(abs(self.loss), abs(self.loss - self.instance.offset))
        return self.loss - self.bound <= max(2 * self.instance.resolution, 1e-9 * size)

    def offer(self, x: Any, loss: float | None = None) -> bool:
        """Hand in a point; it is copied and kept if it is the best so far, which is what comes back.

        With `loss` None the run computes the loss. A solver that keeps its own may claim it to save the
        time; every claim that made an incumbent is checked in float64 after the clock has stopped.

        Raises:
            OfferError: x is no solution of the instance, or the claim is not finite.
        """
        try:
            point = self.instance.bits(x)
        except InputError as error:
            raise OfferError(str(error)) from None
        claimed = loss is not None
        value = self.instance.loss(point) if loss is None else float(loss)
        if not np.isfinite(value):
            raise OfferError(f"a claimed loss must be finite, got {value}")
        violation = self.instance.violation(point)
        if (violation, value) >= (self.violation, self.loss):
            return False
        self.best, self.loss, self.violation, self.claimed = point, value, violation, claimed
        if self.listener is not None:
            self.listener.offered(point, value if claimed else None, self.worked())
        elif violation == 0:
            seconds, kept = self.begun + self.elapsed(), point if claimed else None
            self.history.append(Incumbent(seconds, value, kept, self.worked()))
        return True

    def prove(self, bound: float) -> None:
        """State a proven lower bound on the loss of every feasible solution; the highest one counts.

        A bound that is not finite says nothing and is dropped. One above the loss of the best bits is a lie.
        """
        if np.isfinite(bound):
            self.bound = float(bound) if self.bound is None else max(self.bound, float(bound))

    def part(
        self, instance: Instance, index: int, *, seconds: float = np.inf, target: float | None = None
    ) -> Run:
        """A run on part of the instance, from now on: its own seed, at most `seconds` of what remains."""
        limit = min(self.remaining(), seconds)
        child = Run(
            instance,
            seed=np.random.SeedSequence(self.seeds.entropy, spawn_key=(*self.seeds.spawn_key, index)),
            seconds=None if np.isinf(limit) else limit,
            restarts=self.restarts,
            target=target,
            threads=self.threads,
            begun=self.begun + self.elapsed(),
            unit=self.unit,
            clock=self.clock,
        )
        child.counts = self.counts
        return child

    def end(self) -> None:
        """Tell the listener, if any, that the search is over; where another process judges, this one ends."""
        if self.listener is not None:
            self.listener.ended(self)

    def work(self) -> dict[str, int]:
        """All that was counted, a black box's new evaluations included."""
        evaluations = self.instance.evaluations - self.evaluated
        return {**self.counts, **({"evaluations": evaluations} if evaluations else {})}
