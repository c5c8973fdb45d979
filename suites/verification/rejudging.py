"""Published rows and references, recomputed from their bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...problems import Instance, MissingDataError
from ...problems.cache import kept_in
from ...problems.errors import one_line
from ...results import Reference, Store, load_references
from ...results import unpack as unpacked
from ...results.storage.rows import ROWS, as_store
from ..spec import InstanceSpec
from ..suite import load, suite_names
from .checked import Checked
from .stored_numbers import claims, close, one_thread, room_of, verify

__all__ = ["expected", "rejudge", "rejudge_references"]


def expected(folder: str | Path, registry: str | Path | None = None) -> int:
    """How many rows and references there are to recompute: those that claim a result.

    Raises:
        StoreError: a file of rows is none.
        ReferencesError: the registry is not sound.
    """
    rows = 0
    for path in _files(folder):
        with as_store(path) as store, Store(store) as records:
            rows += sum(map(claims, records.records()))
    return rows + len(load_references(registry).instances)


def _files(folder: str | Path) -> list[Path]:
    return sorted(Path(folder).rglob(f"*{ROWS}"))


def rejudge(
    folder: str | Path, *, plugin_folder: str | Path = "", pieces: Path | None = None
) -> Iterator[Checked]:
    """Every row published under a folder, recomputed from its bits, whoever's machine made it.

    Parameters:
        folder: of the rows.
        plugin_folder: of the solvers and problems that they need.
        pieces: folder for what is measured of the networks, so that many files share it; see `judge`.

    Raises:
        StoreError: a file of rows is none.
    """
    for path in _files(folder):
        with as_store(path) as store:
            for record, falsehood in verify(store, plugin_folder=plugin_folder, pieces=pieces):
                row = f"{path.name}: {record.solver} on {record.instance}, seed {record.seed}"
                yield Checked(row, falsehood.reason, falsehood.elsewhere) if falsehood else Checked(row)


def rejudge_references(
    registry: str | Path | None = None, *, pieces: Path | None = None
) -> Iterator[Checked]:
    """Every reference of the registry, recomputed from its bits on the built-in suites' instances.

    Parameters:
        registry: its file; the package's own where None.
        pieces: see `rejudge`.

    Raises:
        ReferencesError: the registry is not sound.
    """
    specs = {one.label: one for name in suite_names() for one in load(name).instances}
    keys: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="qubopress-") as own:
        # In the order of the networks, whose data are then at hand.
        for reference in sorted(load_references(registry).instances.values(), key=lambda one: one.name):
            with one_thread(), kept_in(pieces or Path(own)):
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
    loss = violation = room = 0.0

    def decide(stage: int, instance: Instance) -> Any:
        nonlocal loss, violation, room
        kept = reference.stages[stage]
        x = unpacked(kept.bits, kept.shape)
        if spec.judged(instance):
            one = instance.loss(x)
            loss, violation = loss + one, violation + instance.violation(x)
            room += room_of(spec, instance, one)
        return x

    try:
        spec.drive(spec.task(), decide)
    except Exception as error:
        # A registry may be a stranger's; the other references are still to be checked.
        return f"its bits cannot be replayed: {one_line(error)}"
    if not close(loss, reference.value, room=room):
        return f"its value is {reference.value:.12g}, the bits have {loss:.12g}"
    return f"its bits break a constraint by {violation:.6g}" if violation > 1e-9 else ""
