"""Every field of a row is altered in every way: only what the table of trust leaves open may pass."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import ROOT
from warm import records, share_server, write_suite

from qubopress import suites
from qubopress.problems import Qubo
from qubopress.results import InstanceInfo, Record, RecordError, Store, pack, unpack
from qubopress.results.storage import trust
from qubopress.results.storage.rows import write_rows
from qubopress.suites import cli
from qubopress.suites.harness.provenance import provenance
from qubopress.suites.spec import InstanceSpec
from qubopress.suites.verification import stored_numbers
from qubopress.suites.verification.plausibility import _unlike_its_time
from qubopress.suites.verification.stored_numbers import Judge, close, room_of

SUITE = """
seconds = 20
restarts = 1

[[problem]]
name = "random-qubo"
n = 12

[[solver]]
name = ["random", "exhaustive", "tabu"]
"""

RELEASE = "v0.1.0"

COMMON: tuple[Any, ...] = ("", "other", "../up", "/etc/passwd", "x" * 500, None, -1, 7, 2**40, True, False)
NUMBERS: tuple[Any, ...] = (math.nan, math.inf, -math.inf, 1e300, -3.0, 0.0, 0.5)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust")
    with pytest.MonkeyPatch.context() as patch:
        share_server(patch)
        suites.run(write_suite(folder, SUITE), store=folder / "measured.db")
    with Store(folder / "measured.db") as measured, Store(folder / "r.db", write=True) as store:
        for info in measured.instances():
            store.add_instance(info)
        # As a release has it: a working copy may have changes, which no contribution may.
        store.add_all(replace(record, commit=RELEASE) for record in measured.records())
    return folder / "r.db"


@pytest.fixture(autouse=True)
def _released(monkeypatch: pytest.MonkeyPatch) -> None:
    here = replace(provenance(), commit=RELEASE)
    monkeypatch.setattr(stored_numbers, "provenance", lambda: here)


def near(value: Any) -> tuple[Any, ...]:
    """Other values of the same kind."""
    if isinstance(value, dict):
        return ({}, {**value, "other": 1}, {**value, "other": "x"}, dict.fromkeys(value, "x"))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return (f"{value}x", str(value)[:-1])
    return (value + 1, value - 1, 2 * value, -value, value * (1 + 9e-6), value * (1 - 9e-6), value - 1e-4)


def altered(row: Any) -> Iterator[tuple[str, Any]]:
    """The row with one field altered, and the name of the field."""
    for one in fields(row):
        before = getattr(row, one.name)
        special = {"trace": traces, "stages": stages}.get(one.name, lambda _: ())
        for value in (*near(before), *COMMON, *NUMBERS, *special(row)):
            try:
                changed = replace(row, **{one.name: value})
            except RecordError:
                continue
            if getattr(changed, one.name) != before:
                yield one.name, changed


def traces(record: Record) -> Iterator[Any]:
    (end, loss), seconds = record.trace[-1], record.seconds or 0.0
    yield from (((end, loss - 1.0),), ((-500.0, loss),), ((math.nan, loss),), ((seconds + 1, loss),))
    yield ((0.0, loss + 1), (0.0, loss - 5), (end, loss))
    yield ((seconds, loss + 1), (0.0, loss))
    yield ((0.0, math.inf), (end, loss))
    yield tuple((end * i / 20_000, loss + 20_000 - i) for i in range(20_001))


def stages(record: Record) -> Iterator[Any]:
    (stage,) = record.stages
    assert stage.bits is not None
    x = unpack(stage.bits, stage.shape).copy()
    x[0] ^= 1
    yield from ((), (stage, stage), (replace(stage, bits=None),), (replace(stage, bits=pack(x)),))
    yield from (
        (replace(stage, variables=13),),
        (replace(stage, shape=(3, 4)),),
        (replace(stage, bits=b"b"),),
    )
    for value in (None, math.inf, math.nan, -1e9, (stage.loss or 0) * (1 - 9e-6)):
        yield from ((replace(stage, loss=value),), (replace(stage, violation=value or 1.0),))


def test_only_what_is_on_trust_or_plausible_passes_of_all_alterations(honest: Path) -> None:
    with Store(honest) as store:
        infos, kept = store.instances(), list(store.records())
    assert all(Judge(infos)(record) is None for record in kept)
    tried, passed = 0, set()
    for record in kept:
        judge = Judge(infos)
        for name, changed in altered(record):
            tried += 1
            if judge(changed) is None:
                passed.add(name)
    for name, changed in altered(infos[0]):
        tried += 1
        if Judge([changed])(kept[0]) is None:
            passed.add(f"instance.{name}")
    assert tried >= 900, tried
    open_to_all = {name for name, (kind, _) in trust.OF_RECORDS.items() if kind in ("plausible", "on trust")}
    assert passed <= open_to_all
    assert set(trust.on_trust()) <= passed


IMPOSSIBLE: dict[str, tuple[Any, ...]] = {
    "budget_seconds": (-1.0, 0.0, math.inf, math.nan),
    "seconds": (-3.0, math.inf, math.nan, 1e9, None),
    "wall_seconds": (-3.0, math.inf, math.nan, None),
    "finished_at": ("0001-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"),
    "peak_bytes": (-1, 0, 2**60),
    "status": ("TARGET", "INFEASIBLE", "SKIPPED", "TIMEOUT", "MEMORY", "CRASHED", "FAILED"),
    "counts": ({"flips": -1}, {}),
    "trace_work": ((), (-1,), (2**60,), (0,) * 500),
    "work_unit": ("", "parsecs"),
    "machine": ("", " "),
    "commit": ("", "main", "0123abc; rm"),
    "bound": (math.inf, -math.inf, math.nan, 1e9),
    "suite": ("..", "../up", "/etc/x", "a/b", "x" * 101, ""),
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in IMPOSSIBLE.items() for value in values]
)
def test_what_is_only_plausible_must_be_possible(honest: Path, field: str, value: Any) -> None:
    with Store(honest) as store:
        judge = Judge(store.instances())
    for record in records(honest):
        falsehood = judge(replace(record, **{field: value}))
        assert falsehood is not None
        assert not falsehood.elsewhere


def test_a_proof_stands_only_of_a_solver_that_can_prove_and_a_met_bound_is_one(honest: Path) -> None:
    with Store(honest) as store:
        judge = Judge(store.instances())
    kept = {record.solver: record for record in records(honest)}
    proof = {"status": "OPTIMAL", "bound": kept["random"].loss}
    for given, reason in (
        (replace(kept["random"], **proof), "random can prove nothing"),
        (replace(kept["random"], **proof, adapter="no free variable"), "leaves a choice"),
        (replace(kept["random"], bound=kept["random"].loss), "that is OPTIMAL"),
        (replace(kept["exhaustive"], status="FINISHED", bound=kept["exhaustive"].loss), "that is OPTIMAL"),
        (replace(kept["exhaustive"], status="BUDGET"), "ended BUDGET after"),
    ):
        falsehood = judge(given)
        assert falsehood is not None
        assert reason in falsehood.reason


@pytest.mark.parametrize(
    ("budget", "seconds", "holds"),
    [(0.1, 0.0921, True), (0.1, 0.088, False), (10.0, 9.895, True), (10.0, 9.88, False)],
)
def test_a_foreign_clock_may_end_a_hundredth_of_the_budget_and_of_a_second_early(
    honest: Path, budget: float, seconds: float, holds: bool
) -> None:
    record = next(record for record in records(honest) if record.solver == "exhaustive")
    early = replace(record, status="BUDGET", bound=None, budget_seconds=budget, seconds=seconds)
    assert _unlike_its_time(early) == ("" if holds else f"it ended BUDGET after {seconds} s of {budget} s")


def test_the_constant_of_an_instance_is_no_room_for_a_claim() -> None:
    instance = Qubo(np.diag([-3.0, 1.0]), offset=1e6)
    room = room_of(InstanceSpec.of("random-qubo"), instance, instance.loss([1, 0]))
    assert close(1e6 - 3, 1e6 - 3 + 1e-7, room=room)
    assert not close(1e6 - 3, 1e6 - 3.001, room=room)


def test_the_same_rows_are_false_for_every_command(honest: Path, tmp_path: Path) -> None:
    for field, value in (("budget_seconds", -1.0), ("loss", -1e9), ("suite", "../up"), ("seconds", 1e9)):
        store, rows = tmp_path / "s.db", tmp_path / "rows"
        shutil.copy(honest, store)
        kept = records(honest)[0]
        with Store(store, write=True) as opened:
            opened.add(replace(kept, **{field: value}), replace=True)
        rows.mkdir(exist_ok=True)
        write_rows(store, rows / "rows.jsonl")
        assert cli.call(["verify", "--store", str(store)]) == 1
        assert cli.call(["submit-check", str(store)]) == 1
        assert cli.call(["rejudge", "--data", str(rows), "--registry", str(empty_registry(tmp_path))]) == 1


def empty_registry(folder: Path) -> Path:
    path = folder / "registry.json"
    path.write_text('{"version": 1, "date": "2026-11-22", "instances": []}', encoding="utf-8")
    return path


def test_a_row_that_lied_is_no_falsehood_for_ever(honest: Path, tmp_path: Path) -> None:
    store = Path(shutil.copy(honest, tmp_path / "s.db"))
    kept = records(honest)[0]
    with Store(store, write=True) as opened:
        opened.add(replace(kept, loss=-1e9, status="LIED"), replace=True)
    assert cli.call(["verify", "--store", str(store)]) == 0


def test_what_is_published_are_the_numbers_that_were_recomputed(honest: Path, tmp_path: Path) -> None:
    store, out = Path(shutil.copy(honest, tmp_path / "s.db")), tmp_path / "rows.jsonl"
    kept = records(honest)[0]
    loss = (kept.loss or 0.0) + 1e-13
    bent = replace(kept.without_trace(), loss=loss, energy=loss, trace=((0.0, loss),))
    with Store(store, write=True) as opened:
        opened.add(bent, replace=True)
    assert cli.call(["submit-check", str(store), "--publish", str(out)]) == 0
    assert f'"loss":{kept.loss!r}' in out.read_text(encoding="utf-8")
    assert repr(loss) not in out.read_text(encoding="utf-8")


def test_the_table_names_every_field_and_the_docs_show_it() -> None:
    assert list(trust.OF_RECORDS) == [one.name for one in fields(Record)]
    assert list(trust.OF_INSTANCES) == [one.name for one in fields(InstanceInfo)]
    page = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    for table in (trust.OF_RECORDS, trust.OF_INSTANCES):
        for name, (kind, how) in table.items():
            assert kind in trust.KINDS
            assert f"| `{name}` | {kind} | {how} |" in page
