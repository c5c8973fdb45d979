"""Several stores in one, without ever making one of two measurements.

The content key of a cell says what was measured, not where: two machines, or two commits that differ outside
the solvers, give one key. The first of them keeps the key, so that a run resumes in the merged store as it
would have in the first. Each other one gets `KEY@DIGEST`, the digest being of its machine, commit, versions
and finish time. What follows the @ is left out when cells are compared, so merging again adds nothing.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import StoreError
from .record import InstanceInfo, Record, canonical
from .store import Store

__all__ = ["Merged", "merge"]

SAME_LOSS = 1e-5
"""Relative difference that two machines may find in the baseline of one instance."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge: how many `cells` there are now, and how many were the `same` as another."""

    cells: int
    same: int


def merge(stores: Iterable[str | Path], out: str | Path) -> Merged:
    """Put stores into a new one at `out`, which appears whole or not at all.

    Two cells are one if they have the same key, machine, commit, versions and finish time. An instance is
    described as in the first store that has it.

    Raises:
        StoreError: `out` exists, a store cannot be read, or two stores contradict each other: one cell with
            two contents, or one instance with two baselines.
    """
    out, paths = Path(out), [Path(path) for path in stores]
    if out.exists():
        raise StoreError(f"{out} must not exist yet, a merge overwrites nothing; name another file")
    if not out.parent.is_dir():
        raise StoreError(f"{out} must lie in a folder that exists; create {out.parent} first")
    for path in paths:
        Store(path).close()  # one that cannot be read is told before anything is copied
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            merged = _into(Path(folder) / "merged.db", paths)
            out.touch(exist_ok=False)  # whoever made it meanwhile keeps it
            (Path(folder) / "merged.db").replace(out)
    except FileExistsError:
        raise StoreError(f"{out} must not exist yet and was made meanwhile; name another file") from None
    except OSError as error:
        raise StoreError(f"{out} must lie in a folder that can be written: {error.strerror}") from None
    return merged


def _into(new: Path, paths: list[Path]) -> Merged:
    """Fill a new store in one transaction."""
    infos: dict[str, InstanceInfo] = {}
    cells: dict[str, str] = {}
    keys: dict[str, str] = {}
    same = 0

    def unlike() -> Iterator[Record]:
        nonlocal same
        for path in paths:
            with Store(path) as store:
                _describe(infos, store)
                for record in store.records():
                    measured = _measurement(record)
                    digest = _digest(_named(record, _content_key(record)).to_json())
                    if measured not in cells:
                        cells[measured] = digest
                        yield record
                    elif cells[measured] == digest:
                        same += 1
                    else:
                        raise StoreError(
                            f"{path} must agree with the other stores on cell {record.cell}, measured at "
                            f"{record.finished_at}, and does not; run `qubopress verify` on each"
                        )

    with Store(new, write=True) as store:
        store.add_all(_under_own_keys(unlike(), keys))
        for info in infos.values():
            store.add_instance(info)
        for path in paths:
            for commit, found in _resumed(path):
                store.resume([keys[measured] for measured in found], commit)
    return Merged(len(cells), same)


def _describe(infos: dict[str, InstanceInfo], store: Store) -> None:
    """Take over the descriptions that are new; StoreError when one contradicts what is known."""
    for info in store.instances():
        known = infos.setdefault(info.key, info)
        one, two = known.baseline_loss, info.baseline_loss
        both_unknown = math.isnan(one) and math.isnan(two)
        if not (both_unknown or one == two or math.isclose(one, two, rel_tol=SAME_LOSS)):
            raise StoreError(
                f"{store.path} must give instance {info.name} the baseline loss {one:.10g} of the other "
                f"stores, got {two:.10g}; run `qubopress verify` on each"
            )


def _resumed(path: Path) -> Iterator[tuple[str, list[str]]]:
    """By commit, the measurements that a run found finished there."""
    with Store(path) as store:
        for commit, cells in store.resumed().items():
            yield commit, [_measurement(store.record(cell)) for cell in cells]


def _under_own_keys(records: Iterator[Record], keys: dict[str, str]) -> Iterator[Record]:
    """Every record with a key that no other has, which is kept by its measurement."""
    taken: set[str] = set()
    for record in records:
        key = _content_key(record)
        if key in taken:
            key = f"{key}@{_measurement(record)[-12:]}"
        taken.add(key)
        keys[_measurement(record)] = key
        yield _named(record, key)


def _named(record: Record, key: str) -> Record:
    # A record is checked whenever it is built, which most need not be again.
    return record if record.cell == key else replace(record, cell=key)


def _content_key(record: Record) -> str:
    return record.cell.partition("@")[0]


def _measurement(record: Record) -> str:
    """What makes a measurement this one and no other."""
    parts = [record.machine, record.commit, record.versions, record.finished_at]
    return f"{_content_key(record)}@{_digest(canonical({'parts': parts}))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
