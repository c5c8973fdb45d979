"""SVG: the few marks that pictures are made of, and their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["COLOURS", "FAINT", "GRID", "INK", "PAPER", "dot", "line", "svg", "text"]

INK, FAINT, GRID, PAPER = "#1f2933", "#5f6c7b", "#d9dfe6", "#ffffff"
COLOURS = ("#0b6fa4", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#475569")


def svg(width: float, height: float, label: str, marks: Sequence[str]) -> str:
    """A picture on paper of its own, so that it reads on dark pages too."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
    font = 'font-family="system-ui, sans-serif" font-size="13"'
    paper = f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{PAPER}"/>'
    body = "\n".join(mark for mark in marks if mark)
    return f"{head}{font}>\n<title>{escape(label)}</title>\n{paper}\n{body}\n</svg>\n"


def text(
    x: float, y: float, words: str, *, colour: str = INK, anchor: str = "start", weight: str = "normal"
) -> str:
    """Words that begin, end or are centred at a point."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-weight="{weight}">{escape(words)}</text>'


def line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    width: float,
    *,
    opacity: float = 1.0,
    dashed: bool = False,
) -> str:
    """A straight line."""
    looks: Mapping[str, object] = {"stroke": colour, "stroke-width": width, "stroke-linecap": "round"}
    more = f' stroke-opacity="{opacity:g}"' * (opacity < 1) + ' stroke-dasharray="3 5"' * dashed
    told = " ".join(f'{name}="{value}"' for name, value in looks.items())
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {told}{more}/>'


def dot(x: float, y: float, colour: str, radius: float, *, opacity: float = 1.0) -> str:
    """A disc."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}" fill-opacity="{opacity:g}"/>'
