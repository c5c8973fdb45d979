"""The page's section of instances: what each is, its best known solution, and every incumbent found."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from markupsafe import Markup

from ..scoring.references import References
from .frame import render
from .number_texts import DASH, digits, fixed, precise

__all__ = ["instances_section"]

HEADS = (
    ("solver", "text"),
    ("seed", ""),
    ("budget", ""),
    ("ending", "text"),
    ("loss", ""),
    ("excess", ""),
    ("violation", ""),
    ("metric", ""),
    ("bytes", ""),
    ("seconds", ""),
)

SHOWN = (
    *("instance", "instance_key", "family", "problem", "network", "variables", "problem_parameters"),
    *("baseline_loss", "baseline_metric", "float_metric", "metric_name", "ranked", "improves"),
    *("finished_at", "label", "seed", "budget", "status", "loss", "excess", "violation", "metric"),
    *("stored_bytes", "seconds"),
)
"""Columns that an entry is made of; copies of all would take a large store's page seconds."""

MOST_ROWS = 200
"""More cells of an instance are not looked at one by one: each solver's best is shown, and the rest named."""


def instances_section(frame: pd.DataFrame, references: References) -> Markup:
    """A folded entry for each instance of a scored table, family by family, the largest first."""
    order = frame[list(SHOWN)].assign(size=frame["variables"].astype("float64").fillna(0))
    order = order.sort_values(
        ["family", "size", "instance", "loss", "label", "seed"],
        ascending=[True, False, True, True, True, True],
    )
    entries = [_entry(cells, references) for _, cells in order.groupby("instance_key", sort=False)]
    return render("instances_section.html", entries=entries, heads=HEADS)


def _entry(cells: pd.DataFrame, references: References) -> dict[str, Any]:
    """Of cells that are sorted by their loss."""
    first = cells.iloc[0]
    best = cells[cells["ranked"]].nsmallest(1, "loss", keep="all").sort_values("finished_at").head(1)
    by = f"best {best['label'].iloc[0]}" if len(best) else "no ranked solution"
    size = f"{int(first['variables']):,} variables" if pd.notna(first["variables"]) else "size unknown"
    shown = cells if len(cells) <= MOST_ROWS else cells.drop_duplicates("label")
    return {
        "name": first["instance"],
        "note": f"{first['family']}, {size}, {len(cells):,} cells, {by}",
        "left": len(cells) - len(shown),
        "facts": [*_facts(first), ("Reference", _reference(first, best, references))],
        "incumbents": [_incumbent(row) for row in shown.to_dict("records")],
    }


def _facts(first: pd.Series[Any]) -> list[tuple[str, str]]:
    """What the instance is, as its solvers and its readers know it."""
    text = first["problem_parameters"]
    parameters = json.loads(text) if isinstance(text, str) else {}
    shown = ", ".join(f"{name} = {json.dumps(value)}" for name, value in parameters.items())
    whole = f"{digits(first['float_metric'])} uncompressed, {digits(first['baseline_metric'])} baseline"
    return [
        ("Problem", f"{first['problem']} of {first['network'] or DASH}"),
        ("Parameters", shown or DASH),
        ("Baseline loss", precise(first["baseline_loss"])),
        (f"Metric: {first['metric_name']}" if first["metric_name"] else "Metric", whole),
        ("Key", first["instance_key"]),
    ]


def _reference(first: pd.Series[Any], best: pd.DataFrame, references: References) -> str:
    """The best known loss, who found it and where it is kept."""
    known = references.instances.get(first["instance_key"])
    here = f"{precise(best['loss'].iloc[0])} by {best['label'].iloc[0]}, in this store" if len(best) else ""
    if known is None:
        return f"{here or 'none'}; not in the registry"
    held = f"{precise(known.value)} by {known.solver}, {known.date}, {known.standing}, in the registry"
    return f"{here}; better than {held}" if len(best) and bool(best["improves"].iloc[0]) else held


def _incumbent(row: dict[Any, Any]) -> list[Any]:
    """The cells of a row under HEADS."""
    return [
        row["label"],
        row["seed"],
        str(row["budget"]),
        row["status"].lower(),
        precise(row["loss"]),
        fixed(row["excess"]) if row["ranked"] else DASH,
        *(float(row[name]) for name in ("violation", "metric", "stored_bytes", "seconds")),
    ]
