"""The registry of best known solutions: versioned, with bits and provenance; nothing in it ever gets worse.

A registry is one JSON file. `propose` reads a store and says what could be added, `apply` writes the next
version. Rankings take the better of the registry and the store as an instance's reference.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from ..storage.bits import unpack
from ..storage.record import Plain, Record, RecordError
from ..storage.store import Store
from ..storage.whole_files import write_whole
from .scores import FEASIBLE, ranked, tie

__all__ = [
    "Kind",
    "Packed",
    "Proposal",
    "Reference",
    "References",
    "ReferencesError",
    "apply",
    "load_references",
    "propose",
]

REGISTRY = Path(__file__).with_name("references.json")
"""The registry that comes with the package."""

PROVEN, BEST_KNOWN = "proven", "best-known"


class ReferencesError(ValueError):
    """The registry cannot be read or changed as asked. The message is one line and names the cure."""


@dataclass(frozen=True)
class Packed(Plain):
    """The solution of one stage, as `results.pack` packs it, and its shape."""

    bits: bytes
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        unpack(self.bits, self.shape)


@dataclass(frozen=True)
class Reference(Plain):
    """The best known solution of one instance.

    Attributes:
        key, name: of the instance.
        value: its loss, finite.
        baseline: the instance's baseline loss (None if unknown), which says when two losses are the same.
        standing: "proven" (a solver's bound met it) or "best-known".
        solver, date: who found it and on which day.
        feasible: always true; a point that breaks a constraint is no reference.
        stages: the solution, stage by stage.
    """

    key: str
    name: str
    value: float
    baseline: float | None
    standing: str
    solver: str
    date: str
    feasible: bool
    stages: tuple[Packed, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.value):
            raise RecordError(f"a reference's value must be finite, got {self.value} for {self.name!r}")
        if self.standing not in (PROVEN, BEST_KNOWN):
            raise RecordError(f"a reference must be {PROVEN} or {BEST_KNOWN}, got {self.standing!r}")
        if not self.feasible:
            raise RecordError(f"a reference must be feasible; that of {self.name!r} says it is not")
        if not self.stages:
            raise RecordError(f"a reference must bring its bits; that of {self.name!r} has none")
        _day(self.date)

    @property
    def tie(self) -> float:
        """How far another loss may lie from this one and still be the same."""
        return float(tie(self.value, math.nan if self.baseline is None else self.baseline))

    def beats(self, other: "Reference") -> bool:
        """Whether its value is lower by more than a tie."""
        return self.value < other.value - other.tie


@dataclass(frozen=True)
class References:
    """One version of a registry: its number, the day it was made, the references by instance key."""

    version: int
    date: str
    instances: Mapping[str, Reference]

    @cached_property
    def losses(self) -> dict[str, float]:
        """The best known loss by instance key."""
        return {key: one.value for key, one in self.instances.items()}

    def __str__(self) -> str:
        """How rankings name it."""
        return f"registry version {self.version} of {self.date}, {len(self.instances)} instances"


class Kind(StrEnum):
    """What a proposal would change."""

    NEW = "new instance"
    BETTER = "better value"
    PROVEN = "newly proven"
    CONTRADICTS = "better than a proven value"


@dataclass(frozen=True)
class Proposal:
    """A reference that a store offers, and the one it would replace."""

    kind: Kind
    new: Reference
    old: Reference | None

    def __str__(self) -> str:
        """One line for a terminal."""
        before = "" if self.old is None else f" (was {self.old.value:.10g} by {self.old.solver})"
        return f"{self.kind}: {self.new.name} {self.new.value:.10g} by {self.new.solver}{before}"


def load_references(path: str | Path | None = None) -> References:
    """Read a registry, the package's own unless a path is given; ReferencesError when it is not sound."""
    path = REGISTRY if path is None else Path(path)
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ReferencesError(
            f"{path} must be a registry that can be read: {error.strerror}; "
            "name another, or copy the package's to begin one"
        ) from None


def propose(
    store: str | Path,
    *,
    references: References | None = None,
    judge: Callable[[Record], bool] = lambda _: True,
    retell: Callable[[Record], Record] = lambda record: record,
) -> list[Proposal]:
    """Say what the store's solutions would add to the registry, in the order of the instances' names.

    A tie with what is known is no proposal unless it comes with a proof. A solution whose bits were not kept
    is none either.

    Parameters:
        store: whose ranked cells are looked at.
        references: the registry to improve; the package's own unless given.
        judge: whether a record's bits truly have its loss; asked only of records about to be proposed, the
            best first, and the next best stands in for one that does not hold.
        retell: a record that holds with its numbers recomputed, which are those that a reference keeps.
    """
    references = references or load_references()
    with Store(store) as opened:
        frame = opened.frame()
        frame = frame[ranked(frame)].sort_values(["loss", "finished_at"], kind="stable")
        found = [
            _proposal(opened, cells, references, judge, retell) for _, cells in frame.groupby("instance_key")
        ]
    return sorted((one for one in found if one is not None), key=lambda one: (one.new.name, one.new.key))


def apply(
    proposals: Iterable[Proposal], *, path: str | Path | None = None, day: str | None = None
) -> References:
    """Write the next version of a registry with these proposals in it, and give it.

    The registry is read anew, so a proposal made against an older version overwrites nothing better: a worse
    value is refused with ReferencesError, and at a tie the older reference stays unless it is newly proven.
    Without any change no version is written.
    """
    path = REGISTRY if path is None else Path(path)
    before = load_references(path)
    instances = dict(before.instances)
    for proposal in proposals:
        key = proposal.new.key
        instances[key] = _accepted(instances.get(key), proposal.new)
    if instances == before.instances:
        return before
    after = References(before.version + 1, _day(day or f"{datetime.now(UTC):%Y-%m-%d}"), instances)
    write_whole(path, _text(after))
    return after


def _proposal(
    store: Store,
    cells: pd.DataFrame,
    references: References,
    judge: Callable[[Record], bool],
    retell: Callable[[Record], Record],
) -> Proposal | None:
    """What the ranked cells of one instance have to offer: the first that changes something and holds."""
    old = references.instances.get(str(cells["instance_key"].iloc[0]))
    for cell in _best_first(cells).itertuples():
        if old is not None and cell.loss > old.value + old.tie:
            return None
        record = store.record(str(cell.cell))
        baseline, proven = float(cell.baseline_loss), bool(cell.proven)
        if _changes(_offer(record, baseline, proven=proven), old) is None or not judge(record):
            continue
        new = _offer(retell(record), baseline, proven=proven)
        kind = _changes(new, old)
        if new is not None and kind is not None:
            return Proposal(kind, new, old)
    return None


def _changes(new: Reference | None, old: Reference | None) -> Kind | None:
    """What an offer is to what is known; None where there is none, or it adds nothing."""
    return None if new is None else _kind(new, old)


def _best_first(cells: pd.DataFrame) -> pd.DataFrame:
    """Order cells by loss, then age; among those that tie with the best, proofs come first.

    A proof of a loss that another cell beats is none.
    """
    best = cells["loss"].min()
    tied = cells["loss"] <= best + tie(best, cells["baseline_loss"])
    cells = cells.assign(proven=tied & (cells["status"] == "OPTIMAL"), tied=tied)
    order = cells.assign(loss_beyond=cells["loss"].where(~tied, best))
    return order.sort_values(
        ["loss_beyond", "proven", "loss", "finished_at"], ascending=[True, False, True, True], kind="stable"
    )


def _offer(record: Record, baseline: float, *, proven: bool) -> Reference | None:
    """The record as a reference; None when bits are missing or damaged, or break a constraint."""
    if record.loss is None or any((stage.violation or 0.0) > FEASIBLE for stage in record.stages):
        return None
    try:
        kept = [Packed(stage.bits, stage.shape) for stage in record.stages if stage.bits is not None]
        return Reference(
            key=record.instance_key,
            name=record.instance,
            value=record.loss,
            baseline=baseline if math.isfinite(baseline) else None,
            standing=PROVEN if proven else BEST_KNOWN,
            solver=record.solver,
            date=record.finished_at[:10],
            feasible=True,
            stages=tuple(kept) if len(kept) == len(record.stages) else (),
        )
    except RecordError:
        return None


def _kind(new: Reference, old: Reference | None) -> Kind | None:
    """What `new` is to what is known; None when it adds nothing."""
    if old is None:
        return Kind.NEW
    if new.beats(old):
        return Kind.CONTRADICTS if old.standing == PROVEN else Kind.BETTER
    if not old.beats(new) and (new.standing, old.standing) == (PROVEN, BEST_KNOWN):
        return Kind.PROVEN
    return None


def _accepted(old: Reference | None, new: Reference) -> Reference:
    """The reference that stands after an offer; ReferencesError when the offer is worse."""
    kind = _kind(new, old)
    if old is None or kind in (Kind.BETTER, Kind.CONTRADICTS):
        return new
    if kind is Kind.PROVEN:
        return replace(old, standing=PROVEN, solver=f"{old.solver}, proven by {new.solver}")
    if old.beats(new):
        raise ReferencesError(
            f"a reference must not get worse: {new.name} stands at {old.value:.10g} by {old.solver}, "
            f"got {new.value:.10g}; propose from the store again"
        )
    return old


@lru_cache(maxsize=8)
def _parsed(path: Path, _changed: int) -> References:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        items = [Reference.from_json(json.dumps(item)) for item in data["instances"]]
        keys = {item.key: item for item in items}
        if len(keys) != len(items):
            raise RecordError("it names an instance twice")
        return References(_version(data["version"]), _day(data["date"]), keys)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise ReferencesError(
            f"{path} must be a sound registry; restore it from its history: {line}"
        ) from None


def _text(references: References) -> str:
    """A registry as JSON, a line an instance, so that its history can be read."""
    lines = [references.instances[key].to_json() for key in sorted(references.instances)]
    body = ",\n".join(lines)
    head = f'"version": {references.version},\n"date": "{references.date}",\n'
    return f'{{\n{head}"instances": [\n{body}\n]\n}}\n'


def _version(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RecordError(f"a registry's version must be a whole number from 0, got {value!r}")
    return value


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        raise RecordError(f"a date must be written YYYY-MM-DD, got {text!r}") from None
