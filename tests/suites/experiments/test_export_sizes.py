"""Sizes of files: codes make them smaller, their runtime computes what the network does."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from qubopress.suites.experiments import export_sizes

FOLDER = Path(__file__).parents[3] / "results" / "data" / "export-formats"


def test_a_rounded_and_a_pruned_network_are_smaller_and_agree_with_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {
        "digits-mlp": ({"bits": 4, "solver": "nearest-plane"}, ("packed", "onnx")),
        "digits-cnn": ({"problem": "taylor", "keep": 0.5}, ("onnx",)),
    }
    monkeypatch.setattr(export_sizes, "COMPRESSED", few)
    ((_, table),) = export_sizes.run(few, calibration=50, out=tmp_path / "new")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "new" / "sizes.csv"), table, rtol=1e-4, check_dtype=False
    )
    assert table["format"].tolist() == ["packed", "onnx", "onnx"]
    assert (table["share"] < 0.9).all()
    assert (table["cosine"] > 0.9999).all()
    assert table["rounded matrices"].isna().tolist() == [False, False, True]
    assert table["time"].isna().tolist() == [True, False, False]


def test_the_stored_figures_keep_the_codes_narrow_and_the_outputs_near() -> None:
    rows = pd.read_csv(FOLDER / "sizes.csv").set_index(["network", "format"])
    minilm = rows.loc["minilm"]
    assert (minilm["rounded matrices"] <= 0.17).all()
    assert (minilm["cosine"] >= 0.99999).all()
    assert (rows.loc["photographs-denoiser", "share"] < 0.8).all()
