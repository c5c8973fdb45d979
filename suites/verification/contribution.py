"""Published rows: a text form that histories can show, the check of a contribution, and their rejudging.

Rows are published as JSON lines, one instance or record a line, bits included: {"instance": …} or
{"record": …}. A store can be contributed as it is; its records are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...problems import Instance, MissingDataError
from ...problems.errors import one_line
from ...results import Record, Reference, Store, load_references
from ...results import unpack as unpacked
from ...results.commits.asv_export import Commit, commit_of
from ...results.storage.rows import ROWS, as_store
from ..harness.provenance import COMPUTING, ROOT
from ..spec import InstanceSpec
from ..suite import load, suite_names
from .stored_numbers import claims, close, judge, verify

__all__ = ["Checked", "check", "rejudge", "rejudge_references"]


NEEDED = ("python", "qubopress", *COMPUTING)
"""What the versions of a record must name."""

PATIENCE = timedelta(days=1)
"""How far a clock may be ahead of ours."""


@dataclass(frozen=True)
class Checked:
    """What became of one row.

    Attributes:
        row: which, for people.
        fault: what is wrong with it, "" where it holds.
        elsewhere: whether it may hold where it was made: here the data, a plug-in or the commit is missing.
    """

    row: str
    fault: str = ""
    elsewhere: bool = False


# ---- the text form


# ---- a contribution


def check(path: str | Path, *, plugin_folder: str | Path = "") -> Iterator[Checked]:
    """Every record of a contributed file: its provenance, and its numbers recomputed from its bits.

    Raises:
        StoreError: the file is no store and no rows, or a record in it is none.
    """
    with as_store(path) as store:
        falsehood_of = judge(store, plugin_folder=plugin_folder)
        with Store(store) as records:
            for record in records.records():
                row = f"{record.cell} ({record.solver} on {record.instance}, seed {record.seed})"
                if fault := _unprovenanced(record):
                    yield Checked(row, fault)
                    continue
                falsehood = falsehood_of(record) if claims(record) else None
                if falsehood is not None:
                    yield Checked(row, falsehood.reason, falsehood.elsewhere)
                    continue
                unknown = _unknown_here(record.commit)
                yield Checked(row, unknown, bool(unknown))


def _unprovenanced(record: Record) -> str:
    """What a record does not say of where it comes from."""
    if record.commit.endswith("+"):
        return f"its commit {record.commit} had changes of its own; commit them and run again"
    if not re.fullmatch(r"[0-9a-f]{7,40}|v\d[\w.]*", record.commit):
        return f"its commit must be a hash or a version of ours, got {record.commit!r}"
    if not record.machine.strip():
        return "its machine must be named, got nothing"
    lacking = [name for name in NEEDED if not record.versions.get(name)]
    if lacking:
        return f"its versions must name {', '.join(NEEDED)}; they lack {', '.join(lacking)}"
    if record.budget_seconds is None and record.restarts is None:
        return "it must have had a budget or fixed work, and has neither"
    if datetime.fromisoformat(record.finished_at) > datetime.now(UTC) + PATIENCE:
        return f"it must have finished by now, got {record.finished_at}"
    return ""


def _unknown_here(commit: str) -> str:
    """Why the code behind a record cannot be looked at here; without a checkout nobody asks."""
    if commit.startswith("v") or not (ROOT / ".git").exists():
        return ""
    known = isinstance(commit_of(commit, ROOT), Commit)
    return "" if known else f"its commit {commit} is not in this checkout; fetch it, or ask for it"


# ---- what is published


def rejudge(folder: str | Path, *, plugin_folder: str | Path = "") -> Iterator[Checked]:
    """Every row published under a folder, recomputed from its bits, whoever's machine made it.

    Raises:
        StoreError: a file of rows is none.
    """
    for path in sorted(Path(folder).rglob(f"*{ROWS}")):
        with as_store(path) as store:
            for record, falsehood in verify(store, plugin_folder=plugin_folder):
                row = f"{path.name}: {record.solver} on {record.instance}, seed {record.seed}"
                yield Checked(row, falsehood.reason, falsehood.elsewhere) if falsehood else Checked(row)


def rejudge_references(registry: str | Path | None = None) -> Iterator[Checked]:
    """Every reference of the registry, recomputed from its bits on the built-in suites' instances.

    Raises:
        ReferencesError: the registry is not sound.
    """
    specs = {one.label: one for name in suite_names() for one in load(name).instances}
    keys: dict[str, str] = {}
    for reference in load_references(registry).instances.values():
        fault, elsewhere = _rejudged(reference, list(specs.values()), keys)
        yield Checked(f"reference: {reference.name}", fault, elsewhere)


def _rejudged(reference: Reference, specs: list[InstanceSpec], keys: dict[str, str]) -> tuple[str, bool]:
    """What is wrong with a reference, and whether only for want of its instance; `keys` are kept by label."""
    reason = "no built-in suite has its instance, or its version, weights or data are others here"
    # A default that changed renames an instance and keeps its key, so the name's beginning must do.
    for spec in [one for one in specs if f"{reference.name}/".startswith(f"{_beginning(one)}/")]:
        try:
            if spec.label not in keys:
                keys[spec.label] = spec.key(spec.task())
        except MissingDataError as error:
            reason, keys[spec.label] = str(error), ""
        if keys[spec.label] == reference.key:
            return _misvalued(reference, spec), False
    return reason, True


def _beginning(spec: InstanceSpec) -> str:
    return "/".join(part for part in (spec.problem, spec.network) if part)


def _misvalued(reference: Reference, spec: InstanceSpec) -> str:
    """What the instance, built anew, says of a reference's bits."""
    loss = violation = 0.0

    def decide(stage: int, instance: Instance) -> Any:
        nonlocal loss, violation
        kept = reference.stages[stage]
        x = unpacked(kept.bits, kept.shape)
        if spec.judged(instance):
            loss, violation = loss + instance.loss(x), violation + instance.violation(x)
        return x

    try:
        spec.drive(spec.task(), decide)
    except Exception as error:
        # A registry may be a stranger's; the other references are still to be checked.
        return f"its bits cannot be replayed: {one_line(error)}"
    if not close(loss, reference.value):
        return f"its value is {reference.value:.12g}, the bits have {loss:.12g}"
    return f"its bits break a constraint by {violation:.6g}" if violation > 1e-9 else ""
