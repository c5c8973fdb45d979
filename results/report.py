"""A store as one self-contained HTML page: leaderboards, anytime curves, metrics, failures, policy."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import figures as draw
from .anytime import Traces
from .leaderboard import leaderboard, score
from .page import page
from .record import RANKED, STATUSES
from .scores import POLICY, reference
from .store import Store, StoreError

FAILURES = 200
"""Rows of the table of failures at most."""


def report(path: str | Path, out: str | Path, *, suite: str | None = None) -> Path:
    """Write the report of a store, or of one suite in it, to `out`, and give its path.

    The page needs no network and no other file. It appears whole or not at all.
    Raises StoreError when the store cannot be read, has no such cells, or `out` cannot be written.
    """
    with Store(path) as store:
        whole, traces, environments = store.frame(), store.traces(), store.environments()
    whole = score(whole).assign(reference=reference(whole))
    frame = whole if suite is None else whole[whole["suite"] == suite]
    if frame.empty:
        held = ", ".join(sorted(whole["suite"].unique())) or "none at all"
        raise StoreError(f"{path} must hold cells of the suite to report, got {suite!r}; it holds {held}")
    title = suite or ", ".join(sorted(frame["suite"].unique()))
    text = _Page(whole, frame, traces, suite).html(title, environments)
    return _write(Path(out), text)


class _Page:
    """A report in the making: the cells it shows, the solvers' looks, the figures drawn so far."""

    def __init__(self, whole: pd.DataFrame, frame: pd.DataFrame, traces: Traces, suite: str | None) -> None:
        self.whole, self.frame, self.traces, self.suite = whole, frame, traces, suite
        self.board = leaderboard(whole, suite=suite)
        self.looks = draw.styles(list(self.board["solver"]))
        self.families = sorted(frame["family"].unique())
        self.figures: list[dict[str, Any]] = []

    def html(self, title: str, environments: Sequence[tuple[str, str, dict[str, str]]]) -> str:
        parts = [_header(title, self.frame, environments), self._contents(), self._overview()]
        parts += [self._family(place, family) for place, family in enumerate(self.families)]
        parts += [_failures(self.frame), _policy()]
        return page(f"qubopress: {title}", "\n".join(parts), self.figures)

    def _contents(self) -> str:
        links = [("leaderboard", "Leaderboard")]
        links += [(f"family-{place}", family or "no family") for place, family in enumerate(self.families)]
        links += [("failures", "Failures"), ("policy", "How it is scored")]
        return "<nav>" + "".join(f'<a href="#{where}">{escape(text)}</a>' for where, text in links) + "</nav>"

    def _overview(self) -> str:
        table = _board_table(self.board)
        return f'<section id="leaderboard"><h2>Leaderboard</h2>{_BOARD_NOTE}{table}</section>'

    def _family(self, place: int, family: str) -> str:
        cells = self.frame[self.frame["family"] == family]
        parts = [f'<section id="family-{place}"><h2>{escape(family or "no family")}</h2>']
        if len(self.families) > 1:
            parts.append(_board_table(leaderboard(self.whole, suite=self.suite, family=family)))
        looks = {name: look for name, look in self.looks.items() if name in set(cells["label"])}
        parts += [_legend(looks), "<h3>Excess over time</h3>", _TIME_NOTE]
        parts.append(self._panels(draw.anytime_panels(cells, self.traces, looks)))
        metrics = self._panels(draw.metric_panels(cells, looks))
        if metrics:
            parts += ["<h3>Loss against the network's metric</h3>", _METRIC_NOTE, metrics]
        return "\n".join([*parts, "</section>"])

    def _panels(self, panels: Iterable[draw.Figure]) -> str:
        shown = [self._figure(panel) for panel in panels]
        return f'<div class="panels">{"".join(shown)}</div>' if shown else ""

    def _figure(self, figure: draw.Figure) -> str:
        self.figures.append({"data": figure.data, "layout": figure.layout})
        caption = f"{escape(figure.caption)}<small>{escape(figure.note)}&nbsp;</small>"
        plot = f'<div class="plot" data-figure="{len(self.figures) - 1}"></div>'
        return f"<figure><figcaption>{caption}</figcaption>{plot}</figure>"


_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

_BOARD_NOTE = """<p class="lead">Excess 0 is the best loss known, 1 (dotted) is the baseline's. The bar is the
95 % interval; solvers whose interval overlaps their leader's share a rank.</p>"""

_TIME_NOTE = """<p class="note">Median over seeds of the best loss so far, as normalised excess; a dot marks
the end of a solver's last run. Until a run has a solution, or when it has none to rank, it counts as the
baseline.</p>"""

_METRIC_NOTE = """<p class="note">Each mark is a ranked cell; the dotted line is the uncompressed network. A
lower loss is worth something only as far as the metric follows it.</p>"""

_LEAD = """<p class="lead">Solvers of network-compression problems, judged on the losses of their own
solutions.</p>"""


def _header(title: str, frame: pd.DataFrame, environments: Sequence[tuple[str, str, dict[str, str]]]) -> str:
    seen = set(zip(frame["commit"], frame["machine"], strict=True))
    here = [entry for entry in environments if entry[:2] in seen]
    facts = [
        ("Cells", f"{len(frame):,}, of which {int((~frame['ranked']).sum()):,} imputed"),
        ("Instances", f"{frame['instance_key'].nunique():,} in {_several(frame['family'].unique())}"),
        ("Solvers, seeds", f"{frame['label'].nunique():,} solvers, {frame['seed'].nunique():,} seeds"),
        ("Budgets", _several(_budgets(frame))),
        ("Finished", _dates(frame["finished_at"])),
        ("Commit", _several(entry[0] for entry in here)),
        ("Machine", _several(entry[1] for entry in here)),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    versions = escape(" | ".join(dict.fromkeys(_versions(entry[2]) for entry in here)) or _DASH)
    cells += f'<div class="wide"><dt>Versions</dt><dd>{versions}</dd></div>'
    return f"<header><h1>{escape(title)}</h1>{_LEAD}<dl>{cells}</dl></header>"


def _budgets(frame: pd.DataFrame) -> list[str]:
    seconds = [f"{value:g} s" for value in sorted(frame["budget_seconds"].dropna().unique())]
    restarts = [f"{value} restarts" for value in sorted(frame["restarts"].dropna().unique())]
    return seconds + restarts


def _dates(finished: "pd.Series[str]") -> str:
    first, last = (datetime.fromisoformat(value) for value in (finished.min(), finished.max()))
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}{_DASH}{until} UTC"


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _several(values: Iterable[object]) -> str:
    return ", ".join(sorted({str(value) for value in values if str(value)})) or _DASH


def _board_table(board: pd.DataFrame) -> str:
    """A leaderboard as a table whose columns sort on a click."""
    widest = board[["excess", "excess_high"]].max().max()
    scale = float(np.clip(widest, 1.0, 2.0)) * 1.05 if np.isfinite(widest) else 1.05
    rows = [_board_row(row, scale) for row in board.to_dict("records")]
    return _table(_BOARD_HEADS, rows)


_BOARD_HEADS = (
    ("#", ""),
    ("solver", "text"),
    ("excess", ""),
    ("", ""),
    ("95 %", ""),
    ("wins", ""),
    ("instances", ""),
    ("imputed", ""),
    ("seconds", ""),
    ("drop", ""),
    ("endings", "text"),
)


def _board_row(row: dict[Any, Any], scale: float) -> list[str]:
    interval = f"{_fixed(row['excess_low'])} {_DASH} {_fixed(row['excess_high'])}"
    endings = ", ".join(f"{int(row[name])} {name.lower()}" for name in STATUSES if row.get(name, 0) > 0)
    return [
        _cell(row["rank"], str(row["rank"])),
        _cell(row["solver"], escape(row["solver"]).replace("(", "<wbr>("), "text name"),
        _cell(row["excess"], _fixed(row["excess"])),
        _cell(row["excess"], _strip(row, scale)),
        _cell(row["excess_high"], interval if np.isfinite(row["excess_low"]) else _DASH),
        *(_cell(row[name], f"{int(row[name]):,}") for name in ("wins", "instances")),
        _cell(row["imputed"], f"{int(row['imputed']):,} of {int(row['cells']):,}"),
        _cell(row["seconds"], _digits(row["seconds"])),
        _cell(row["metric_drop"], _fixed(row["metric_drop"])),
        _cell(endings, endings, "text small"),
    ]


def _strip(row: dict[Any, Any], scale: float) -> str:
    """The median and its interval on a common scale, 0 at the left, the baseline dotted."""

    def place(value: float) -> float:
        return 100 * float(np.clip(value / scale, 0.0, 1.0))

    if not np.isfinite(row["excess"]):
        return ""
    bar = ""
    if np.isfinite(row["excess_low"]):
        low, high = place(row["excess_low"]), place(row["excess_high"])
        bar = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
    dot = f'<b style="left:{place(row["excess"]):.1f}%"></b>'
    return f'<span class="strip" style="--one:{place(1.0):.1f}%">{bar}{dot}</span>'


def _legend(looks: draw.Styles) -> str:
    """Buttons that name the lines' colours and hide or show a solver in the section's panels."""
    dashes = {"solid": "", "dash": "5 3", "dot": "1.5 3", "dashdot": "6 3 1.5 3"}
    buttons = []
    for name, (colour, dash) in looks.items():
        line = f'<line x1="0" y1="5" x2="22" y2="5" stroke="{colour}" stroke-width="2.5" '
        icon = (
            f'<svg width="22" height="10" aria-hidden="true">{line}stroke-dasharray="{dashes[dash]}"/></svg>'
        )
        # plotly knows a line by its escaped name, so the button carries it escaped once more
        data = escape(escape(name))
        buttons.append(f'<button aria-pressed="true" data-name="{data}">{icon}{escape(name)}</button>')
    return f'<div class="legend">{"".join(buttons)}</div>'


def _failures(frame: pd.DataFrame) -> str:
    """The cells that are not ranked, alike ones joined."""
    failed = frame[~frame["status"].isin(RANKED)]
    keys = ["status", "label", "family", "message"]
    groups = failed.groupby(keys, dropna=False)["instance"].agg(["size", "unique"]).reset_index()
    rows = [_failure_row(row) for row in groups.head(FAILURES).to_dict("records")]
    more = (
        f'<p class="note">{len(groups) - FAILURES} more kinds are in the store.</p>'
        if len(groups) > FAILURES
        else ""
    )
    table = _table(_FAILURE_HEADS, rows) + more if rows else '<p class="lead">Every cell gave a solution.</p>'
    return f'<section id="failures"><h2>Failures</h2>{table}</section>'


_FAILURE_HEADS = (
    ("ending", "text"),
    ("solver", "text"),
    ("family", "text"),
    ("instance", "text"),
    ("cells", ""),
    ("message", "text"),
)


def _failure_row(row: dict[Any, Any]) -> list[str]:
    message = row["message"] if len(row["message"]) <= 300 else row["message"][:299] + "…"
    where = row["unique"][0] if len(row["unique"]) == 1 else f"{len(row['unique'])} instances"
    texts = [row["status"].lower(), row["label"], row["family"], where]
    cells = [_cell(text, escape(text), "text") for text in texts]
    return [*cells, _cell(row["size"], str(row["size"])), _cell(message, escape(message), "text message")]


def _policy() -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in POLICY)
    return f'<section id="policy"><h2>How it is scored</h2>{paragraphs}</section>'


def _table(heads: Sequence[tuple[str, str]], rows: Iterable[list[str]]) -> str:
    head = "".join(f'<th class="{kind}">{_head(text)}</th>' for text, kind in heads)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _head(text: str) -> str:
    return f'<button type="button">{escape(text)}</button>' if text else ""


def _cell(value: Any, html: str, kind: str = "") -> str:
    """A cell that sorts by `value` and shows `html`, which must be escaped already."""
    missing = isinstance(value, float) and not np.isfinite(value)
    return f'<td class="{kind}" data-value="{"" if missing else escape(str(value))}">{html}</td>'


def _fixed(value: float) -> str:
    return f"{value:.3f}".replace("-", _MINUS) if np.isfinite(value) else _DASH


def _digits(value: float) -> str:
    """Three significant digits: 0.00213, 3.27, 10.0, 1,530."""
    if not np.isfinite(value):
        return _DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def _write(out: Path, text: str) -> Path:
    """Put the text in place in one step, so that nobody ever reads half a page."""
    if out.is_dir() or not out.parent.is_dir():
        raise StoreError(f"{out} must be a file in a folder that exists; name such a path for the report")
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise StoreError(f"{out} must lie in a folder that can be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        return Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
