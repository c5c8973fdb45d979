"""Executables in suites: read from TOML, run in cells, ranked."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from warm import records, share_server, write_suite

from qubopress import results, suites
from qubopress.problems import InputError
from qubopress.results import Record
from qubopress.suites.spec import SolverSpec
from qubopress.suites.verification.stored_numbers import verify

SUITE = """
seconds = {seconds}
[[problem]]
name = "random-qubo"
n = 12
{solvers}
"""

ZEROS = "0" * 12

HOSTILE = {
    "never-ends": ("BUDGET", "", f'echo {ZEROS} > "$4"\ntrap "" TERM\nsleep 600\nsleep 600'),
    "writes-nothing": ("FAILED", "writes-nothing.sh wrote no solution", "true"),
    "never-writes": ("FAILED", "offered no solution within its budget", "sleep 600"),
    "too-short": ("FAILED", "must have 12 values, got 2", 'echo 01 > "$4"'),
    "lies": ("LIED", "claimed loss -100000.0", f'echo "{ZEROS} # loss=-1e5" > "$4"'),
    "prints-forever": ("BUDGET", "", f'echo {ZEROS} > "$4"\nyes'),
    "writes-forever": ("FAILED", "no solution|SIGXFSZ|exit code", 'yes > "$4"'),
    "forks-away": ("FINISHED", "", f'setsid sleep 611 > /dev/null 2>&1 &\necho {ZEROS} > "$4"'),
}


@pytest.fixture(autouse=True)
def one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    share_server(monkeypatch)


def command(path: Path) -> str:
    return f"{shlex.quote(str(path))} {{instance}} {{seconds}} {{seed}} {{solution}}"


def script(folder: Path, name: str, body: str) -> Path:
    path = folder / f"{name}.sh"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def suite(folder: Path, *tables: str, seconds: float = 1.0) -> suites.Suite:
    text = "\n".join(f"[[solver]]\n{table}" for table in tables)
    return suites.load(write_suite(folder, SUITE.format(seconds=seconds, solvers=text)))


def run(chosen: suites.Suite, store: Path, **options: int) -> dict[str, Record]:
    suites.run(chosen, store=store, **options)
    return {record.solver: record for record in records(store)}


def test_a_program_ranks_beside_ours_under_its_own_name(tmp_path: Path, descent: Path) -> None:
    version = f"'{descent}' --version"
    first = f"command = {json.dumps(command(descent))}\nversion = {json.dumps(version)}"
    found = run(suite(tmp_path, first, 'name = "tabu"', seconds=0.5), tmp_path / "r.db")
    assert found["descent"].status == "FINISHED", found["descent"].message
    assert found["descent"].loss == pytest.approx(found["tabu"].loss)
    assert found["descent"].parameters["version"] == "descent 1.0"
    board = results.leaderboard(tmp_path / "r.db")
    assert set(board["solver"]) == {"descent", "tabu"}
    assert all(falsehood is None for _, falsehood in verify(tmp_path / "r.db"))


def test_a_program_that_swells_ends_at_the_cap(tmp_path: Path) -> None:
    body = f'echo {ZEROS} > "$4"\nhead -c 2G /dev/zero | tail -n 1'
    table = f"name = 'swells'\ncommand = {json.dumps(command(script(tmp_path, 'swells', body)))}"
    found = run(suite(tmp_path, table, seconds=30.0), tmp_path / "r.db", memory=600 << 20)["swells"]
    assert (found.status, "passed the memory cap" in found.message) == ("MEMORY", True), found.message


def test_hostile_programs_end_as_hostile_solvers_do(tmp_path: Path) -> None:
    tables = [
        f"name = {name!r}\ncommand = {json.dumps(command(script(tmp_path, name, body)))}"
        for name, (_, _, body) in HOSTILE.items()
    ]
    found = run(suite(tmp_path, *tables, seconds=0.5), tmp_path / "r.db")
    for name, (status, reason, _) in HOSTILE.items():
        record = found[name]
        assert (name, record.status) == (name, status), record.message
        assert any(part in record.message for part in reason.split("|")), record.message
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _read(path) == b"sleep\x00611\x00"]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_another_build_is_measured_again(tmp_path: Path) -> None:
    path = script(tmp_path, "mine", f'echo {ZEROS} > "$4"')
    first = suites.run(suite(tmp_path, f"command = {json.dumps(command(path))}"), store=tmp_path / "r.db")
    again = suites.run(suite(tmp_path, f"command = {json.dumps(command(path))}"), store=tmp_path / "r.db")
    script(tmp_path, "mine", f'echo {ZEROS} > "$4" # better')
    other = suites.run(suite(tmp_path, f"command = {json.dumps(command(path))}"), store=tmp_path / "r.db")
    assert (first.measured, again.measured, other.measured) == (1, 0, 1)
    assert {record.solver for record in records(tmp_path / "r.db")} == {"mine"}


def test_a_script_named_in_the_command_is_part_of_its_hash(tmp_path: Path) -> None:
    path = script(tmp_path, "inner", "true")
    spec = [SolverSpec.of("", command=f"sh {path} {{instance}} {{solution}}") for _ in range(2)]
    script(tmp_path, "inner", "false")
    other = SolverSpec.of("", command=f"sh {path} {{instance}} {{solution}}")
    assert spec[0] == spec[1] != other
    assert spec[0].title == "sh"


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('command = "no-such-program {instance} {solution}"', "no executable 'no-such-program' here"),
        ('command = "sh {instance}"', r"must hold \{instance\} and \{solution\}"),
        ("command = 3", "command must be a text, got 3"),
        ('name = "tabu"\ncommand = "sh {instance} {solution}"', "the name 'tabu' is another solver's"),
        ('name = "a/b"\ncommand = "sh {instance} {solution}"', "the name of a solver must be at most"),
        ('command = "sh {instance} {solution}"\nversion = "false"', "'false' gave exit code 1"),
        ('command = "sh {instance} {solution}"\nversion = "true"', "'true' gave nothing"),
        ('command = "sh {instance} {solution}"\nversion = 2', "version must be a command such as"),
        ('command = "sh {instance} {solution}"\nformat = "gset"', "format must be one of"),
        ('command = "sh {instance} {solution}"\nformt = "lp"', "has no parameter 'formt'"),
        ("seeds = 2", r"a suite needs \[\[solver\]\] tables, each with a name or a command"),
    ],
)
def test_a_table_that_names_no_program_is_refused_in_one_line(
    tmp_path: Path, table: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        suite(tmp_path, table)


def test_globs_choose_programs_by_their_names(tmp_path: Path) -> None:
    path = script(tmp_path, "mine", "true")
    chosen = suite(tmp_path, f"command = {json.dumps(command(path))}", 'name = "tabu"').narrowed(solver="mi*")
    assert [one.title for one in chosen.solvers] == ["mine"]
