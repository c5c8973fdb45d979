"""Records in one SQLite file: each finished cell is on disk before the next one is counted.

The table of cells stays light (a leaderboard reads nothing else); solutions and traces have tables of
their own. SQLite serialises the commits, so readers may look on while one process writes.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Container, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .cell_table import FLAGS, cell_table
from .errors import StoreError
from .record import InstanceInfo, Record, canonical
from .traces import Counts, Traces, pack_trace, pack_work, unpack_trace, unpack_work

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Store", "load"]

APPLICATION_ID = 0x51554250  # "QUBP": how a store is told from any other SQLite file
SCHEMA_VERSION = 4
WAIT_SECONDS = 30.0  # for another process's commit
STEP = 1_000_000  # instructions of SQLite between two looks at how many a query has taken
FEWEST_STEPS = 200  # some seconds
BYTES_A_STEP = 50_000  # honest queries take some ten instructions a byte

_SCHEMA = f"""
CREATE TABLE instance (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, family TEXT NOT NULL, problem TEXT NOT NULL,
    network TEXT NOT NULL, parameters TEXT NOT NULL, variables INTEGER NOT NULL,
    stage_variables TEXT NOT NULL, stage_losses TEXT NOT NULL, baseline_loss REAL,
    baseline_metric REAL, float_metric REAL, metric_name TEXT NOT NULL, higher_is_better INTEGER NOT NULL
) STRICT;
CREATE TABLE cell (
    id INTEGER PRIMARY KEY, cell TEXT NOT NULL UNIQUE, suite TEXT NOT NULL, family TEXT NOT NULL,
    problem TEXT NOT NULL, network TEXT NOT NULL, instance TEXT NOT NULL, instance_key TEXT NOT NULL,
    solver TEXT NOT NULL, parameters TEXT NOT NULL, seed INTEGER NOT NULL, budget_seconds REAL,
    restarts INTEGER, evaluations INTEGER, threads INTEGER NOT NULL, status TEXT NOT NULL,
    message TEXT NOT NULL, loss REAL, energy REAL, violation REAL, bound REAL, metric REAL,
    metric_name TEXT NOT NULL, seconds REAL, wall_seconds REAL, finished_at TEXT NOT NULL,
    "commit" TEXT NOT NULL, machine TEXT NOT NULL, adapter TEXT NOT NULL, peak_bytes INTEGER,
    versions TEXT NOT NULL, timing_grade INTEGER NOT NULL, anytime INTEGER NOT NULL,
    counts TEXT NOT NULL, limits TEXT NOT NULL, measures TEXT NOT NULL
) STRICT;
CREATE TABLE stage (
    cell INTEGER NOT NULL REFERENCES cell (id) ON DELETE CASCADE, position INTEGER NOT NULL,
    variables INTEGER NOT NULL, loss REAL, violation REAL, bits BLOB, shape TEXT NOT NULL,
    PRIMARY KEY (cell, position)
) STRICT;
CREATE TABLE trace (
    cell INTEGER PRIMARY KEY REFERENCES cell (id) ON DELETE CASCADE, points BLOB NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""

_RESUMED = """
CREATE TABLE resumed (
    cell INTEGER NOT NULL REFERENCES cell (id) ON DELETE CASCADE, "commit" TEXT NOT NULL,
    PRIMARY KEY (cell, "commit")
) STRICT"""
"""At which other commits a run found a cell finished. Made when it is first needed."""

_WORK = """
CREATE TABLE work (
    cell INTEGER PRIMARY KEY REFERENCES cell (id) ON DELETE CASCADE, unit TEXT NOT NULL, counts BLOB NOT NULL
) STRICT"""
"""The work beside each improvement. Made when it is first needed, so that older stores stay as they are."""

_TABLES = {
    text.split()[2]: ("table", text)
    for text in (" ".join(statement.split()) for statement in f"{_SCHEMA};{_RESUMED};{_WORK}".split(";"))
    if text.startswith("CREATE TABLE")
}
"""The tables by name, each with its kind and its statement on one line."""

_APART = ("stages", "trace", "trace_work", "work_unit")
_CELL = tuple(field.name for field in fields(Record) if field.name not in _APART)
_INSTANCE = tuple(field.name for field in fields(InstanceInfo))
_STAGE = ("variables", "loss", "violation", "bits", "shape")
_JSON = {"parameters", "versions", "counts", "limits", "measures", "stage_variables", "stage_losses", "shape"}

_LOADED = tuple(name for name in _CELL if name != "versions")
_JOINED = {
    "problem_parameters": "instance.parameters",
    "variables": "instance.variables",
    "baseline_loss": "instance.baseline_loss",
    "baseline_metric": "instance.baseline_metric",
    "float_metric": "instance.float_metric",
    "higher_is_better": "instance.higher_is_better",
}


class Store:
    """A file of records, open for reading or (`write=True`) for adding to it.

    Use it as a context manager. Reading leaves no file behind, and works in a read-only folder
    unless a writer died there with its last commits unmerged.

    Raises:
        StoreError: the file is missing, foreign, damaged or cannot be written.
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        self.write = write
        self._db = _open_to_write(self.path) if write else _open_to_read(self.path)
        self._steps = 0
        self._db.set_progress_handler(self._endless, STEP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Merge what was written into the file and let go of it; closing twice is harmless."""
        self._db.close()

    def _endless(self) -> bool:
        """Whether a query has taken more steps than a sound file of this size can ask for; that ends it."""
        self._steps += 1
        return self._steps > FEWEST_STEPS and self._steps > FEWEST_STEPS + _bytes(self.path) / BYTES_A_STEP

    def add_instance(self, info: InstanceInfo) -> None:
        """Describe an instance; the latest description of a key is the one that stands."""
        with self._commit() as db:
            _insert(db, "instance", _INSTANCE, info, replace=True)

    def add(self, record: Record, *, replace: bool = False) -> None:
        """Commit one finished cell. Its key must be new unless `replace` is set."""
        with self._commit() as db:
            if replace:
                db.execute("DELETE FROM cell WHERE cell = ?", (record.cell,))
            elif db.execute("SELECT 1 FROM cell WHERE cell = ?", (record.cell,)).fetchone():
                raise StoreError(
                    f"cell {record.cell!r} must be new to {self.path}; pass replace=True to redo it"
                )
            _add(db, record)

    def add_all(self, records: Iterable[Record]) -> None:
        """Commit finished cells at once, all of them or none; their keys must be new."""
        with self._commit() as db:
            for record in records:
                _add(db, record)

    def resume(self, cells: Iterable[str], commit: str) -> None:
        """Note that a run at this commit found these cells finished: by their keys its code is theirs."""
        elsewhere = {cell for cell, at in self._rows('SELECT cell, "commit" FROM cell') if at != commit}
        new = elsewhere.intersection(cells) - {*self.resumed().get(commit, ())}
        if not new:
            return
        with self._commit() as db:
            if not self._has("resumed"):
                db.execute(_RESUMED)
            told = "INSERT OR IGNORE INTO resumed SELECT id, ? FROM cell WHERE cell = ?"
            db.executemany(told, [(commit, cell) for cell in sorted(new)])

    def resumed(self) -> dict[str, list[str]]:
        """By commit, the cells that a run found finished there."""
        found: dict[str, list[str]] = {}
        if self._has("resumed"):
            query = (
                'SELECT resumed."commit", cell.cell FROM resumed JOIN cell ON id = resumed.cell ORDER BY id'
            )
            for commit, cell in self._rows(query):
                found.setdefault(commit, []).append(cell)
        return found

    def _has(self, table: str) -> bool:
        return any(True for _ in self._rows("SELECT 1 FROM sqlite_schema WHERE name = ?", table))

    def suites(self) -> set[str]:
        """The suites that the cells are of."""
        return {suite for (suite,) in self._rows("SELECT DISTINCT suite FROM cell")}

    def statuses(self) -> dict[str, str]:
        """How every cell ended, by its key."""
        return dict(self._rows("SELECT cell, status FROM cell ORDER BY id"))

    def status(self, cell: str) -> str | None:
        """How a cell ended, None where the store lacks it."""
        return next((one for (one,) in self._rows("SELECT status FROM cell WHERE cell = ?", cell)), None)

    def finished(self, cells: Iterable[str]) -> set[str]:
        """Those of `cells` that are in the store, however they ended."""
        return set(cells) & self.statuses().keys()

    def snapshot(self) -> bytes:
        """The whole store as a file of its own, with what a writer beside has committed by now."""
        with _explained(self.path), closing(sqlite3.connect(":memory:")) as copy:
            self._db.backup(copy)
            content: bytes = copy.serialize()
        return content

    def instances(self) -> list[InstanceInfo]:
        """Every instance described, in the order of their keys."""
        rows = self._rows(f"SELECT {', '.join(_INSTANCE)} FROM instance ORDER BY key")  # noqa: S608  # our names
        with self._sound():
            return [InstanceInfo(**_values(_INSTANCE, row)) for row in rows]

    def records(self) -> Iterator[Record]:
        """Every record in the order it came, bits and trace included, one at a time.

        SQLite has no NaN: a loss that was NaN comes back as None.
        """
        for row in self._rows(f"SELECT {_columns(('id', *_CELL))} FROM cell ORDER BY id"):  # noqa: S608  # our names
            yield self._record(row)

    def record(self, cell: str) -> Record:
        """The record of one cell; StoreError when the store has none of that key."""
        query = f"SELECT {_columns(('id', *_CELL))} FROM cell WHERE cell = ?"  # noqa: S608  # our names
        for row in self._rows(query, cell):
            return self._record(row)
        raise StoreError(f"{self.path} must hold the cell {cell!r}; `load` lists those it holds")

    def traces(self) -> Traces:
        """The (k, 2) seconds and losses of every cell that has a trace, by cell key."""
        query = "SELECT cell.cell, points FROM trace JOIN cell ON cell.id = trace.cell ORDER BY cell.id"
        traces = Traces(self._rows(query))
        if cell := traces.wrong():
            raise StoreError(
                f"{self.path} must hold finite traces from 0 on, got another in cell {cell!r}; it was altered"
            )
        return traces

    def work(self) -> dict[str, tuple[str, Counts]]:
        """The unit and the (k,) counts beside the trace of every cell that has them, by cell key."""
        if not self._has("work"):
            return {}
        query = (
            "SELECT cell.cell, unit, work.counts FROM work JOIN cell ON cell.id = work.cell ORDER BY cell.id"
        )
        return {cell: (unit, unpack_work(counts)) for cell, unit, counts in self._rows(query)}

    def environments(self) -> list[tuple[str, str, dict[str, str]]]:
        """The distinct (commit, machine, versions) that the cells come from."""
        rows = self._rows('SELECT DISTINCT "commit", machine, versions FROM cell ORDER BY 1, 2, 3')
        with self._sound():
            return [(commit, machine, dict(json.loads(versions))) for commit, machine, versions in rows]

    def frame(self, *, versions: bool = False, without: Container[str] = ()) -> pd.DataFrame:
        """One row a cell; see `load`. With `versions`, which take some time, these as canonical JSON too.

        Columns that nobody needs may be left out: a large store is read sooner.
        """
        own = [name for name in (_CELL if versions else _LOADED) if name not in without]
        joined = {name: place for name, place in _JOINED.items() if name not in without}
        parts = [f'cell."{name}"' for name in own] + list(joined.values())
        query = f"SELECT {', '.join(parts)} FROM cell LEFT JOIN instance ON key = instance_key ORDER BY id"  # noqa: S608
        return cell_table(self._rows(query), [*own, *joined], self.path)

    def _record(self, row: tuple[Any, ...]) -> Record:
        with self._sound():
            points = self._rows("SELECT points FROM trace WHERE cell = ?", row[0])
            trace = [point for (packed,) in points for point in unpack_trace(packed).tolist()]
            own: dict[str, Any] = {"stages": tuple(self._stages(row[0])), "trace": trace}
            return Record(**_values(_CELL, row[1:]), **own, **self._work_of(row[0]))

    def _work_of(self, row: int) -> dict[str, Any]:
        if not self._has("work"):
            return {}
        found = self._rows("SELECT unit, counts FROM work WHERE cell = ?", row)
        return {
            name: value
            for unit, counts in found
            for name, value in (("work_unit", unit), ("trace_work", unpack_work(counts).tolist()))
        }

    def _stages(self, row: int) -> Iterator[dict[str, Any]]:
        query = f"SELECT {', '.join(_STAGE)} FROM stage WHERE cell = ? ORDER BY position"  # noqa: S608  # our names
        for values in self._rows(query, row):
            yield _values(_STAGE, values)

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        self._steps = 0
        with _explained(self.path):
            cursor = self._db.execute(query, values)
            try:
                yield from iter(cursor.fetchone, None)  # the cursor itself would be closed unasked
            finally:
                with suppress(sqlite3.ProgrammingError):  # who breaks off half-way may have closed the store
                    cursor.close()

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """StoreError where what the store holds is no record."""
        try:
            yield
        except StoreError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"{self.path} must hold sound records; it was damaged or altered: {error}"
            ) from None

    @contextmanager
    def _commit(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on disk afterwards, or none of it."""
        if not self.write:
            raise StoreError(
                f"{self.path} is open for reading; open it with Store(path, write=True) to add to it"
            )
        self._steps = 0
        with _explained(self.path), _transaction(self._db):
            yield self._db


def load(path: str | Path) -> pd.DataFrame:
    """Read a store as a table: one row a cell, in the order they finished.

    Columns: every field of a record but its bits, trace and versions (`parameters`, `counts`, `limits` and
    `measures` as canonical JSON), then the instance's `problem_parameters`, `variables`, `baseline_loss`,
    `baseline_metric`, `float_metric` and `higher_is_better`. Absent numbers are NaN.
    """
    with Store(path) as store:
        return store.frame()


def _bytes(path: Path) -> int:
    """The size of a store with what waits beside it to be merged."""
    return sum(one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists())


def _open_to_write(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise StoreError(
            f"{path} must be a file and is a folder; name a file in it, such as {path / 'results.db'}"
        )
    if not path.parent.is_dir():
        raise StoreError(f"{path} must lie in a folder that exists; create {path.parent} first")
    with _explained(path), _closed_on_error(_connect(path, "mode=rwc")) as db:
        db.execute("PRAGMA foreign_keys = ON")
        if _is_blank(db):
            _create(db)
        _must_be_ours(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        with _transaction(db):
            pass  # a file that cannot be written is found out here, not after the first cell
        return db


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open without changing anything.

    A connection that may write is the one that tidies up SQLite's side files when it closes, so that is
    asked for first. Where the folder forbids side files and none is left over, nothing can be pending in
    them, and the file is read as it stands.
    """
    if path.is_dir():
        raise StoreError(f"{path} must be a store and is a folder; name the file in it")
    if not path.exists():
        raise StoreError(f"{path} must be an existing store; run a suite with --store {path} to make it")
    pending = Path(f"{path}-wal").exists()
    with _explained(path):
        try:
            return _checked_reader(path, "mode=rw")
        except sqlite3.OperationalError:
            return _checked_reader(path, "mode=ro" if pending else "mode=ro&immutable=1")


def _checked_reader(path: Path, mode: str) -> sqlite3.Connection:
    with _closed_on_error(_connect(path, mode)) as db:
        db.execute("PRAGMA query_only = ON")
        _must_be_ours(db, path)
        db.execute("SELECT 1 FROM cell LIMIT 1").fetchone()
        return db


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=WAIT_SECONDS, isolation_level=None
    )
    db.execute("PRAGMA trusted_schema = OFF")  # a stranger's file may bring triggers and views
    return db


def _is_blank(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] and _application(db) == 0


def _create(db: sqlite3.Connection) -> None:
    with _transaction(db):
        if _is_blank(db):  # another process may have been quicker
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)


def _must_be_ours(db: sqlite3.Connection, path: Path) -> None:
    if _application(db) != APPLICATION_ID:
        raise StoreError(f"{path} must be a store of qubopress and is another SQLite file; name another path")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} must have schema {SCHEMA_VERSION}, got {version}; "
            "run its suites again into a new file, or read it with the qubopress it was made by"
        )
    _must_be_tables_of_ours(db, path)


def _must_be_tables_of_ours(db: sqlite3.Connection, path: Path) -> None:
    """Nothing else may stand in a store: a view may be a query without an end, a trigger do anything."""
    for kind, name, statement in db.execute("SELECT type, name, sql FROM sqlite_schema"):
        if (kind, statement) == ("index", None):
            continue  # SQLite's own, for a key
        if _TABLES.get(name) != (kind, " ".join(str(statement).split())):
            raise StoreError(
                f"{path} must hold a store's own tables and nothing else, got the {kind} {str(name)[:60]!r}; "
                "do not trust it, and ask for another"
            )


def _application(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line that says what to do."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # our own bug, such as using a closed store
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} must be a sound, accessible store; {_cure(error)}; SQLite says: {error}"
        ) from None


def _cure(error: Exception) -> str:
    name = getattr(error, "sqlite_errorname", "")
    for prefix, cure in _CURES.items():
        if name.startswith(prefix):
            return cure
    return "restore the file or name another path"


_CURES = {
    "SQLITE_NOTADB": "name a store, or another path for a new one",
    "SQLITE_BUSY": "wait until the other process has finished writing",
    "SQLITE_READONLY": "make the file writable or copy it elsewhere",
    "SQLITE_CANTOPEN": "check the permissions, or copy the store and its -wal file to a folder of yours",
    "SQLITE_FULL": "free some disk space",
    "SQLITE_INTERRUPT": "it asks for more work than its size explains: do not trust it",
}


def _add(db: sqlite3.Connection, record: Record) -> None:
    row = _insert(db, "cell", _CELL, record)
    for position, stage in enumerate(record.stages):
        _insert(db, "stage", _STAGE, stage, cell=row, position=position)
    if record.trace:
        db.execute("INSERT INTO trace VALUES (?, ?)", (row, pack_trace(record.trace)))
    if record.trace_work:
        db.execute(_WORK.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        db.execute("INSERT INTO work VALUES (?, ?, ?)", (row, record.work_unit, pack_work(record.trace_work)))


def _insert(
    db: sqlite3.Connection,
    table: str,
    names: tuple[str, ...],
    source: Any,
    *,
    replace: bool = False,
    **more: int,
) -> int:
    values = [_text_if_json(name, getattr(source, name)) for name in names]
    verb, every = "REPLACE" if replace else "INSERT", (*names, *more)
    marks = ", ".join("?" * len(every))
    query = f"{verb} INTO {table} ({_columns(every)}) VALUES ({marks})"
    return int(db.execute(query, [*values, *more.values()]).lastrowid or 0)


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _text_if_json(name: str, value: Any) -> Any:
    if name not in _JSON:
        return value
    if isinstance(value, dict):
        return canonical({key: _json_number(one) for key, one in value.items()})
    return json.dumps([_json_number(item) for item in value])


def _json_number(value: Any) -> Any:
    """A non-finite number as its text, since JSON has none."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _values(names: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in zip(names, row, strict=True)}


def _value(name: str, value: Any) -> Any:
    """A column's value as its field holds it."""
    if name in _JSON:
        return json.loads(value)
    if name in FLAGS:
        return bool(value)
    if name == "baseline_loss" and value is None:
        return math.nan  # SQLite keeps a NaN as NULL
    return value
