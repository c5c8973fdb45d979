"""The exact frontier: how many variables each exact solver proves within a time, family by family.

`sphere` knows the structure of a rounding neuron and solves nothing else, so only that family has it.

`qubopress experiment exact-frontier` writes frontier.csv and frontier.html and prints two tables: the largest
sizes, and how long ours take at each other solver's own largest size. What the file already holds under the
same limit is not measured again, so that a run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from markupsafe import Markup

from ... import problems, solvers
from ...problems import Qubo, Rounding
from ...results.page import figures as draw
from ...results.page.frame import page
from ...results.storage.whole_files import write_whole
from ...solvers import Status

__all__ = [
    "FAMILIES",
    "OURS",
    "SOLVERS",
    "SizedFamily",
    "figure",
    "frontier",
    "largest",
    "ratios",
    "run",
    "sizes",
]

OURS = ("branch-and-bound", "branch-and-cut", "sphere")

SOLVERS = ("exhaustive", *OURS, "cp-sat", "mip", "scip", "gurobi")
"""Those of extras are measured where they are installed."""

FIRST, FACTOR = 10, 1.15
"""The first size, and the ratio of each further one to the one before."""

SHARE = 2.0
"""Limits after which a solver starts no further size, so that a pair takes some three at most."""

BRIEF = 0.3
"""Share of a limit below which a search does not count: some solvers start a process for every size."""


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


def dense_signs(n: int) -> Qubo:
    """Every coupling and field ±1."""
    upper = np.triu(np.random.default_rng(n).choice([-1.0, 1.0], (n, n)))
    return Qubo((upper + upper.T) / 2)


def signs(n: int) -> Qubo:
    """±1 couplings of about six neighbours a variable, and ±1 fields, in sparse form."""
    rng, share = np.random.default_rng(n), min(1.0, 6 / max(n - 1, 1))
    # Row by row what a matrix of n × n numbers would hold, which it is too large to be.
    bound = [i + 1 + np.flatnonzero(rng.random(n)[i + 1 :] < share) for i in range(n)]
    drawn = np.concatenate([rng.choice([-1.0, 1.0], n)[columns] for columns in bound])
    rows = np.repeat(np.arange(n), [len(columns) for columns in bound])
    upper = sp.csr_array((drawn / 2, (rows, np.concatenate(bound))), (n, n))
    return Qubo(sp.csr_array(upper + upper.T + sp.diags_array(rng.choice([-1.0, 1.0], n))))


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
    SizedFamily("dense ±1", dense_signs),
    SizedFamily("sparse ±1, degree 6", signs),
    SizedFamily("rounding of one neuron", rounding, most=301),
)


def pairs() -> list[tuple[SizedFamily, str]]:
    """Every family with the solvers that take its instances."""
    return [
        (family, solver)
        for family, solver in itertools.product(FAMILIES, SOLVERS)
        if _installed(solver) and solvers.reaches(solvers.get(solver), type(family.make(FIRST)))
    ]


def _installed(solver: str) -> bool:
    return all(find_spec(module) for module in solvers.get(solver).requires)


def sizes(most: int | None = None) -> Iterator[int]:
    """Sizes to try, a geometric grid that ends in `most`."""
    n = float(FIRST)
    while most is None or round(n) < most:
        yield round(n)
        n *= FACTOR
    yield most


def frontier(
    family: SizedFamily, solver: str, *, seconds: float, known: Sequence[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Solve larger and larger instances until the first that is not proven; a row for each.

    Parameters:
        family: of the instances.
        solver: name of an exact solver.
        seconds: limit of a search.
        known: rows from before, which are handed on in place of a search.
    """
    used, ends = 0.0, (family.most, solvers.get(solver).max_variables)
    before = {row["n"]: row for row in known if (row["family"], row["solver"]) == (family.name, solver)}
    # What the solver declines is not asked of it: its declared limit is the last size.
    for n in sizes(min((end for end in ends if end is not None), default=None)):
        row = before.get(n) or _measured(family, solver, n, seconds)
        yield row
        used += row["seconds"] if row["seconds"] > BRIEF * seconds else 0.0
        if row["status"] != Status.OPTIMAL.value or used > SHARE * seconds:
            return


def _measured(family: SizedFamily, solver: str, n: int, seconds: float) -> dict[str, Any]:
    """A row of the file; `load` is how many processes of the machine ran or waited in its last minute."""
    found = solvers.solve(family.make(n), solver, seconds=seconds)
    gap = None if found.loss is None or found.bound is None else found.loss - found.bound
    return {
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
        "limit": seconds,
        "load": round(os.getloadavg()[0], 1),
    }


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Largest n that each solver proved, a row a solver and a column a family.

    "≥" marks an end that no miss set: the family's largest, what the solver declines (said) or its share of
    time.
    """
    table: dict[str, dict[str, str]] = {}
    for (family, solver), cells in rows.groupby(["family", "solver"], sort=False):
        proven = cells.loc[cells["status"] == Status.OPTIMAL.value, "n"]
        declined = (cells["status"] == Status.SKIPPED.value).any()
        open_end = len(proven) == (cells["status"] != Status.SKIPPED.value).sum()
        most = f"{'≥ ' if open_end else ''}{proven.max()}" if len(proven) else f"< {cells['n'].min()}"
        limit = solvers.get(str(solver)).max_variables
        why = " (declines more)" if declined else f" (limit {limit})" if proven.max() == limit else ""
        table.setdefault(str(solver), {})[str(family)] = most + why * bool(len(proven) and open_end)
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("solver").reset_index()


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds at the largest n that each other solver proved, and how many times those of ours they are."""
    proven = rows[rows["status"] == Status.OPTIMAL.value]
    ours = proven[proven["solver"].isin(OURS)].groupby(["family", "n"])["seconds"].min()
    table = []
    for (family, solver), cells in proven[~proven["solver"].isin(OURS)].groupby(
        ["family", "solver"], sort=False
    ):
        one = cells.loc[cells["n"].idxmax()]
        least = ours.get((family, one["n"]))
        table.append(
            {
                "instances": family,
                "solver": solver,
                "n": int(one["n"]),
                "seconds": f"{one['seconds']:.3g}",
                "ours": "" if least is None else f"{least:.3g}",
                "ratio": "" if least is None else f"{one['seconds'] / least:.3g}",
            }
        )
    return pd.DataFrame(table, columns=["instances", "solver", "n", "seconds", "ours", "ratio"])


def figure(family: str, rows: pd.DataFrame, looks: draw.Styles, *, seconds: float) -> draw.Figure:
    """Seconds to the proof over n: a line a solver, an open mark where the limit came first."""
    data = []
    tried = rows[rows["status"] != Status.SKIPPED.value]
    for solver, cells in tried.groupby("solver", sort=False):
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
        "xaxis": {"type": "log", "title": {"text": "variables"}, "dtick": "D2", "tickformat": "~s"},
        "yaxis": y,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"t": 90},
    }
    note = f"seconds to a proof; an open mark was not proven in {seconds:g} s"
    return draw.Figure(family, note, data, layout, 380)


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
        table=Markup(largest(rows).fillna("–").to_html(index=False, border=0)),  # noqa: S704 - pandas escapes
        drawn=list(enumerate(panels)),
    )


def run(
    *, seconds: float, out: Path, family: str | None = None, anew: bool = False
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write frontier.csv and frontier.html and yield the tables.

    Parameters:
        seconds: limit of every search.
        out: folder of the results; frontier.csv is written after every search.
        family: name of the only one to measure; the file's rows of the others are kept.
        anew: measure what the file holds under the same limit, too.
    """
    file = out / "frontier.csv"
    others, known = _stored(file, family, seconds)
    found: list[dict[str, Any]] = []
    out.mkdir(exist_ok=True)
    for one, solver in pairs():
        if family in (None, one.name):
            solvers.warm(solver, type(one.make(FIRST)))
            for row in frontier(one, solver, seconds=seconds, known=() if anew else known):
                found.append(row)
                # What was known and is not reached yet stays, should this run be broken off.
                left = [] if anew else [old for old in known if _place(old) not in map(_place, found)]
                write_whole(file, pd.DataFrame([*others, *found, *left]).to_csv(index=False))
    rows = pd.DataFrame([*others, *found])
    write_whole(file, rows.to_csv(index=False))
    write_whole(out / "frontier.html", document(rows, seconds=seconds))
    yield f"Largest n proven within {seconds:g} s ({_origin(found, known, anew=anew)})", largest(rows)
    yield "Seconds at each other solver's largest n, and ours", ratios(rows)


def _origin(found: Sequence[dict[str, Any]], known: Sequence[dict[str, Any]], *, anew: bool) -> str:
    """How many searches were made now, and what to do about those that were not."""
    old = 0 if anew else len(set(map(_place, found)) & set(map(_place, known)))
    now = f"{len(found) - old} of {len(found)} searches made now"
    return f"{now}, {old} taken from frontier.csv; --anew makes all" if old else now


def _place(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["family"], row["solver"], row["n"]


def _stored(file: Path, family: str | None, seconds: float) -> tuple[list[Any], list[Any]]:
    """The file's rows of families that are not measured, and those of the others under the same limit."""
    if not file.exists():
        return [], []
    rows = pd.read_csv(file)
    aside = rows["family"] != family if family is not None else pd.Series(False, rows.index)
    same = rows["limit"] == seconds if "limit" in rows else pd.Series(False, rows.index)
    plain = rows.astype(object).where(rows.notna(), None)
    return plain[aside].to_dict("records"), plain[~aside & same].to_dict("records")
