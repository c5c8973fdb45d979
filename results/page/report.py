"""A store as one self-contained HTML page: boards, curves, metrics, instances, provenance, policy."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..scoring.anytime import Traces, timed
from ..scoring.correlation import correlations
from ..scoring.leaderboard import board
from ..scoring.references import References, load_references
from ..scoring.scored_cells import score
from ..scoring.scores import POLICY, TARGETS
from ..storage.record import RANKED
from ..storage.store import Store, StoreError
from ..storage.whole_files import write_whole
from . import downloads
from . import figures as draw
from .frame import page
from .html_tables import DASH, between, cell, digits, fixed, rough, table, tables
from .instances_section import instances_section
from .provenance_section import Environment, facts, provenance_section

FAILURES = 200
"""Rows of the table of failures at most."""

VIEWS = 60
"""Combinations of family and budget that the leaderboard can be narrowed to at most."""


def report(
    path: str | Path, out: str | Path, *, suite: str | None = None, references: References | None = None
) -> Path:
    """Write the report of a store, or of one suite in it, to `out`, and give its path.

    The page needs no network and no other file. It appears whole or not at all. References are those of the
    package's registry unless others are given.
    Raises StoreError when the store cannot be read, has no such cells, or `out` cannot be written.
    """
    references = references or load_references()
    with Store(path) as store:
        whole, traces, environments = store.frame(), store.traces(), store.environments()
    whole = timed(score(whole, references=references), traces)
    frame = whole if suite is None else whole[whole["suite"] == suite]
    if frame.empty:
        held = ", ".join(sorted(whole["suite"].unique())) or "none at all"
        raise StoreError(f"{path} must hold cells of the suite to report, got {suite!r}; it holds {held}")
    title = suite or ", ".join(sorted(frame["suite"].unique()))
    return write_whole(out, _Page(frame.reset_index(drop=True), traces, references).html(title, environments))


class _Page:
    """A report in the making: the cells it shows, the solvers' looks, the figures drawn so far."""

    def __init__(self, frame: pd.DataFrame, traces: Traces, references: References) -> None:
        self.frame, self.traces, self.references = frame, traces, references
        self.board = board(frame, references)
        self.looks = draw.styles(list(self.board["solver"]))
        self.families = sorted(frame["family"].unique())
        self.figures: list[dict[str, Any]] = []

    def html(self, title: str, environments: Sequence[Environment]) -> str:
        parts = [
            _header(title, self.frame, environments, self.references),
            self._contents(),
            self._overview(),
        ]
        parts += [self._family(place, family) for place, family in enumerate(self.families)]
        parts += [instances_section(self.frame, self.references), _failures(self.frame)]
        parts += [provenance_section(self.frame, environments), _policy(self.references)]
        return page(f"qubopress: {title}", "\n".join(parts), self.figures)

    def _contents(self) -> str:
        links = [("leaderboard", "Leaderboard")]
        links += [(f"family-{place}", family or "no family") for place, family in enumerate(self.families)]
        links += [("instances", "Instances"), ("failures", "Failures"), ("provenance", "Provenance")]
        links += [("policy", "How it is scored")]
        return "<nav>" + "".join(f'<a href="#{where}">{escape(text)}</a>' for where, text in links) + "</nav>"

    def _overview(self) -> str:
        views = list(self._views())
        bodies = [(attributes, _board_rows(shown)) for attributes, shown in views]
        controls = _filters(self.families, _budgets(self.frame)) if len(views) > 1 else _SEARCH
        head = f'<section id="leaderboard"><h2>Leaderboard</h2>{_BOARD_NOTE}'
        shown = (
            f'<div class="board"><div class="filters">{controls}</div>{tables(_BOARD_HEADS, bodies)}</div>'
        )
        return f"{head}{shown}{downloads.links(self.frame)}</section>"

    def _views(self) -> Iterable[tuple[str, pd.DataFrame]]:
        """The board of everything, then hidden ones by family, budget and both."""
        yield ' data-family="" data-budget=""', self.board
        budgets = _budgets(self.frame)
        families = self.families if len(self.families) > 1 else []
        choices = [(f, b) for f in (None, *families) for b in (None, *(budgets if len(budgets) > 1 else ()))]
        for family, budget in choices[1 : VIEWS + 1]:
            cells = self.frame
            cells = cells if family is None else cells[cells["family"] == family]
            cells = cells if budget is None else cells[budgets[budget].loc[cells.index]]
            if len(cells):
                values = escape(family or ""), escape(budget or "")
                yield (
                    ' data-family="{}" data-budget="{}" hidden'.format(*values),
                    board(cells, self.references),
                )

    def _family(self, place: int, family: str) -> str:
        cells = self.frame[self.frame["family"] == family]
        parts = [f'<section id="family-{place}"><h2>{escape(family or "no family")}</h2>']
        looks = {name: look for name, look in self.looks.items() if name in set(cells["label"])}
        parts += [_legend(looks), "<h3>Excess over time</h3>", _TIME_NOTE]
        parts.append(self._panels(draw.anytime_panels(cells, self.traces, looks)))
        distributions = self._panels(draw.distribution_panels(cells, looks))
        if distributions:
            parts += ["<h3>Targets, profiles, ranks</h3>", distributions]
        metrics = self._panels(draw.metric_panels(cells, looks))
        if metrics:
            parts += [
                "<h3>Loss against the network's metric</h3>",
                _METRIC_NOTE,
                _correlations(cells),
                metrics,
            ]
        return "\n".join([*parts, "</section>"])

    def _panels(self, panels: Iterable[draw.Figure]) -> str:
        shown = [self._figure(panel) for panel in panels]
        return f'<div class="panels">{"".join(shown)}</div>' if shown else ""

    def _figure(self, figure: draw.Figure) -> str:
        self.figures.append({"data": figure.data, "layout": figure.layout})
        caption = f"{escape(figure.caption)}<small>{escape(figure.note)}&nbsp;</small>"
        place = f'data-figure="{len(self.figures) - 1}" style="height:{figure.height}px"'
        return f'<figure><figcaption>{caption}</figcaption><div class="plot" {place}></div></figure>'


_BOARD_NOTE = """<p class="lead">Excess 0 is the best loss known, 1 (dotted) is the baseline's. The bar and
the small figures are 95 % intervals; solvers whose interval overlaps their leader's share a rank. Times are
in seconds; &gt; marks a lower bound where the target was not reached.</p>
<p class="note wider">A wider window shows more columns.</p>"""

_TIME_NOTE = """<p class="note">Median and middle half (band) over seeds of the best loss so far, as
normalised excess; a dot marks the end of a solver's last run. Until a run has a solution, or when it has none
to rank, it counts as the baseline.</p>"""

_METRIC_NOTE = """<p class="note">Each mark is a ranked cell; the dotted line is the uncompressed network. A
lower loss is worth something only as far as the metric follows it.</p>"""

_LEAD = """<p class="lead">Solvers of network-compression problems, judged on the losses of their own
solutions.</p>"""

_SEARCH = """<label>solver <input type="search" data-filter="solver" placeholder="name"></label>"""


def _header(
    title: str, frame: pd.DataFrame, environments: Sequence[Environment], references: References
) -> str:
    entries = [
        ("Cells", f"{len(frame):,}, of which {int((~frame['ranked']).sum()):,} imputed"),
        (
            "Instances",
            f"{frame['instance_key'].nunique():,} in {', '.join(sorted(frame['family'].unique())) or DASH}",
        ),
        ("Solvers, seeds", f"{frame['label'].nunique():,} solvers, {frame['seed'].nunique():,} seeds"),
        ("Budgets", ", ".join(_budgets(frame)) or DASH),
        ("Finished", _dates(frame["finished_at"])),
        ("References", str(references)),
        *facts(frame, environments),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in entries)
    return f"<header><h1>{escape(title)}</h1>{_LEAD}<dl>{cells}</dl></header>"


def _budgets(frame: pd.DataFrame) -> "dict[str, pd.Series[bool]]":
    """The cells of each budget, by its name."""
    return {str(name): frame["budget"] == name for name in sorted(frame["budget"].unique())}


def _dates(finished: "pd.Series[str]") -> str:
    first, last = (datetime.fromisoformat(value) for value in (finished.min(), finished.max()))
    until = f"{last:%H:%M}" if last.date() == first.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}{DASH}{until} UTC"


def _filters(families: Sequence[str], budgets: Iterable[str]) -> str:
    """Choices of family and budget, and a field for the solver's name."""
    return _choice("family", families) + _choice("budget", list(budgets)) + _SEARCH


def _choice(name: str, values: Sequence[str]) -> str:
    if len(values) < 2:
        return ""
    options = "".join(
        f'<option value="{escape(value)}">{escape(value or "none")}</option>' for value in values
    )
    return (
        f'<label>{name} <select data-filter="{name}"><option value="">all</option>{options}</select></label>'
    )


_BOARD_HEADS = (
    ("#", ""),
    ("solver", "text"),
    ("excess", ""),
    ("", "minor"),
    ("integral", ""),
    *((f"to {name} %", "") for name in TARGETS),
    ("PAR10", "minor"),
    ("seconds", "minor"),
    ("wins", ""),
    ("inst.", "minor"),
    ("imputed", ""),
    ("feasible", ""),
    ("failed", ""),
    ("drop", ""),
)


def _board_rows(shown: pd.DataFrame) -> list[list[str]]:
    widest = shown[["excess", "excess_high"]].max().max()
    scale = float(np.clip(widest, 1.0, 2.0)) * 1.05 if np.isfinite(widest) else 1.05
    return [_board_row(row, scale) for row in shown.to_dict("records")]


def _board_row(row: dict[Any, Any], scale: float) -> list[str]:
    about = "" if row["timing_grade"] == 1.0 else _ABOUT
    excess = fixed(row["excess"]) + _small(between(row["excess_low"], row["excess_high"]))
    return [
        cell(row["rank"], str(row["rank"])),
        cell(row["solver"], _name(row), "text name"),
        cell(row["excess"], excess),
        cell(row["excess"], _strip(row, scale), "minor"),
        cell(row["primal_integral"], about + fixed(row["primal_integral"])),
        *(_time_to_target(row, f"ttt_{name}", about) for name in TARGETS),
        *(cell(row[name], about + digits(row[name]), "minor") for name in ("par10", "seconds")),
        cell(row["wins"], f"{int(row['wins']):,}"),
        cell(row["instances"], f"{int(row['instances']):,}", "minor"),
        cell(row["imputed"], f"{int(row['imputed']):,}" + _small(f"of {int(row['cells']):,}")),
        cell(row["feasible"], f"{row['feasible']:.0%}" if np.isfinite(row["feasible"]) else DASH),
        cell(row["failures"], f"{int(row['failures']):,}"),
        cell(row["metric_drop"], fixed(row["metric_drop"])),
    ]


_ABOUT = '<span title="measured beside other work">≈</span>'


def _name(row: dict[Any, Any]) -> str:
    name = escape(row["solver"]).replace("(", "<wbr>(")
    better = int(row["improves_reference"])
    return name + (_small(f"{better:,} better than the registry") if better else "")


def _small(text: str) -> str:
    return f"<small>{text}</small>" if text else ""


def _time_to_target(row: dict[Any, Any], name: str, about: str) -> str:
    """The time and its interval, or the lower bound where the target was mostly missed."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if np.isinf(value):
        return cell(1e12 + low, f"&gt;&thinsp;{about}{digits(low)}", "bound")
    return cell(value, about + digits(value) + _small(between(low, high, rough)))


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


def _correlations(cells: pd.DataFrame) -> str:
    """The rank correlation of loss and metric, by problem."""
    found = correlations(cells)
    heads = (
        ("problem", "text"),
        ("metric", "text"),
        ("Spearman's \N{GREEK SMALL LETTER RHO}", ""),
        ("95 %", ""),
        ("instances", ""),
        ("solutions", ""),
    )
    rows = [
        [
            cell(row["problem"], escape(row["problem"] or "all"), "text"),
            cell(row["metric_name"], escape(row["metric_name"]), "text"),
            cell(row["rho"], f"{row['rho']:+.2f}"),
            cell(row["rho_low"], _signed(row["rho_low"], row["rho_high"])),
            *(cell(row[name], f"{row[name]:,}") for name in ("instances", "solutions")),
        ]
        for row in found.to_dict("records")
        if not row["problem"] or cells["problem"].nunique() > 1
    ]
    return f'<div class="narrow">{table(heads, rows)}</div>' if rows else ""


def _signed(low: float, high: float) -> str:
    return f"{low:+.2f} to {high:+.2f}" if np.isfinite(low) else DASH


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
    shown = table(_FAILURE_HEADS, rows) + more if rows else '<p class="lead">Every cell gave a solution.</p>'
    return f'<section id="failures"><h2>Failures</h2>{shown}</section>'


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
    cells = [cell(text, escape(text), "text") for text in texts]
    return [*cells, cell(row["size"], str(row["size"])), cell(message, escape(message), "text message")]


def _policy(references: References) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in POLICY)
    named = f"<p>Rankings on this page use {escape(str(references))}.</p>"
    return f'<section id="policy"><h2>How it is scored</h2>{paragraphs}{named}</section>'
