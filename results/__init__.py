"""Records of finished cells: kept in a store, scored, ranked, compared and reported."""

from .bits import pack, unpack
from .compare import Comparison, Outcome, Verdict, compare
from .correlation import correlations
from .export import export
from .leaderboard import by_parameter, leaderboard
from .merging import Merged, merge
from .ranks import CriticalDifference, critical_difference
from .record import RANKED, InstanceInfo, Record, RecordError, Stage
from .references import Proposal, Reference, References, ReferencesError, apply, load_references, propose
from .report import report
from .store import Store, StoreError, load

__all__ = [
    "RANKED",
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
