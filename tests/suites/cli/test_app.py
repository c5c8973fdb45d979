"""Every call that is wrong ends in one line, and help is where it is looked for."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from calls import refused
from records import make_store
from warm import share_server

from qubopress import solvers
from qubopress.suites import cli
from qubopress.suites.cli import app

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)


# ---- calls that are wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("rum smoke", "No such command 'rum'"),
        ("run", "run needs a suite or --instance FILE"),
        ("run smoke --sedes 3", "No such option: --sedes"),
        ("compress digits-mlp --bits 4 --out x", "for a parameter of the formulation --set bits=VALUE"),
        ("run smoke --seeds three", "Invalid value for '--seeds'"),
        ("run smoke --seconds", "Option '--seconds' requires an argument"),
        ("run smoke extra", "unexpected extra argument"),
        ("run smoek", "no suite named 'smoek'; did you mean 'smoke'?"),
        ("run none.toml", "no suite file at none.toml"),
        ("run smoke --solver tabuu", "no solver named 'tabuu'; did you mean 'tabu'?"),
        ("run smoke --solver x*", "no solver of suite smoke matches 'x*'"),
        ("run smoke --problem x*", "no problem of suite smoke matches 'x*'"),
        ("run smoke --seconds 0", "--seconds must be positive and finite, got 0"),
        ("run smoke --seconds nan", "--seconds must be positive and finite, got nan"),
        ("run smoke --seeds 0", "--seeds must be at least 1, got 0"),
        ("run smoke --seeds 100001", "seeds must be an integer in [1, 100000], got 100001"),
        ("run smoke --executor dusk", "executor must be local or dask://HOST:PORT, got 'dusk'"),
        ("run --instance none.lp", "no instance file at none.lp"),
        ("run --instance text.db --input-format xyz", "format must be one of npz, bqm"),
        ("run smoke --jobs 0", "--jobs must be at least 1, got 0"),
        ("run smoke --memory lots", "--memory must be a size such as 512M or 4G, got 'lots'"),
        ("run smoke --memory 0G", "--memory must be a size such as 512M or 4G, got '0G'"),
        ("run smoke --format yaml", "--format must be one of table, csv, json, markdown, got 'yaml'"),
        ("run smoke --plugins none", "no plug-in folder at none"),
        ("run smoke --store none/r.db", "none/r.db must lie in a folder that exists; create none first"),
        ("run smoke --store .", "must be a file and is a folder"),
        ("leaderboard --store none.db", "none.db must be an existing store"),
        ("leaderboard --store foreign.db", "foreign.db must be a store of qubopress and is another SQLite"),
        ("leaderboard --store text.db", "text.db must be a sound, accessible store"),
        ("leaderboard --store mine.db --by bitz", "must have a parameter 'bitz'; theirs are bits"),
        ("leaderboard --store mine.db --by bits --family rounding", "--by and --family exclude each other"),
        ("leaderboard --store mine.db --format xml", "--format must be one of"),
        ("list --format xml", "--format must be one of"),
        ("report --store none.db", "none.db must be an existing store"),
        ("report --store mine.db --out none/page.html", "--out must lie in a folder that exists"),
        ("verify --store none.db", "none.db must be an existing store"),
        ("verify --store mine.db --plugins none", "no plug-in folder at"),
        ("compress digits-mlp", "Missing option '--out'; see `qubopress --help`"),
        ("compress digits-mpl --out x", "no network named 'digits-mpl'; did you mean 'digits-mlp'?"),
        ("compress digits-mlp --out none/x", "--out must be a file in a folder that exists, got none/x"),
        ("compress digits-mlp --out .", "--out must be a file in a folder that exists, got ."),
        ("compress digits-mlp --out x --problem adaruond", "no problem named 'adaruond'"),
        ("compress digits-mlp --out x --solver tabuu", "no solver named 'tabuu'"),
        ("compress digits-mlp --out x --solver swap", "swap solves Capacity, got a Rounding"),
        ("compress digits-mlp --out x --set bits=0", "bits must"),
        ("compress digits-mlp --out x --set bitz=4", "no parameter of adaround named 'bitz'"),
        ("compress digits-mlp --out x --set bits", "--set must be NAME=VALUE, got 'bits'"),
        (
            "compress digits-mlp --out x --set seed=4",
            "--set must name a parameter of the formulation, got seed",
        ),
        ("compress digits-mlp --out x --set skip=fc1", "got skip; give --skip"),
        ("compress digits-mlp --out x --set layers=3", "got layers; give --layer,"),
        (
            "compress digits-mlp --out x --set width=8",
            "width is a parameter of the solver beam; pass solver=",
        ),
        ("compress digits-mlp --out x --layer fc1", "--layer must be GLOB:NAME=VALUE, got 'fc1'"),
        ("compress digits-mlp --out x --layer fc1:bits", "--layer must be NAME=VALUE, got 'bits'"),
        ("compress digits-mlp --out x --solver-set wdth=8", "no default solver has a parameter 'wdth'"),
        ("compress digits-mlp --out x --format xml", "--format must be one of"),
        ("compress digits-mlp --out x --seconds 0", "seconds must be positive"),
        ("train digits-mpl", "no network named 'digits-mpl'"),
        ("train digits-mlp --epochs 0", "--epochs must be at least 1, got 0"),
        ("train digits-mlp --seed -1", "seed must be 0 or more, got -1"),
        ("train digits-mlp --out none", "--out must be a folder that exists, got none"),
    ],
)
def test_a_call_that_is_wrong_ends_in_one_line(
    tmp_path: Path, capsys: Captured, call: str, message: str
) -> None:
    make_store(tmp_path / "mine.db", [{}])
    (tmp_path / "text.db").write_text("no database " * 100, encoding="utf-8")
    with sqlite3.connect(tmp_path / "foreign.db") as db:
        db.execute("CREATE TABLE stranger (a)")
    db.close()
    assert message in refused(capsys, *call.split())


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(solvers, "names", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.call(["list"])


def test_a_broken_plugin_is_one_line_and_the_rest_goes_on(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('two\\nlines')", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = app._one_line_warning
        assert cli.call(["list", "--plugins", ".", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)
    (line,) = err.splitlines()
    assert line.startswith("qubopress: warning: plug-in ")
    assert line.endswith("broken.py is left out: RuntimeError: two lines")


def test_help_is_where_it_is_looked_for(capsys: Captured) -> None:
    assert cli.call(["--help"]) == 0
    assert "leaderboard" in capsys.readouterr().out
    assert cli.call(["run", "--help"]) == 0
    assert "--rerun-failed" in capsys.readouterr().out
    assert cli.call([]) == 2
    assert "Commands" in capsys.readouterr().err


# ---- as a process


def test_a_reader_that_leaves_early_is_no_error(benchmark: Path) -> None:
    call = [sys.executable, "-m", "qubopress.suites.cli", "leaderboard", "--store", str(benchmark)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_help_imports_neither_torch_nor_pandas() -> None:
    code = "import sys; from qubopress.suites import cli; cli.call(['--help']); print(sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'typer'" in done.stdout
    assert not re.search(r"'(torch|pandas|numba)'", done.stdout)


def test_a_cure_is_told_whole_however_long_it_is(capsys: Captured) -> None:
    message = refused(capsys, "compress", "zzz", "--out", "x")
    assert "no network named 'zzz'; choose from cifar10-mlp50, " in message
    assert message.endswith(", sidd-denoiser\n")
