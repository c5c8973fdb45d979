"""Numbers as a page writes them: few digits, and a dash for what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = [
    "DASH",
    "between",
    "count",
    "digits",
    "fixed",
    "precise",
    "rough",
    "several",
    "shown",
    "signed",
    "sortable",
]

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def sortable(value: Any) -> str:
    """What a cell of a table sorts by; nothing where it is unknown."""
    missing = isinstance(value, float) and np.isnan(value)
    return "" if missing else str(value)


def shown(value: Any) -> str:
    """A text as it is, a number in three digits without a separator."""
    return digits(value, separator="") if isinstance(value, float) else str(value)


def count(value: float) -> str:
    """A whole number: 1,530."""
    return f"{int(value):,}"


def fixed(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}".replace("-", MINUS) if np.isfinite(value) else DASH


def signed(value: float) -> str:
    """Two decimals and a sign, as correlations are written."""
    return f"{value:+.2f}"


def digits(value: float, *, separator: str = ",") -> str:
    """Three significant digits: 0.00213, 3.27, 10.0, 1,530."""
    if not np.isfinite(value):
        return DASH
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:{separator}.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def rough(value: float) -> str:
    """Two significant digits, for the ends of an interval."""
    return f"{float(f'{value:.2g}'):g}" if np.isfinite(value) else DASH


def precise(value: float) -> str:
    """Seven significant digits, which tell losses apart."""
    return f"{value:.7g}" if np.isfinite(value) else DASH


def between(low: float, high: float, show: Callable[[float], str] = fixed) -> str:
    """Both ends of an interval; an infinite upper end as such, nothing where the ends are unknown."""
    if np.isnan(low):
        return ""
    return f"{show(low)}{DASH}{'∞' if np.isinf(high) else show(high)}"


def several(values: Iterable[object]) -> str:
    """The different values in their order, as text."""
    return ", ".join(sorted({str(value) for value in values if str(value)})) or DASH
