"""The page's section of instances: what each is, its best known solution, and every incumbent found."""

import json
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ..scoring.references import References
from .html_tables import DASH, digits, fixed, plain, table

HEADS = (
    ("solver", "text"),
    ("seed", ""),
    ("budget", ""),
    ("ending", "text"),
    ("loss", ""),
    ("excess", ""),
    ("violation", ""),
    ("metric", ""),
    ("seconds", ""),
)


def instances_section(frame: pd.DataFrame, references: References) -> str:
    """A folded entry for each instance of a scored table, family by family, the largest first."""
    order = frame.assign(size=frame["variables"].astype("float64").fillna(0))
    order = order.sort_values(["family", "size", "instance"], ascending=[True, False, True], kind="stable")
    entries = [_entry(cells, references) for _, cells in order.groupby("instance_key", sort=False)]
    search = '<label>instance <input type="search" data-filter="instance" placeholder="name"></label>'
    filters = f'<div class="filters">{search}</div>' if len(entries) > 5 else ""
    return f'<section id="instances"><h2>Instances</h2>{_NOTE}{filters}{"".join(entries)}</section>'


_NOTE = (
    """<p class="note">Each opens to its facts and all incumbents, ranked or not, lowest loss first.</p>"""
)


def _entry(cells: pd.DataFrame, references: References) -> str:
    first = cells.iloc[0]
    best = cells[cells["ranked"]].sort_values(["loss", "finished_at"], kind="stable").head(1)
    by = f"best {escape(str(best['label'].iloc[0]))}" if len(best) else "no ranked solution"
    size = f"{int(first['variables']):,} variables" if pd.notna(first["variables"]) else "size unknown"
    note = f"{escape(first['family'])}, {size}, {len(cells):,} cells, {by}"
    head = f"<b>{escape(first['instance'])}</b> <small>{note}</small>"
    facts = [*_facts(first), ("Reference", _reference(first, best, references))]
    listed = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    order = cells.sort_values(["loss", "label", "seed"], kind="stable")
    rows = [_incumbent(row) for row in order.to_dict("records")]
    return f"<details><summary>{head}</summary><dl>{listed}</dl>{table(HEADS, rows)}</details>"


def _facts(first: "pd.Series[Any]") -> list[tuple[str, str]]:
    """What the instance is, as its solvers and its readers know it."""
    text = first["problem_parameters"]
    parameters = json.loads(text) if isinstance(text, str) else {}
    shown = ", ".join(f"{name} = {json.dumps(value)}" for name, value in parameters.items())
    whole = f"{digits(first['float_metric'])} uncompressed, {digits(first['baseline_metric'])} baseline"
    return [
        ("Problem", f"{first['problem']} of {first['network'] or DASH}"),
        ("Parameters", shown or DASH),
        ("Baseline loss", _precise(first["baseline_loss"])),
        (f"Metric: {escape(first['metric_name'])}" if first["metric_name"] else "Metric", whole),
        ("Key", first["instance_key"]),
    ]


def _reference(first: "pd.Series[Any]", best: pd.DataFrame, references: References) -> str:
    """The best known loss, who found it and where it is kept."""
    known = references.instances.get(first["instance_key"])
    here = f"{_precise(best['loss'].iloc[0])} by {best['label'].iloc[0]}, in this store" if len(best) else ""
    if known is None:
        return f"{here or 'none'}; not in the registry"
    held = f"{_precise(known.value)} by {known.solver}, {known.date}, {known.standing}, in the registry"
    return f"{here}; better than {held}" if len(best) and bool(best["improves"].iloc[0]) else held


def _incumbent(row: dict[str, Any]) -> list[str]:
    return [
        plain(row["label"], "text"),
        plain(row["seed"]),
        plain(row["budget"]),
        plain(row["status"].lower(), "text"),
        plain(_precise(row["loss"])),
        plain(fixed(row["excess"]) if row["ranked"] else DASH),
        *(plain(float(row[name])) for name in ("violation", "metric", "seconds")),
    ]


def _precise(value: float) -> str:
    return f"{value:.7g}" if np.isfinite(value) else DASH
