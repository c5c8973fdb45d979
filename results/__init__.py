"""Records of finished cells: kept in a store, scored, ranked, compared and reported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .commits.compare import Comparison, Outcome, Verdict, compare
    from .page.report import report
    from .scoring.by_parameter import by_parameter
    from .scoring.correlation import correlations
    from .scoring.leaderboard import leaderboard
    from .scoring.ranks import CriticalDifference, critical_difference
    from .scoring.references import (
        Proposal,
        Reference,
        References,
        ReferencesError,
        apply,
        load_references,
        propose,
    )
    from .storage.bits import pack, unpack
    from .storage.budget import Budget
    from .storage.errors import StoreError
    from .storage.export import export
    from .storage.merging import Merged, merge
    from .storage.record import RANKED, InstanceInfo, Record, RecordError, Stage
    from .storage.store import Store, load

__all__ = [
    "RANKED",
    "Budget",
    "Comparison",
    "CriticalDifference",
    "InstanceInfo",
    "Merged",
    "Outcome",
    "Proposal",
    "Record",
    "RecordError",
    "Reference",
    "References",
    "ReferencesError",
    "Stage",
    "Store",
    "StoreError",
    "Verdict",
    "apply",
    "by_parameter",
    "compare",
    "correlations",
    "critical_difference",
    "export",
    "leaderboard",
    "load",
    "load_references",
    "merge",
    "pack",
    "propose",
    "report",
    "unpack",
]

HOMES = {
    "Budget": "storage.budget",
    "Comparison": "commits.compare",
    "CriticalDifference": "scoring.ranks",
    "InstanceInfo": "storage.record",
    "Merged": "storage.merging",
    "Outcome": "commits.compare",
    "Proposal": "scoring.references",
    "RANKED": "storage.record",
    "Record": "storage.record",
    "RecordError": "storage.record",
    "Reference": "scoring.references",
    "References": "scoring.references",
    "ReferencesError": "scoring.references",
    "Stage": "storage.record",
    "Store": "storage.store",
    "StoreError": "storage.store",
    "Verdict": "commits.compare",
    "apply": "scoring.references",
    "by_parameter": "scoring.by_parameter",
    "compare": "commits.compare",
    "correlations": "scoring.correlation",
    "critical_difference": "scoring.ranks",
    "export": "storage.export",
    "leaderboard": "scoring.leaderboard",
    "load": "storage.store",
    "load_references": "scoring.references",
    "merge": "storage.merging",
    "pack": "storage.bits",
    "propose": "scoring.references",
    "report": "page.report",
    "unpack": "storage.bits",
}
"""Module of each public name: imported when first asked for, because pandas and SciPy take a second."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
