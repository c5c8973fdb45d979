"""Networks are compressed and trained from the command line."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest
from calls import call, refused, table_of
from warm import share_server

from qubopress.problems.datasets import dataset, published
from qubopress.suites import cli

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    share_server(monkeypatch)
    monkeypatch.chdir(tmp_path)


def test_data_that_is_missing_ends_in_one_line(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_OFFLINE", "1")
    monkeypatch.setenv("QUBOPRESS_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    bare = dataclasses.replace(published.FASHION_MNIST, folder=tmp_path / "none")
    origin = dataset.of_files(bare, published.read_idx_files, what="clothes")
    monkeypatch.setitem(dataset.DATASETS, "fashion-mnist", origin)
    dataset.load_dataset.cache_clear()
    message = refused(capsys, "compress", "fashion-mlp", "--out", "x")
    assert "fashion-mnist is not on this machine and QUBOPRESS_OFFLINE forbids its download" in message
    assert "set QUBOPRESS_DATA to a folder" in message


def test_compress_writes_the_weights(tmp_path: Path, capsys: Captured) -> None:
    from safetensors.torch import load_file

    call = ["compress", "digits-mlp", "--out", "small.safetensors", "--set", "bits=4", "--set", "per=channel"]
    assert cli.call(call) == 0
    assert re.fullmatch(r"accuracy 0\.9\d+ → 0\.\d+, weights in small.safetensors\n", capsys.readouterr().out)
    weights = load_file(tmp_path / "small.safetensors")
    assert all(len(row.unique()) <= 16 for row in weights["fc1.weight"])


def test_the_report_of_a_network_of_ours_is_printed_where_a_format_is_asked_for(capsys: Captured) -> None:
    assert call("compress", "digits-mlp", "--out", "small.safetensors", "--format", "csv") == 0
    out, err = capsys.readouterr()
    table = table_of(out, "csv")
    assert set(table["became"]) == {"rounded"}
    weights = table["parameter"].str.endswith("weight")
    assert (table.loc[weights, "of nearest"] <= 1).all()
    assert re.search(r"accuracy 0\.9\d+ → 0\.\d+, weights in small.safetensors\n$", err)


def test_train_writes_weights_that_load(tmp_path: Path, capsys: Captured) -> None:
    assert cli.call(["train", "digits-mlp", "--epochs", "2", "--out", "."]) == 0
    out, err = capsys.readouterr()
    assert "test accuracy 0." in out
    assert "epoch 2 of 2" in err
    assert (tmp_path / "digits-mlp.safetensors").is_file()


@pytest.mark.parametrize(
    ("out", "wishes", "form"),
    [
        ("net.onnx", (), "onnx"),
        ("net.onnx", ("--as", "matmulnbits"), "matmulnbits"),
        ("net.safetensors", ("--as", "packed", "--leave", "fc2.*"), "packed"),
        ("net.gguf", ("--tolerance", "1e-3"), "gguf"),
    ],
)
def test_compress_tells_the_bytes_of_the_file_and_the_metric_that_it_has(
    out: str, wishes: tuple[str, ...], form: str, capsys: Captured
) -> None:
    assert call("compress", "digits-mlp", "--out", out, *wishes) == 0
    said = capsys.readouterr().out
    told = rf"accuracy 0\.9\d+ → 0\.9\d+, 9,640 bytes in float32, ([\d,]+) as {form} in {out}: \d\d\.\d%\n"
    found = re.fullmatch(told, said)
    assert found
    assert int(found[1].replace(",", "")) == Path(out).stat().st_size < 5000


def test_steps_that_a_format_shortens_are_refused_without_a_tolerance(capsys: Captured) -> None:
    message = refused(capsys, "compress", "digits-mlp", "--out", "net.gguf")
    assert re.search(r"GGUF must have steps that float16 holds to 0, got .*; pass tolerance=", message)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (("--as", "pt"), "--as must be one of floats, packed, onnx"),
        (
            ("--leave", "fc1.*"),
            "--leave must come with a format of integer codes, got floats",
        ),
        (
            ("--as", "packed", "--tolerance", "1e-3"),
            "--tolerance must come with a format that shortens steps, gguf, got packed; leave it out",
        ),
        (("--as", "gguf", "--tolerance", "nan"), "tolerance must be a finite number, got nan"),
        (("--as", "gguf", "--tolerance", "-1"), "tolerance must lie in [0, 1), got -1"),
    ],
)
def test_a_format_that_there_is_not_is_refused_before_anything_is_compressed(
    wishes: tuple[str, ...], said: str, capsys: Captured
) -> None:
    assert said in refused(capsys, "compress", "digits-mlp", "--out", "net.safetensors", *wishes)


def test_a_package_that_is_missing_is_named_before_anything_is_compressed(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = refused(capsys, "compress", "digits-mlp", "--out", "net.onnx")
    assert "onnx needs the package onnxruntime, which is not installed" in message
    assert "pip install 'qubopress[export]'" in message
