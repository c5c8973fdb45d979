"""Any executable as a solver."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qubopress import problems, solvers
from qubopress.problems import InputError
from qubopress.problems.formats import FORMATS
from qubopress.solvers import Solution, Status
from qubopress.solvers.run import OfferError

QUBO = problems.Qubo(np.triu(np.random.default_rng(1).integers(-9, 10, (12, 12))), offset=2.5)
ZEROS = "0" * 12


def script(folder: Path, body: str, *, name: str = "solver.sh") -> str:
    """The command of a shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return f"{shlex.quote(str(path))} {{instance}} {{seconds}} {{seed}} {{solution}}"


def solve(command: str, **options: Any) -> Solution:
    return solvers.solve(QUBO, "command", command=command, **options)


def test_a_program_in_c_finds_the_optimum(descent: Path) -> None:
    found = solve(f"'{descent}' {{instance}} {{seconds}} {{seed}} {{solution}}", seconds=0.5)
    assert found.loss == solvers.solve(QUBO, "exhaustive").loss
    assert found.status is Status.FINISHED


@pytest.mark.parametrize("form", FORMATS)
def test_the_instance_comes_in_any_format_that_is_written(tmp_path: Path, form: str) -> None:
    kept = tmp_path / f"kept.{form}"
    command = script(tmp_path, f'cp "$1" "{kept}"\necho {ZEROS} > "$4"')
    assert solve(command, format=form, restarts=1).loss == 2.5
    again = problems.load_instance(kept)
    x = np.arange(12) % 2
    assert again.loss(x) == pytest.approx(QUBO.loss(x), rel=1e-12)


def test_paths_and_words_with_blanks_and_signs_reach_the_program_whole(tmp_path: Path) -> None:
    folder = tmp_path / "a b;$(touch owned)'\""
    folder.mkdir()
    command = script(folder, f'echo "$5" > "{tmp_path}/word"\necho {ZEROS} > "$4"')
    found = solve(command + " 'a  b; $HOME `id` {seed'", restarts=1)
    assert found.loss == 2.5
    assert (tmp_path / "word").read_text() == "a  b; $HOME `id` {seed\n"
    assert not list(tmp_path.rglob("owned"))


def test_a_place_inside_a_word_is_filled_in(tmp_path: Path) -> None:
    path = script(tmp_path, f'echo "$1 $3" > "{tmp_path}/word"\necho {ZEROS} > "$2"').split()[0]
    solve(f"{path} --in={{instance}} {{solution}} s{{seed}}t{{threads}}", restarts=1, threads=2)
    given, last = (tmp_path / "word").read_text().split()
    assert given.startswith("--in=/")
    assert last.endswith("t2")


def test_each_solution_that_it_writes_is_in_the_trace(tmp_path: Path) -> None:
    better = np.array(solvers.solve(QUBO, "exhaustive").x)
    text = "".join(map(str, better))
    found = solve(script(tmp_path, f'echo {ZEROS} > "$4"\nsleep 0.2\necho {text} > "$4"'), restarts=1)
    assert [loss for _, loss in found.trace] == [2.5, QUBO.loss(better)]


def test_a_solution_stays_of_a_program_that_never_ends(tmp_path: Path) -> None:
    for body in (f'echo {ZEROS} > "$4"\nsleep 600', f"trap '' TERM\necho {ZEROS} > \"$4\"\nsleep 600"):
        found = solve(script(tmp_path, body), seconds=0.3)
        assert (found.status, found.loss) == (Status.BUDGET, 2.5)
        assert found.seconds < 10


def test_a_target_ends_it(tmp_path: Path) -> None:
    found = solve(script(tmp_path, f'echo {ZEROS} > "$4"\nsleep 600'), seconds=60, target=3.0)
    assert found.status is Status.TARGET


def test_a_half_written_solution_is_left_for_later(tmp_path: Path) -> None:
    found = solve(script(tmp_path, 'printf 00000 > "$4"\nsleep 0.2\nprintf 0000000 >> "$4"'), restarts=1)
    assert found.loss == 2.5


def test_another_loss_than_the_bits_have_is_a_lie(tmp_path: Path) -> None:
    found = solve(script(tmp_path, f'echo "# loss=-1e6" > "$4"; echo {ZEROS} >> "$4"'), restarts=1)
    assert found.status is Status.LIED
    assert "claimed loss -1000000.0, but the bits have 2.5" in found.message
    honest = solve(script(tmp_path, f'echo "{ZEROS} # loss=2.5" > "$4"'), restarts=1)
    assert honest.status is Status.FINISHED


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        ("true", RuntimeError, "solver.sh wrote no solution$"),
        ("echo cannot read it; exit 0", RuntimeError, "wrote no solution: cannot read it$"),
        ('echo 00 > "$4"', InputError, "wrote no solution: a solution must have 12 values, got 2$"),
        ('echo 2000000000000 > "$4"', InputError, "12 values, got 13"),
        ('echo 200000000000 > "$4"', (InputError, OfferError), "wrote no solution: "),
        ('head -c 300000 /dev/zero > "$4"', InputError, "at most 65728 bytes, got more"),
        (f'echo {ZEROS} > "$4"; echo out of luck >&2; exit 3', RuntimeError, "exit code 3: out of luck$"),
        ("kill -SEGV $$", RuntimeError, "ended with signal SIGSEGV$"),
        ('yes > "$4"', RuntimeError, "signal SIGXFSZ|wrote no solution|exit code"),
    ],
)
def test_a_program_that_fails_is_named_with_its_last_words(
    tmp_path: Path, body: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        solve(script(tmp_path, body), restarts=1)


def test_what_it_prints_neither_stops_it_nor_is_kept(tmp_path: Path) -> None:
    body = f'head -c 3000000 /dev/zero | tr "\\0" x\necho {ZEROS} > "$4"'
    assert solve(script(tmp_path, body), restarts=1).loss == 2.5


def test_another_file_than_the_suite_was_read_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must stay as it is while a run goes on"):
        solve(script(tmp_path, "true"), restarts=1, sha256="0" * 16)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("x {instance}", r"must hold \{instance\} and \{solution\}"),
        ("x {instance} {solution} {sed}", r"holds \{sed\}, which nothing fills in; did you mean \{seed\}\?"),
        ("x {instance} {solution} {o}", r"it may hold \{instance\}, \{seconds\}"),
        ("x '{instance} {solution}", "must be words as for a shell: No closing quotation"),
        ("/no/such {instance} {solution}", "must be a program that can be started"),
    ],
)
def test_a_command_that_is_none_is_refused_in_words(command: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        solve(command, restarts=1)
