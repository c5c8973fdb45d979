"""Every experiment refuses a wrong option in one line before it measures, and small ones run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from records import make_store

from qubopress.suites import cli
from qubopress.suites.cli.experiments import experiment

Captured = pytest.CaptureFixture[str]

WRONG = [
    ("peers --seconds 0", "--seconds must be positive and finite, got 0"),
    ("peers --seconds nan", "--seconds must be positive and finite, got nan"),
    ("peers --seeds 0", "--seeds must be at least 1, got 0"),
    (
        "peers --out . --mqlib text",
        "--mqlib must be a program that may be run, got text; build it, or chmod +x",
    ),
    ("peers --out . --mqlib none", "--mqlib must be a program that may be run, got none"),
    ("peers --out none/new", "--out must lie in a folder that exists, got none/new; create none first"),
    ("peers --out text", "--out must be a folder, got the file text"),
    ("exact-frontier --seconds -1 --out .", "--seconds must be positive and finite, got -1"),
    ("exact-frontier --family nosuch --out .", "--family must be one of dense Gaussian, dense"),
    ("exact-frontier --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("layer-proofs --seed -1 --out .", "--seed must be at least 0, got -1"),
    ("layer-proofs --neurons 0 --out .", "--neurons must be at least 1, got 0"),
    ("layer-proofs --nodes 5 --out .", "--nodes must be at least 1000, got 5"),
    ("layer-proofs --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("large-layers --device tpu --out .", "device must be numba, cpu, cuda"),
    ("large-layers --device cuda:99 --out .", "device cuda:99 needs a GPU that torch can see"),
    ("large-layers --shape 4096 --out .", "shape must be NEURONSxINPUTS such as 4096x11008, got '4096'"),
    ("large-layers --bits 0 --out .", "--bits must lie in [1, 8], got 0"),
    ("large-layers --bits four --out .", "Invalid value for '--bits'"),
    ("large-layers --threads 0 --out .", "--threads must be at least 1, got 0"),
    ("large-layers --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("export-formats --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("export-sizes --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("export-sizes --network digits-mlp --out .", "--network must be one of minilm, photographs-denoiser"),
    ("export-sizes --calibration 0 --out .", "--calibration must be at least 1, got 0"),
    ("compress-bench --network digits-mpl", "no network named 'digits-mpl'; did you mean 'digits-mlp'?"),
    ("compress-bench --network digits-generator", "--network must be a classifier such as digits-mlp, got"),
    ("compress-bench --solver tabu", "--solver must be one of beam"),
    ("compress-bench --out none/x.csv", "--out must lie in a folder that exists, got none/x.csv"),
    ("compress-bench --out .", "--out must be a file, got the folder ."),
    ("sign-magnitude --network nosuch --out .", "no network named 'nosuch'"),
    ("sign-magnitude --decide digits-mpl --out .", "no network named 'digits-mpl'; did you mean"),
    ("sign-magnitude --network photographs-denoiser --out .", "--network must be a classifier"),
    ("sign-magnitude --tasks nosuch --out .", "--tasks must be one of digits 0–4, then 5–9, digits, then"),
    ("sign-magnitude --seeds 0 --out .", "--seeds must be at least 1, got 0"),
    ("sign-magnitude --jobs 0 --out .", "--jobs must be at least 1, got 0"),
    ("sign-magnitude --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("trained-generators --generator nosuch --out .", "--generator must be one of digits-generator,"),
    ("trained-generators --seeds 0 --out .", "--seeds must be at least 1, got 0"),
    ("trained-generators --epochs 0 --out .", "--epochs must be at least 1, got 0"),
    ("trained-generators --jobs -1 --out .", "--jobs must be at least 1, got -1"),
    ("trained-generators --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("compressed-generators", "Missing argument 'STORE'"),
    ("compressed-generators none.db --out .", "none.db must be an existing store"),
    ("compressed-generators text --out .", "text must be a sound, accessible store"),
    ("compressed-generators mine.db --out .", "must hold cells of ais-rounding or ais-topology"),
    ("compressed-generators mine.db --out . --solver beem", "no solver named 'beem'; did you mean 'beam'?"),
    ("compressed-generators mine.db --out none/new", "--out must lie in a folder that exists, got none/new"),
    (
        "large-generators --part nosuch --out .",
        "--part must be one of steps, search, forms, images, levels, got",
    ),
    ("large-generators --weights none --out .", "--weights must be a folder that exists, got none"),
    ("large-generators --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("pruning-claims", "Missing argument 'STORE...'"),
    ("pruning-claims none.db", "none.db must be an existing store"),
    ("pruning-claims mine.db", "the store must hold cells of both sides of a claim, got none"),
    ("pruning-claims mine.db none.db", "none.db must be an existing store"),
    ("pruning-claims mine.db --out none/x.csv", "--out must lie in a folder that exists, got none/x.csv"),
    ("pruning-readings --network nosuch --out .", "no network named 'nosuch'"),
    ("pruning-readings --draws 0 --out .", "--draws must be at least 1, got 0"),
    ("pruning-readings --calibration 0 --out .", "--calibration must be at least 1, got 0"),
    ("pruning-readings --jobs 0 --out .", "--jobs must be at least 1, got 0"),
    ("pruning-readings --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("pruning-energies --network nosuch --out .", "no network named 'nosuch'"),
    ("pruning-energies --draw -1 --out .", "--draw must be at least 0, got -1"),
    ("pruning-energies --calibration 0 --out .", "--calibration must be at least 1, got 0"),
    ("pruning-energies --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("rounding-methods --network nosuch --out .", "no network named 'nosuch'"),
    ("rounding-methods --draws 0 --out .", "--draws must be at least 1, got 0"),
    ("rounding-methods --first 0 --out .", "--first must be at least 1, got 0"),
    ("rounding-methods --calibration 0 --out .", "--calibration must be at least 1, got 0"),
    ("rounding-methods --repeats 0 --out .", "--repeats must be at least 1, got 0"),
    ("rounding-methods --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("bit-budgets --network nosuch --out .", "no network named 'nosuch'"),
    ("bit-budgets --draws 0 --out .", "--draws must be at least 1, got 0"),
    ("bit-budgets --samples 0 --out .", "--samples must be at least 1, got 0"),
    ("bit-budgets --out none/new", "--out must lie in a folder that exists, got none/new"),
    ("nosuch", "No such command 'nosuch'"),
]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[call for call, _ in WRONG])
def test_an_option_that_is_wrong_ends_in_one_line_and_exit_2(
    tmp_path: Path, capsys: Captured, call: str, message: str
) -> None:
    make_store(tmp_path / "mine.db", [{}])
    (tmp_path / "text").write_text("no database " * 100, encoding="utf-8")
    before = set(tmp_path.iterdir())
    assert cli.call(["experiment", *call.split()]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert line.startswith("qubopress: ")
    assert message in line
    assert set(tmp_path.iterdir()) == before


def test_wrong_options_of_every_experiment_are_tried() -> None:
    names = {one.name or one.callback.__name__ for one in experiment.registered_commands if one.callback}
    assert names == {call.split()[0] for call, _ in WRONG} - {"nosuch"}


@pytest.mark.parametrize("name", sorted({call.split()[0] for call, _ in WRONG} - {"nosuch"}))
def test_every_experiment_has_its_help(capsys: Captured, name: str) -> None:
    assert cli.call(["experiment", name, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "--out" in out
    assert err == ""


def test_one_family_of_exact_frontiers_is_measured_in_a_blink(capsys: Captured) -> None:
    given = ["--family", "sparse ±1, degree 6", "--seconds", "0.01", "--out", "new"]
    assert cli.call(["experiment", "exact-frontier", *given]) == 0
    assert "Largest n proven within 0.01 s" in capsys.readouterr().out
    assert set(pd.read_csv("new/frontier.csv")["family"]) == {"sparse ±1, degree 6"}


def test_peers_without_a_table_exit_3(capsys: Captured) -> None:
    pytest.importorskip("openjij")
    assert cli.call(["experiment", "peers", "--no-neurons", "--no-generic", "--out", "new"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("qubopress: nothing was measured: ")


@pytest.mark.slow
def test_generators_of_one_epoch_are_judged(capsys: Captured) -> None:
    given = ["--generator", "digits-generator-neural", "--seeds", "1", "--epochs", "1", "--out", "new"]
    assert cli.call(["experiment", "trained-generators", *given]) == 0
    assert "digits-generator-neural" in capsys.readouterr().out
    assert "real training images" in set(pd.read_csv("new/generators.csv")["generator"])


@pytest.mark.slow
def test_a_network_is_compressed_with_one_solver(capsys: Captured) -> None:
    given = ["--network", "digits-mlp", "--solver", "round-to-nearest", "--out", "x.csv"]
    assert cli.call(["experiment", "compress-bench", *given]) == 0
    assert "digits-mlp: 9" in capsys.readouterr().out
    assert (pd.read_csv("x.csv")["ratio"] == 1.0).all()
