"""One finished cell as plain data: built strictly, sent over a pipe, kept in a store.

A record may come from a child process that ran a stranger's solver, so nothing in it is believed:
every field is checked against its declared type when the record is built, whoever builds it.
"""

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from numbers import Integral, Real
from reprlib import repr as short
from types import UnionType
from typing import Any, Self, TypeVar, get_args, get_origin

from .budget import Budget

__all__ = [
    "DEEPEST",
    "RANKED",
    "STATUSES",
    "STORED_BYTES",
    "InstanceInfo",
    "Plain",
    "Record",
    "RecordError",
    "Stage",
    "canonical",
    "too_deep",
]

_T = TypeVar("_T")

STATUSES = (
    "OPTIMAL",
    "TARGET",
    "BUDGET",
    "FINISHED",
    "INFEASIBLE",
    "SKIPPED",
    "TIMEOUT",
    "MEMORY",
    "CRASHED",
    "FAILED",
    "LIED",
)
"""How a cell can end. The advice that goes with each name belongs to the solvers."""

RANKED = ("OPTIMAL", "TARGET", "BUDGET", "FINISHED")
"""The endings whose loss enters a ranking; every other ending falls back on the baseline."""

STORED_BYTES = "stored bytes"
"""The measure that is the size of our packed file of the compressed network; older records lack it."""

LATER = frozenset({"trace_work", "work_unit"})
"""Fields that older records lack: where they are empty, a record is written without them."""

DEEPEST = 20
"""Most lists and objects inside each other in a parameter."""


class RecordError(ValueError):
    """A record, or the bits in it, cannot be what it claims to be. The message is one line."""


class Plain:
    """Strict construction and JSON for a frozen dataclass of plain data."""

    def __post_init__(self) -> None:
        # one.type is a type, not its text, as long as this file does not postpone its annotations
        for one in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            where = f"{type(self).__name__}.{one.name}"
            object.__setattr__(self, one.name, _read(one.type, getattr(self, one.name), where))

    def to_json(self) -> str:
        """One line of strict JSON: bytes in base64, non-finite floats as the texts nan, inf and -inf."""
        return json.dumps(_plain(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Rebuild what `to_json` wrote; RecordError when the text is anything else."""
        try:
            return _read_object(cls, json.loads(text, parse_constant=_refuse_constant), cls.__name__)
        except RecordError:
            raise
        except (ValueError, RecursionError) as error:
            raise RecordError(f"a {cls.__name__} must be strict JSON: {short(str(error))}") from None


@dataclass(frozen=True)
class Stage(Plain):
    """One solved instance inside a cell: a layer of a network, or the only one.

    Attributes:
        variables: number of free variables.
        loss, violation: recomputed from the bits by the harness; None when there are no bits.
        bits: the solution as packed by `results.pack`, or None.
        shape: the solution's shape before packing.
    """

    variables: int
    loss: float | None
    violation: float | None
    bits: bytes | None
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variables < 0 or min(self.shape, default=0) < 0:
            raise RecordError(f"sizes must be ≥ 0, got {self.variables} variables of shape {self.shape}")


@dataclass(frozen=True)
class Record(Plain):
    """One finished cell (instance × solver × parameters × seed × budget), success or failure alike.

    Attributes:
        cell, instance_key: content keys of the cell and of the problem instance it solved.
        suite, family, problem, network, instance, solver: the names a reader knows them by.
        parameters: the solver's, as JSON values (a non-finite number is kept as its text).
        budget_seconds, restarts, evaluations, threads: its `budget`; None where there was no limit.
        status: one of STATUSES; `message` says more (an error's text, the reason of a skip).
        loss, energy: the true objective, and what the solver saw (with penalties).
        violation: 0 when feasible.
        bound: a proven lower bound of the loss.
        metric: of the compressed network, named by `metric_name`.
        seconds, wall_seconds: the solver's own clock, and the whole cell's.
        finished_at: ISO 8601 in UTC.
        commit, machine, versions: where the figures come from.
        adapter: how the instance was turned into a shape the solver accepts; empty when it was not.
        peak_bytes: peak resident memory of the cell's process.
        trace: (seconds, loss) of every improvement.
        trace_work: (as long as trace) how much of the count `work_unit` the solver had tallied by each
            improvement; it tallies block by block. Empty where it counts nothing, and in older records.
        timing_grade: whether nothing else ran beside it, so that its seconds may be compared.
        anytime: whether the solver's path does not depend on the budget, so that its trace may be cut.
        counts: machine-independent work by name (evaluations, restarts, flips, nodes).
        limits: how its caps were enforced, such as {"memory": "rss-watchdog 4 GiB"}.
        measures: of the compressed network besides its metric, by name (parameters, products, SSIM).
    """

    cell: str
    suite: str
    family: str
    problem: str
    network: str
    instance: str
    instance_key: str
    solver: str
    parameters: dict[str, Any]
    seed: int
    budget_seconds: float | None
    restarts: int | None
    evaluations: int | None
    threads: int
    status: str
    message: str
    loss: float | None
    energy: float | None
    violation: float | None
    bound: float | None
    metric: float | None
    metric_name: str
    seconds: float | None
    wall_seconds: float | None
    finished_at: str
    commit: str
    machine: str
    adapter: str
    peak_bytes: int | None
    versions: dict[str, str]
    stages: tuple[Stage, ...]
    trace: tuple[tuple[float, float], ...]
    timing_grade: bool = True
    anytime: bool = True
    counts: dict[str, int] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    trace_work: tuple[int, ...] = ()
    work_unit: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status not in STATUSES:
            raise RecordError(f"Record.status must be one of {', '.join(STATUSES)}; got {short(self.status)}")
        if not _is_utc(self.finished_at):
            raise RecordError(f"Record.finished_at must be ISO 8601 in UTC, got {short(self.finished_at)}")

    def without_trace(self) -> Self:
        """The same cell without its course."""
        return replace(self, trace=(), trace_work=(), work_unit="")

    @property
    def budget(self) -> Budget:
        """The limits it was given."""
        return Budget(self.budget_seconds, self.restarts, self.evaluations, self.threads)


@dataclass(frozen=True)
class InstanceInfo(Plain):
    """What a reader of records must know of an instance: its names, size, and the baseline's score.

    Attributes:
        key, name, family, problem, network: as in the records of its cells.
        parameters: the problem's (bits, keep, ...), as JSON values.
        variables, stage_variables: in all, and stage by stage.
        stage_losses, baseline_loss, baseline_metric: of what a practitioner would do without a solver (round
            to nearest, greedy Taylor).
        float_metric: of the network before compression.
        higher_is_better: the direction of the metric.
    """

    key: str
    name: str
    family: str
    problem: str
    network: str
    parameters: dict[str, Any]
    variables: int
    stage_variables: tuple[int, ...]
    stage_losses: tuple[float, ...]
    baseline_loss: float
    baseline_metric: float | None
    float_metric: float | None
    metric_name: str
    higher_is_better: bool


def canonical(value: Any) -> str:
    """The JSON text that equal plain data share: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _read(kind: Any, value: Any, where: str) -> Any:
    """Give `value` as the declared `kind`, from Python or from JSON; RecordError when it is not one."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _read(inner[0], value, where)
    if origin is tuple:
        return _read_tuple(inner, value, where)
    if origin is dict:
        return _read_dict(inner[1], value, where)
    if isinstance(kind, type) and issubclass(kind, Plain):
        return value if isinstance(value, kind) else _read_object(kind, value, where)
    return _SCALARS[kind](value, where)


def _read_tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        raise _wrong("a list", value, where)
    kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
    if len(kinds) != len(value):
        raise _wrong(f"a list of {len(kinds)}", value, where)
    return tuple(_read(kind, item, where) for kind, item in zip(kinds, value, strict=True))


def _read_dict(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("an object", value, where)
    return {_read_text(key, where): _read(kind, item, where) for key, item in value.items()}


def _read_object(kind: type[_T], value: Any, where: str) -> _T:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    if not isinstance(value, dict):
        raise _wrong("an object", value, where)
    wrong = (names - value.keys() - LATER) | (value.keys() - names)
    if wrong:
        odd = ", ".join(sorted(short(name) for name in wrong))
        raise RecordError(f"{where} must hold exactly its own fields; missing or unknown: {odd[:200]}")
    return kind(**value)


def _read_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong("text", value, where)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong("Unicode text without lone surrogates", ascii(value), where) from None
    return value


def _read_int(value: Any, where: str) -> int:
    if not _is_a(Integral, value) or not -(2**63) <= value < 2**63:
        raise _wrong("an integer of 64 bits", value, where)
    return int(value)


def _read_float(value: Any, where: str) -> float:
    if isinstance(value, str) and value in _NON_FINITE:
        return float(value)
    if not _is_a(Real, value):
        raise _wrong("a number", value, where)
    try:
        return float(value)
    except OverflowError:
        raise _wrong("a number of 64 bits", value, where) from None


def _read_bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong("true or false", value, where)
    return value


def _read_bytes(value: Any, where: str) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(_read_text(value, where), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("bytes in base64", value, where) from None


def too_deep(text: str) -> bool:
    """Whether JSON holds more lists and objects inside each other than a parameter may."""
    if text.count("{") + text.count("[") <= DEEPEST:
        return False
    depth = deepest = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[][{}]', text):
        depth += (mark in "[{") - (mark in "]}")
        deepest = max(deepest, depth)
    return deepest > DEEPEST + 1


def _read_any(value: Any, where: str, depth: int = 0) -> Any:
    """A JSON value of any kind, as solver and problem parameters are."""
    if depth > DEEPEST:
        raise RecordError(
            f"{where} must hold at most {DEEPEST} lists and objects inside each other, got more"
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return _read_int(value, where)
    if isinstance(value, Real):
        number = _read_float(value, where)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, tuple | list):
        return [_read_any(item, where, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_read_text(key, where): _read_any(item, where, depth + 1) for key, item in value.items()}
    return _read_text(value, where)


def _plain(value: Any) -> Any:
    """What `json` writes for a checked value."""
    if isinstance(value, Plain):
        held = {one.name: getattr(value, one.name) for one in fields(value)}  # type: ignore[arg-type]
        return {name: _plain(one) for name, one in held.items() if one or name not in LATER}
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _is_a(kind: Any, value: Any) -> bool:
    """Whether it is a number of that kind, numpy's included; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _wrong(must: str, value: Any, where: str) -> RecordError:
    return RecordError(f"{where} must be {must}, got {type(value).__name__} {short(value)[:80]}")


_NON_FINITE = ("nan", "inf", "-inf")

_SCALARS = {
    str: _read_text,
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    bytes: _read_bytes,
    Any: _read_any,
}
