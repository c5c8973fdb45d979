"""Large layers, small: the inputs have the spectrum stated, and every row says where it was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from qubopress.problems import InputError
from qubopress.suites import cli
from qubopress.suites.experiments import large_layers
from qubopress.suites.harness.provenance import provenance

Captured = pytest.CaptureFixture[str]


def test_inputs_are_correlated_and_their_eigenvalues_fall_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_layers, "TIMES", 1.0)
    values = np.linalg.eigvalsh(large_layers.correlated_gram(40))[::-1]
    np.testing.assert_allclose(values / values[0], 1.0 / np.arange(1, 41), rtol=1e-9)


def test_some_inputs_stand_out() -> None:
    sizes = np.diag(large_layers.correlated_gram(400))
    assert sizes.mean() == pytest.approx(1.0)
    assert 0 < np.count_nonzero(sizes > 10 * np.median(sizes)) < 20


@pytest.mark.parametrize("bits", [3, 4])
def test_weights_span_the_grid_and_lie_between_their_floor_and_one_above(bits: int) -> None:
    one = large_layers.layer(np.eye(50), 6, bits=bits)
    assert one.shape == (6, 50)
    assert one.binary
    assert ((one.shift >= 0) & (one.shift <= 1)).all()
    weights = np.random.default_rng([large_layers.SEED, 6]).standard_normal((6, 50))
    np.testing.assert_allclose(one.scale, np.ptp(weights, axis=1) / (2**bits - 1))


def test_a_small_run_writes_a_row_for_every_shape_grid_and_solver(tmp_path: Path, capsys: Captured) -> None:
    given = ["--device", "cpu", "--shape", "64x96", "--shape", "8x40", "--out", str(tmp_path / "new")]
    assert cli.call(["experiment", "large-layers", *given]) == 0
    assert "loss ratio" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "new" / "large-layers.csv")
    assert len(table) == 2 * 2 * 3
    assert set(table["machine"]) == {provenance().machine}
    assert set(table["device"]) == {"cpu"}
    ratio = table.pivot_table(index=["neurons", "bits"], columns="solver", values="loss ratio")
    assert (ratio["round-to-nearest"] == 1.0).all()
    assert (ratio["nearest-plane"] < 0.9).all()
    assert (ratio["beam"] < ratio["nearest-plane"]).all()


def test_searches_over_every_level_tell_their_loss_time_and_memory(tmp_path: Path) -> None:
    given = ["--shape", "64x96", "--bits", "3", "--every-level", "--out", str(tmp_path / "new")]
    assert cli.call(["experiment", "large-layers", *given]) == 0
    table = pd.read_csv(tmp_path / "new" / "large-layers.csv").set_index("solver")
    assert list(table.index) == ["round-to-nearest", "nearest-plane", "beam", "level-tabu"]
    searches = table.loc[["nearest-plane", "beam", "level-tabu"]]
    assert (searches["loss ratio"] < 0.7).all()
    assert (searches[["choleskys", "grams"]] > 0).all(axis=None)


def test_the_compiled_kernels_and_torch_find_the_same() -> None:
    rows = [list(large_layers.measure([(8, 40)], device=device, bits=[4])) for device in ("numba", "cpu")]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]


@pytest.mark.parametrize("text", ["4096", "4096x", "0x5", "ax5", "4x5x6"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"shape must be NEURONSxINPUTS such as 4096x11008, got '{text}'"):
        large_layers.shape_of(text)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("tpu", "device must be numba, cpu, cuda"),
        ("cuda:99", "device cuda:99 needs a GPU that torch can see"),
    ],
)
def test_a_device_that_is_not_there_ends_in_one_line(
    device: str, told: str, tmp_path: Path, capsys: Captured
) -> None:
    given = ["--device", device, "--shape", "4x5", "--out", str(tmp_path)]
    assert cli.call(["experiment", "large-layers", *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_named() -> None:
    rows = list(large_layers.measure([(8, 40)], device="cuda", bits=[4]))
    assert {row["device"] for row in rows} == {torch.cuda.get_device_name()}
