"""Problems × solvers × seeds × budgets: suites, the harness that runs them, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..problems.lazy import lazily

if TYPE_CHECKING:
    from .compressing.report import Report, report_of
    from .compression import compress
    from .exporting.saving import Saved, quantized, save
    from .harness.executor import ServerError
    from .harness.suite_run import Progress, Run, run
    from .loading import load
    from .suite import Suite, suite_names
    from .verification.stored_numbers import Falsehood, verify

__all__ = [
    "Falsehood",
    "Progress",
    "Report",
    "Run",
    "Saved",
    "ServerError",
    "Suite",
    "compress",
    "load",
    "quantized",
    "report_of",
    "run",
    "save",
    "suite_names",
    "verify",
]

HOMES = {
    "Falsehood": "verification.stored_numbers",
    "Progress": "harness.suite_run",
    "Report": "compressing.report",
    "Run": "harness.suite_run",
    "Saved": "exporting.saving",
    "ServerError": "harness.executor",
    "Suite": "suite",
    "compress": "compression",
    "load": "loading",
    "quantized": "exporting.saving",
    "report_of": "compressing.report",
    "run": "harness.suite_run",
    "save": "exporting.saving",
    "suite_names": "suite",
    "verify": "verification.stored_numbers",
}
"""Module of each public name: imported when first asked for, because `qubopress --help` needs no torch."""


__getattr__, __dir__ = lazily(__name__, HOMES)
