"""The exact frontier: how many variables each exact solver proves within a time, family by family.

`sphere` knows the structure of a rounding neuron and solves nothing else, so only that family has it.

`qubopress experiment exact-frontier` writes frontier.csv and frontier.html and prints a table.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ... import problems, solvers
from ...problems import Qubo, Rounding
from ...results.page import figures as draw
from ...results.page.frame import page
from ...results.storage.whole_files import write_whole
from ...solvers import Status

__all__ = ["FAMILIES", "SOLVERS", "SizedFamily", "figure", "frontier", "largest", "run", "sizes"]

SOLVERS = ("exhaustive", "branch-and-bound", "cp-sat", "mip", "sphere")

FIRST, FACTOR = 10, 1.15
"""The first size, and the ratio of each further one to the one before."""

SHARE = 2.0
"""Limits after which a solver starts no further size. Ten pairs at most three limits each, and exhaustive's
enumeration, whose declared limit is small, keep all within 33."""


@dataclass(frozen=True)
class SizedFamily:
    """Instances of one kind, one for every size.

    Attributes:
        name: for tables.
        make: the instance of n variables.
        most: variables of the largest one, None if there is none.
    """

    name: str
    make: Callable[[int], Qubo | Rounding]
    most: int | None = None


def dense(n: int) -> Qubo:
    """Every coefficient normal."""
    return Qubo(np.random.default_rng(n).normal(size=(n, n)))


def signs(n: int) -> Qubo:
    """±1 couplings of about six neighbours a variable, and ±1 fields."""
    rng = np.random.default_rng(n)
    bound = np.triu(rng.random((n, n)) < min(1.0, 6 / max(n - 1, 1)), 1)
    upper = bound * rng.choice([-1.0, 1.0], (n, n))
    return Qubo((upper + upper.T) / 2 + np.diag(rng.choice([-1.0, 1.0], n)))


def rounding(n: int) -> Rounding:
    """A neuron of digits-wide's second layer: n coordinates free, the others at their nearest value."""
    neuron = _neuron()
    fixed, free = neuron.fixed.copy(), np.flatnonzero(neuron.fixed[0] < 0)
    fixed[0, free[n:]] = neuron.nearest()[0, free[n:]]
    return replace(neuron, fixed=fixed)


@cache
def _neuron() -> Rounding:
    """Neuron 0 of the second layer of digits-wide at 4 bits: 301 coordinates."""
    formulation = problems.get("adaround-neuron")
    task = problems.classification_task("digits-wide")
    neuron = next(formulation.generate(task, **{**formulation.defaults, "layer": 1, "per": "tensor"}))
    assert isinstance(neuron, Rounding)
    return neuron


FAMILIES = (
    SizedFamily("dense Gaussian", dense),
    SizedFamily("sparse ±1, degree 6", signs),
    SizedFamily("rounding of one neuron", rounding, most=301),
)


def pairs() -> list[tuple[SizedFamily, str]]:
    """Every family with the solvers that take its instances."""
    return [
        (family, solver)
        for family, solver in itertools.product(FAMILIES, SOLVERS)
        if solvers.reaches(solvers.get(solver), type(family.make(FIRST)))
    ]


def sizes(most: int | None = None) -> Iterator[int]:
    """Sizes to try, a geometric grid that ends in `most`."""
    n = float(FIRST)
    while most is None or round(n) < most:
        yield round(n)
        n *= FACTOR
    yield most


def frontier(family: SizedFamily, solver: str, *, seconds: float) -> Iterator[dict[str, Any]]:
    """Solve larger and larger instances until the first that is not proven; a row for each.

    Parameters:
        family: of the instances.
        solver: name of an exact solver.
        seconds: limit of a search.
    """
    begun, ends = time.monotonic(), (family.most, solvers.get(solver).max_variables)
    # What the solver declines is not asked of it: its declared limit is the last size.
    for n in sizes(min((end for end in ends if end is not None), default=None)):
        found = solvers.solve(family.make(n), solver, seconds=seconds)
        gap = None if found.loss is None or found.bound is None else found.loss - found.bound
        yield {
            "family": family.name,
            "solver": solver,
            "n": n,
            "status": found.status.value,
            "seconds": found.seconds,
            "loss": found.loss,
            "bound": found.bound,
            "gap": gap,
            "nodes": found.counts.get("nodes") or found.counts.get("solutions"),
            "message": found.message,
        }
        if found.status is not Status.OPTIMAL or time.monotonic() - begun > SHARE * seconds:
            return


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Largest n that each solver proved, a row a solver and a column a family.

    "≥" marks an end that no miss set: the family's largest, the solver's limit (named) or its share of time.
    """
    table: dict[str, dict[str, str]] = {}
    for (family, solver), cells in rows.groupby(["family", "solver"], sort=False):
        proven = cells.loc[cells["status"] == Status.OPTIMAL.value, "n"]
        open_end = len(proven) == len(cells)
        most = f"{'≥ ' if open_end else ''}{proven.max()}" if len(proven) else f"< {cells['n'].min()}"
        limit = solvers.get(str(solver)).max_variables
        at_limit = open_end and proven.max() == limit
        table.setdefault(str(solver), {})[str(family)] = f"{most} (limit {limit})" if at_limit else most
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("solver").reset_index()


def figure(family: str, rows: pd.DataFrame, looks: draw.Styles, *, seconds: float) -> draw.Figure:
    """Seconds to the proof over n: a line a solver, an open mark where the limit came first."""
    data = []
    for solver, cells in rows.groupby("solver", sort=False):
        colour, dash = looks[str(solver)]
        proven = cells["status"] == Status.OPTIMAL.value
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(str(solver)),
                "showlegend": True,
                "x": cells["n"].tolist(),
                "y": [float(f"{max(value, 1e-3):.4g}") for value in cells["seconds"]],
                "line": {"color": colour, "dash": dash, "width": 1.8},
                "marker": {"size": 7, "symbol": ["circle" if one else "circle-open" for one in proven]},
                "hovertemplate": "n = %{x}: %{y:.3g} s<extra>%{fullData.name}</extra>",
            }
        )
    y = {"type": "log", "title": {"text": "seconds"}, "dtick": 1, "tickformat": "~g"}
    layout = {
        "xaxis": {"title": {"text": "variables"}},
        "yaxis": y,
        "legend": {"orientation": "h", "y": 1.12},
    }
    note = f"seconds to a proof; an open mark was not proven in {seconds:g} s"
    return draw.Figure(family, note, data, layout, 340)


def document(rows: pd.DataFrame, *, seconds: float) -> str:
    """The page: the table, then a picture of each family."""
    looks = draw.styles(list(rows["solver"].unique()))
    panels = [
        figure(str(name), part, looks, seconds=seconds) for name, part in rows.groupby("family", sort=False)
    ]
    return page(
        "table_page.html",
        title="qubopress: exact frontier",
        figures=panels,
        heading="The exact frontier",
        lead=f"Largest number of variables proven optimal within {seconds:g} s, one thread, on sizes a "
        f"factor {FACTOR:g} apart up to the first miss.",
        table=Markup(largest(rows).to_html(index=False, border=0)),  # noqa: S704 - pandas escapes
        drawn=list(enumerate(panels)),
    )


def run(*, seconds: float, out: Path, family: str | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write frontier.csv and frontier.html and yield the table of the largest sizes.

    Parameters:
        seconds: limit of every search.
        out: folder of the results.
        family: name of the only one to measure; the file's rows of the others are kept.
    """
    found: list[dict[str, Any]] = []
    for one, solver in pairs():
        if family in (None, one.name):
            solvers.warm(solver, type(one.make(FIRST)))
            found += frontier(one, solver, seconds=seconds)
    rows = pd.concat([*_others(out / "frontier.csv", family), pd.DataFrame(found)])
    out.mkdir(exist_ok=True)
    rows.to_csv(out / "frontier.csv", index=False)
    write_whole(out / "frontier.html", document(rows, seconds=seconds))
    yield f"Largest n proven within {seconds:g} s", largest(rows)


def _others(file: Path, family: str | None) -> list[pd.DataFrame]:
    """The file's rows of all families but the one that is measured alone."""
    if family is None or not file.exists():
        return []
    rows = pd.read_csv(file)
    return [rows[rows["family"] != family]]
