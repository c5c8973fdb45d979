"""Records of finished cells: kept in a store, scored, ranked and reported."""

from .bits import pack, unpack
from .leaderboard import by_parameter, leaderboard
from .record import RANKED, InstanceInfo, Record, RecordError, Stage
from .report import report
from .store import Store, StoreError, load

__all__ = [
    "RANKED",
    "InstanceInfo",
    "Record",
    "RecordError",
    "Stage",
    "Store",
    "StoreError",
    "by_parameter",
    "leaderboard",
    "load",
    "pack",
    "report",
    "unpack",
]
