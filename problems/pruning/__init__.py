"""Which channels stay? Formulations of pruning, and the smaller network."""

from .groups import prunable
from .selection import kept
from .surgery import mask

__all__ = ["kept", "mask", "prunable"]
