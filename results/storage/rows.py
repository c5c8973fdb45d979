"""Records as JSON lines, one instance or record a line, that a history can show."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import StoreError
from .record import InstanceInfo, Record, RecordError
from .store import Store
from .whole_files import write_whole

__all__ = ["ROWS", "as_store", "light_rows", "write_lines", "write_rows"]

ROWS = ".jsonl"
"""Ending of a file of published rows."""


def write_rows(store: str | Path, out: str | Path) -> int:
    """Publish a store as text; give the number of its records.

    Raises:
        StoreError: the store cannot be read, or the file not written.
    """
    with Store(store) as kept:
        return write_lines(kept.instances(), kept.records(), out)


def write_lines(infos: Iterable[InstanceInfo], records: Iterable[Record], out: str | Path) -> int:
    """Write instances and records as text, ordered so that a rerun changes as few lines as possible.

    Raises:
        StoreError: the file cannot be written.
    """
    infos = sorted(infos, key=lambda one: (one.name, one.key))
    records = sorted(records, key=lambda one: (one.instance, one.solver, one.seed, one.cell))
    lines = [f'{{"instance":{one.to_json()}}}' for one in infos]
    lines += [f'{{"record":{one.to_json()}}}' for one in records]
    write_whole(out, "".join(f"{line}\n" for line in lines))
    return len(records)


@contextmanager
def as_store(path: str | Path) -> Iterator[Path]:
    """A file of rows as a store that lives as long as the context; a store as it is.

    Raises:
        StoreError: the file is neither; the message names the line.
    """
    path = Path(path)
    if path.suffix != ROWS:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "rows.db")
        _fill(store, path)
        yield store


def _fill(store: Path, path: Path) -> None:
    infos: list[InstanceInfo] = []
    records: list[Record] = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            kind, row = _read(line, f"{path}, line {number}")
            (infos if kind == "instance" else records).append(row)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} must be a file of rows that can be read: {error}") from None
    keys = [record.cell for record in records]
    twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
    if twice is not None:
        raise StoreError(f"{path} must hold each cell once, and holds {twice!r} twice; keep one of the rows")
    with Store(store, write=True) as kept:
        for info in infos:
            kept.add_instance(info)
        kept.add_all(records)


def _read(line: str, where: str) -> tuple[str, Any]:
    """The kind of a row, and the row."""
    kinds: dict[str, Any] = {"instance": InstanceInfo, "record": Record}
    try:
        ((kind, content),) = json.loads(line).items()
        return kind, kinds[kind].from_json(json.dumps(content))
    except RecordError as error:
        raise StoreError(f"{where}: {error}") from None
    except (ValueError, KeyError, AttributeError, RecursionError):
        raise StoreError(f'{where} must be {{"instance": …}} or {{"record": …}}, as published') from None


def light_rows(infos: Iterable[InstanceInfo], records: Iterable[Record], out: Path) -> int:
    """Write records as rows, without their traces, and their instances; give the number of records.

    Raises:
        StoreError: the file cannot be written.
    """
    records = list(records)
    keys = {one.instance_key for one in records}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "light.db")
        with Store(store, write=True) as light:
            for info in infos:
                if info.key in keys:
                    light.add_instance(info)
            light.add_all(record.without_trace() for record in records)
        return write_rows(store, out)
