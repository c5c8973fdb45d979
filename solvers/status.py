"""How a search or a cell can end, each with advice."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Status"]


class Status(StrEnum):
    """How a search or a cell ended. The value is the stored name, `advice` what to make of it."""

    advice: str

    def __new__(cls, name: str, advice: str) -> Status:
        """A member that is its own name and carries the advice."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.advice = advice
        return member

    OPTIMAL = "OPTIMAL", "Proven: the bound met the incumbent."
    TARGET = "TARGET", "The target was reached; lower it to search on."
    BUDGET = "BUDGET", "The budget ran out; raise seconds to search on."
    FINISHED = "FINISHED", "The fixed work is done; raise restarts or leave them out to search on."
    INFEASIBLE = "INFEASIBLE", "The best bits break a constraint; use a capacity-aware solver."
    SKIPPED = "SKIPPED", "The solver declined the instance; the message says why."
    TIMEOUT = "TIMEOUT", "Killed at the deadline; the solver does not poll its run often enough."
    MEMORY = "MEMORY", "Passed the memory cap; raise --memory or shrink the instance."
    CRASHED = "CRASHED", "The process died; the message holds its signal or exit code."
    FAILED = "FAILED", "The solver raised, or offered what is no solution; the message holds the error."
    LIED = "LIED", "The claimed loss is not the loss of the bits; the row is never ranked."
