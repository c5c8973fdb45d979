"""Judging: solutions as files, recomputed on the instances of a set and ranked as cells are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import problems
from ...problems.errors import InputError, MissingDataError, one_line
from ...problems.formats.bits import parse_bits, read_bits
from ...results import InstanceInfo, Record, Stage, Store, pack
from ...solvers import Run, Status
from ...solvers.solution import conclude
from ..harness.provenance import provenance
from ..harness.survey import survey
from ..spec import InstanceSpec, canonical
from .entrants import SUFFIX, solutions
from .manifest import MANIFEST, Entry, read

__all__ = ["BEST", "Judged", "judge_solutions"]

BEST = "best-known"
"""Who brings the best known solutions of a set."""


@dataclass(frozen=True)
class Judged:
    """One solution: whose it is, of which instance, its loss, and what is wrong with it, "" for nothing."""

    entrant: str
    instance: str
    loss: float | None
    fault: str


def judge_solutions(folder: str | Path, instances: str | Path, store: str | Path) -> Iterator[Judged]:
    """Every solution in a folder: judged, and kept in a store as a cell that was not timed.

    Parameters:
        folder: of NAME.txt, all of one entrant named as the folder, or of a folder for each entrant.
        instances: the set, as `qubopress instances` writes it.
        store: gets a record for each solution, and one for each best known solution of the set.

    Raises:
        InputError: there are no solutions, no set, or a file of the set is not the one that was written.
    """
    place = Path(instances)
    entries = {one.name: one for one in read(place)}
    found = solutions(Path(folder), place)
    known = _Instances(place)
    with Store(store, write=True) as records:
        for entrant, path in found:
            name = path.name.removesuffix(SUFFIX)
            if name not in entries:
                yield Judged(entrant, name, None, f"no instance {name!r} in {place}")
                continue
            record = _judged(entrant, path, known, entries[name])
            records.add_instance(known.info(entries[name]))
            records.add(record, replace=True)
            fault = "" if record.status == str(Status.FINISHED) else record.message
            yield Judged(entrant, name, record.loss, fault)
        for name in sorted({path.name.removesuffix(SUFFIX) for _, path in found} & entries.keys()):
            best = entries[name].best
            if best is not None:
                made = _record(BEST, best.bits.encode(), known, entries[name])
                records.add(made, replace=True)


class _Instances:
    """The instances of a set, each read once, from the file that its manifest vouches for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[Any, InstanceInfo]] = {}

    def instance(self, entry: Entry) -> Any:
        """The instance of an entry."""
        return self._of(entry)[0]

    def info(self, entry: Entry) -> InstanceInfo:
        """Its description, as a run on its file has it."""
        return self._of(entry)[1]

    def _of(self, entry: Entry) -> tuple[Any, InstanceInfo]:
        if entry.name not in self._read:
            path = self._file(entry)
            # One at a time stays: sets may be larger than memory.
            self._read = {entry.name: (problems.load_instance(path), _surveyed(path))}
        return self._read[entry.name]

    def _file(self, entry: Entry) -> Path:
        for name, sha in entry.files.items():
            path = self._folder / name
            if path.is_file():
                if hashlib.sha256(path.read_bytes()).hexdigest() != sha:
                    raise InputError(f"{path} must be as {MANIFEST} says, got other bytes; write it anew")
                return path
        raise MissingDataError(f"no file of {entry.name} in {self._folder}; write the set anew")


def _surveyed(path: Path) -> InstanceInfo:
    return survey(InstanceSpec.of("qubo", file=str(path))).info


def _judged(entrant: str, path: Path, known: _Instances, entry: Entry) -> Record:
    """The record of a file; what is no solution is a failure with its reason."""
    try:
        read_bits(path, known.instance(entry))
        data = path.read_bytes()
    except InputError as error:
        return replace(_empty(entrant, known.info(entry)), message=one_line(error, named=False))
    return _record(entrant, data, known, entry)


def _record(entrant: str, data: bytes, known: _Instances, entry: Entry) -> Record:
    """The record of a solution, concluded as a search is that offered it."""
    instance = known.instance(entry)
    found = parse_bits(data, instance)
    run = Run(instance)
    run.offer(found.x, found.loss)
    done = conclude(run, seconds=0.0)
    assert done.x is not None
    lied = done.status is Status.LIED
    stage = Stage(instance.free, done.loss, done.violation, pack(done.x), instance.shape)
    message = done.message or (f"it breaks the constraint by {done.violation:g}" if done.violation else "")
    return replace(
        _empty(entrant, known.info(entry)),
        status=str(done.status if lied or done.violation else Status.FINISHED),
        message=message,
        loss=done.loss,
        energy=done.loss,
        violation=done.violation,
        seconds=0.0,
        wall_seconds=0.0,
        stages=(stage,),
    )


def _empty(entrant: str, info: InstanceInfo) -> Record:
    """A record without a result; nobody here saw how long it took."""
    where = provenance()
    cell = hashlib.sha256(canonical([entrant, info.key, "judged"]).encode()).hexdigest()[:20]
    return Record(
        cell=cell,
        suite="judged",
        family=info.family,
        problem=info.problem,
        network=info.network,
        instance=info.name,
        instance_key=info.key,
        solver=entrant,
        parameters={},
        seed=0,
        budget_seconds=None,
        restarts=1,
        evaluations=None,
        threads=1,
        status=str(Status.FAILED),
        message="",
        loss=None,
        energy=None,
        violation=None,
        bound=None,
        metric=None,
        metric_name=info.metric_name,
        seconds=None,
        wall_seconds=None,
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        commit=where.commit,
        machine=where.machine,
        adapter="",
        peak_bytes=None,
        versions=where.versions,
        stages=(),
        trace=(),
        timing_grade=False,
        anytime=False,
    )
