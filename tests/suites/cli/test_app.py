from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from records import make_benchmark, make_store
from warm import clean_registries, records, share_server, write_suite

from qubopress import problems, solvers
from qubopress.problems.datasets import dataset, published
from qubopress.suites import cli
from qubopress.suites.cli import app, measure

SUITE = """
description = "Two of each"
seconds = 5
restarts = 1

[[problem]]
name = "adaround"
network = "digits-mlp"
bits = [2, 3]

[[solver]]
name = ["round-to-nearest", "nearest-plane"]
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)
    with clean_registries():
        yield


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("benchmark") / "paper.db", seeds=2)


def refused(capsys: Captured, *arguments: object) -> str:
    """The one line with which a call ends that is wrong."""
    assert cli.call([str(one) for one in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qubopress: ")
    assert len(err.splitlines()) == 1, err
    return err


# ---- calls that are wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("rum smoke", "No such command 'rum'"),
        ("run", "run needs a suite or --instance FILE"),
        ("run smoke --sedes 3", "No such option: --sedes"),
        ("run smoke --seeds three", "Invalid value for '--seeds'"),
        ("run smoke --seconds", "Option '--seconds' requires an argument"),
        ("run smoke extra", "unexpected extra argument"),
        ("run smoek", "no suite named 'smoek'; did you mean 'smoke'?"),
        ("run none.toml", "no suite file at none.toml"),
        ("run smoke --solver tabuu", "no solver named 'tabuu'; did you mean 'tabu'?"),
        ("run smoke --solver x*", "no solver of suite smoke matches 'x*'"),
        ("run smoke --problem x*", "no problem of suite smoke matches 'x*'"),
        ("run smoke --seconds 0", "seconds must be positive, got 0.0"),
        ("run smoke --seconds nan", "seconds must be a finite number, got nan"),
        ("run smoke --seeds 0", "seeds must be an integer of at least 1, got 0"),
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
        ("compress digits-mlp", "Missing option '--out'"),
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
        ("compress digits-mlp --out x --seconds 0", "seconds must be positive"),
        ("train digits-mpl", "no network named 'digits-mpl'"),
        ("train digits-mlp --epochs 0", "epochs must be 1 or more, got 0"),
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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bits = [2, 3]", "bits = 0", "suite own: adaround/digits-mlp/bits=0: bits must"),
        ("bits = [2, 3]", "calibration = 0", "calibration must be an integer of at least 1, got 0"),
        ("bits = [2, 3]", "calibration = 100000", "calibration must be an integer in [1, 648], got 100000"),
        ("seconds = 5", "seconds = -1", "suite own.toml: seconds must be positive, got -1"),
        ('"round-to-nearest"', '"round-to-neerest"', "did you mean 'round-to-nearest'?"),
        ("restarts = 1", "restart = 1", "unknown key 'restart'"),
    ],
)
def test_a_suite_that_is_wrong_ends_in_one_line(
    tmp_path: Path, capsys: Captured, old: str, new: str, message: str
) -> None:
    write_suite(tmp_path, SUITE.replace(old, new))
    assert message in refused(capsys, "run", "own.toml")


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path, capsys: Captured) -> None:
    path = make_store(tmp_path / "mine.db", [{}])
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        # Root may write everywhere but into what is no file.
        assert "must" in refused(capsys, "run", "smoke", "--store", "/dev/full")
    else:
        assert "make the file writable" in refused(capsys, "run", "smoke", "--store", path)


def test_data_that_is_missing_ends_in_one_line(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    source, read = published.COLLECTIONS["fashion-mnist"]
    bare = dataclasses.replace(source, folder=tmp_path / "none")
    monkeypatch.setitem(published.COLLECTIONS, "fashion-mnist", (bare, read))
    dataset.load_dataset.cache_clear()
    message = refused(capsys, "compress", "fashion-mlp", "--out", "x")
    assert "fashion-mnist is not on this machine and QUBOPRESS_OFFLINE forbids its download" in message
    assert "set QUBOPRESS_DATA to a folder" in message


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


# ---- list


def everything(out: str, form: str) -> pd.DataFrame:
    if form == "csv":
        return pd.read_csv(io.StringIO(out))
    if form == "json":
        return pd.DataFrame(json.loads(out))
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    return pd.DataFrame(rows, columns=head)


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_everything_registered_is_listed(capsys: Captured, form: str) -> None:
    assert cli.call(["list", "--format", form]) == 0
    found = everything(capsys.readouterr().out, form)
    by_kind = {kind: set(rows["name"]) for kind, rows in found.groupby("kind")}
    assert by_kind["solver"] == set(solvers.names())
    assert by_kind["problem"] == set(problems.names())
    assert {"smoke", "rounding-bits"} <= by_kind["suite"]
    assert "digits-mlp" in by_kind["network"]
    assert found.notna().all(axis=None)


def test_the_list_in_a_pipe_is_not_truncated(capsys: Captured) -> None:
    assert cli.call(["list"]) == 0
    out = capsys.readouterr().out
    assert all(solvers.get(name).summary in out for name in solvers.names())
    assert max(map(len, out.splitlines())) > 120


# ---- run


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_a_run_ends_in_its_leaderboard(tmp_path: Path, capsys: Captured, form: str) -> None:
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml", "--store", "r.db", "--jobs", "2", "--format", form]) == 0
    out, err = capsys.readouterr()
    assert "4 cells measured (4 FINISHED), 0 resumed, in r.db" in err
    if form == "table":
        assert re.search(r"own: solvers by normalised excess \(0 best known, 1 baseline\)", out)
        assert re.search(r"^ +1 +nearest-plane ", out, flags=re.MULTILINE)
    else:
        board = everything(out, form)
        assert list(board["solver"]) == ["nearest-plane", "round-to-nearest"]
    assert len(records(tmp_path / "r.db")) == 4


def test_a_second_run_resumes_and_shows_the_same(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    call = ["run", "own.toml", "--format", "csv"]
    assert cli.call(call) == 0
    first = capsys.readouterr()
    assert cli.call(call) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "4 of 4 cells are in the store already" in second.err
    assert "0 cells measured, 4 resumed, in results.db" in second.err


def test_options_narrow_a_run(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    options = ["--problem", "*/bits=2", "--solver", "one-flip", "--seconds", "4", "--seeds", "2"]
    assert cli.call(["run", "own.toml", *options, "--memory", "8G", "--format", "json"]) == 0
    assert [row["solver"] for row in json.loads(capsys.readouterr().out)] == ["one-flip"]
    kept = records(tmp_path / "results.db")
    assert [(one.instance, one.budget_seconds, one.seed) for one in kept] == [
        ("adaround/digits-mlp/bits=2", 4.0, 0),
        ("adaround/digits-mlp/bits=2", 4.0, 1),
    ]


def test_a_suite_by_a_parameter_shows_its_table(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, 'by = "bits"\n' + SUITE)
    assert cli.call(["run", "own.toml", "--format", "csv"]) == 0
    table = everything(capsys.readouterr().out, "csv")
    assert sorted(set(table["bits"])) == [2, 3]
    assert cli.call(["run", "own.toml"]) == 0
    out = capsys.readouterr().out
    assert "own: by bits" in out
    assert "own: solvers by normalised excess" in out


def test_a_run_that_measures_nothing_says_why(tmp_path: Path, capsys: Captured) -> None:
    write_suite(tmp_path, SUITE)
    assert cli.call(["run", "own.toml", "--solver", "swap"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "qubopress: nothing was measured: no solver of the suite takes its problems\n"


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qubopress.suites.terminal import progress

    write_suite(tmp_path, SUITE)
    real = progress.TerminalProgress.finished

    def finished(self: progress.TerminalProgress, record: object) -> None:
        real(self, record)  # type: ignore[arg-type]
        if self.done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.TerminalProgress, "finished", finished)
    assert cli.call(["run", "own.toml"]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "qubopress: interrupted; 2 of 4 cells are in results.db, run the same command to go on"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    share_server(monkeypatch)
    assert cli.call(["run", "own.toml"]) == 0
    assert "2 cells measured (2 FINISHED), 2 resumed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("4G", 4 << 30), ("1.5GiB", 3 << 29), ("100kb", 102_400), ("7", 7)],
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    assert measure._bytes(text) == size


# ---- leaderboard and report


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_a_leaderboard_can_be_read_by_programs(benchmark: Path, capsys: Captured, form: str) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark), "--format", form]) == 0
    board = everything(capsys.readouterr().out, form)
    assert len(board) == 11
    assert board["solver"][0] == "beam"
    assert board["rank"].astype(int).is_monotonic_increasing


def test_a_leaderboard_in_a_pipe_is_whole(benchmark: Path, capsys: Captured) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(name in out for name in ("95 %", "imputed", " INFEASIBLE", "neal(num_reads=100)"))


def test_a_leaderboard_fits_a_terminal(
    benchmark: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    for extra in ([], ["--by", "bits"]):
        assert cli.call(["leaderboard", "--store", str(benchmark), *extra]) == 0
        out, err = capsys.readouterr()
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
        assert max(map(len, plain.splitlines())) <= 80
        assert "neal(num_reads=100)" in plain
        assert "left out for the terminal's width" in err


def test_a_leaderboard_by_a_parameter_or_of_a_family(benchmark: Path, capsys: Captured) -> None:
    assert cli.call(["leaderboard", "--store", str(benchmark), "--by", "bits", "--format", "csv"]) == 0
    assert {2, 3, 4} == set(everything(capsys.readouterr().out, "csv")["bits"])
    assert cli.call(["leaderboard", "--store", str(benchmark), "--family", "analog", "--format", "csv"]) == 0
    assert (everything(capsys.readouterr().out, "csv")["instances"] == 1).all()


@pytest.mark.parametrize("command", ["leaderboard", "report"])
def test_what_matches_nothing_exits_3(benchmark: Path, capsys: Captured, command: str) -> None:
    assert cli.call([command, "--store", str(benchmark), "--suite", "none"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "matches; see `qubopress leaderboard --store" in err


def test_an_empty_store_exits_3(tmp_path: Path, capsys: Captured) -> None:
    path = make_store(tmp_path / "empty.db", [])
    for command in ("leaderboard", "report", "verify"):
        assert cli.call([command, "--store", str(path)]) == 3
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_is_written(benchmark: Path, tmp_path: Path, capsys: Captured) -> None:
    assert cli.call(["report", "--store", str(benchmark), "--out", "page.html"]) == 0
    assert str(tmp_path / "page.html") in capsys.readouterr().out
    assert (tmp_path / "page.html").stat().st_size > 10_000


# ---- compress and train


def test_compress_writes_the_weights(tmp_path: Path, capsys: Captured) -> None:
    from safetensors.torch import load_file

    call = ["compress", "digits-mlp", "--out", "small.safetensors", "--set", "bits=4", "--set", "per=channel"]
    assert cli.call(call) == 0
    assert re.fullmatch(r"accuracy 0\.9\d+ → 0\.\d+, weights in small.safetensors\n", capsys.readouterr().out)
    weights = load_file(tmp_path / "small.safetensors")
    assert all(len(row.unique()) <= 16 for row in weights["fc1.weight"])


def test_train_writes_weights_that_load(tmp_path: Path, capsys: Captured) -> None:
    assert cli.call(["train", "digits-mlp", "--epochs", "2", "--out", "."]) == 0
    out, err = capsys.readouterr()
    assert "test accuracy 0." in out
    assert "epoch 2 of 2" in err
    assert (tmp_path / "digits-mlp.safetensors").is_file()


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
