"""Records of finished cells: kept in a store, scored, ranked, compared and reported."""

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
from .storage.export import export
from .storage.merging import Merged, merge
from .storage.record import RANKED, InstanceInfo, Record, RecordError, Stage
from .storage.store import Store, StoreError, load

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
