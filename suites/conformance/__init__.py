"""What must every solver and formulation keep? Claims, and the check of all about a name."""

from .checking import Finding, check, failures, is_solver

__all__ = ["Finding", "check", "failures", "is_solver"]
