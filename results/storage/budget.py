"""Budget: the limits of one cell, the same from a suite's file to its record and to every comparison."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Budget"]

LIMITS = ("budget_seconds", "restarts", "evaluations", "threads")
"""Columns in which a table of cells keeps the four limits."""


@dataclass(frozen=True)
class Budget:
    """What a cell may use. Cells of unlike budgets are never paired, merged or ranked as one.

    Attributes:
        seconds: wall clock of a cell's searches, None without a limit.
        restarts: how often the solver's fixed work is done, None to use the seconds up.
        evaluations: most losses that a black box is asked for, None without a limit.
        threads: that the solver may use.
    """

    seconds: float | None = None
    restarts: int | None = None
    evaluations: int | None = None
    threads: int = 1

    @property
    def bounded(self) -> bool:
        """Whether anything but the number of threads is limited."""
        return (self.seconds, self.restarts, self.evaluations) != (None, None, None)

    def limits(self) -> dict[str, str]:
        """Each limit in words by its column: "0.5 s", "2 restarts", "60 losses", "1 thread"."""
        found = {} if self.seconds is None else {"budget_seconds": f"{self.seconds:.12g} s"}
        units = {"restarts": ("restart", "restarts"), "evaluations": ("loss", "losses")}
        for name, (one, many) in (units | {"threads": ("thread", "threads")}).items():
            number = getattr(self, name)
            if number is not None:
                found[name] = f"{number} {one if number == 1 else many}"
        return found

    def __str__(self) -> str:
        """All of it, such as "0.5 s, 2 restarts"; one thread goes without saying."""
        found = self.limits()
        if self.threads == 1:
            del found["threads"]
        return ", ".join(found.values()) or "no limit"
