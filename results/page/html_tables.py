"""Tables of the page as HTML text: cells that sort by their value, numbers in few digits."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

Heads = Sequence[tuple[str, str]]
"""The text of each column's head and its class ("text" is set to the left)."""


def table(heads: Heads, rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns sort on a click; the rows hold cells made by `cell`."""
    return tables(heads, [("", rows)])


def tables(heads: Heads, bodies: Iterable[tuple[str, Iterable[Sequence[str]]]]) -> str:
    """A table with several bodies under one head, each with attributes of its own (escaped already)."""
    head = "".join(f'<th class="{kind}">{_head(text)}</th>' for text, kind in heads)
    parts = [f"<tbody{attributes}>{_rows(rows)}</tbody>" for attributes, rows in bodies]
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>{"".join(parts)}</table></div>'


def cell(value: Any, html: str, kind: str = "") -> str:
    """A cell that sorts by `value` and shows `html`, which must be escaped already."""
    missing = isinstance(value, float) and np.isnan(value)
    attributes = f' class="{kind}"' if kind else ""
    return f'<td{attributes} data-value="{"" if missing else escape(str(value))}">{html}</td>'


def plain(value: Any, kind: str = "") -> str:
    """A cell that shows its value, a text or a number, and sorts by what it shows."""
    attributes = f' class="{kind}"' if kind else ""
    text = digits(value, separator="") if isinstance(value, float) else escape(str(value))
    return f"<td{attributes}>{text}</td>"


def fixed(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}".replace("-", MINUS) if np.isfinite(value) else DASH


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


def between(low: float, high: float, show: Any = fixed) -> str:
    """Both ends of an interval; an infinite upper end as such, nothing where the ends are unknown."""
    if np.isnan(low):
        return ""
    return f"{show(low)}{DASH}{'∞' if np.isinf(high) else show(high)}"


def several(values: Iterable[object]) -> str:
    """The different values in their order, as text."""
    return ", ".join(sorted({str(value) for value in values if str(value)})) or DASH


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)


def _head(text: str) -> str:
    return f'<button type="button">{escape(text)}</button>' if text else ""
