"""What the docs say that each format holds is what `save` holds and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.suites.experiments import export_formats
from qubopress.suites.experiments.export_formats import FORMATS, GROUPS, LAYERS, WIDTHS

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "results" / "data" / "export-formats"
CELL = ["format", "layer", "group", "symmetric", "bits"]

NEAR = {"packed": 0.0, "compressed-tensors": 0.0, "gguf": 2e-3}
"""Largest difference that a format may have; 1e-5 where it is not here."""


def stored() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "rows.csv", keep_default_na=False, na_values={"difference": [""]})


def agree(formats: list[str], layers: list[str]) -> None:
    """Measured anew, the same cells are refused for the same reason, and the others hold."""
    chosen = {name: FORMATS[name] for name in formats}
    here = pd.DataFrame(export_formats.measure(chosen, {name: LAYERS[name] for name in layers}))
    both = here.merge(stored(), on=CELL, suffixes=("", " stored"), how="left")
    assert len(both) == len(formats) * len(layers) * len(GROUPS) * len(WIDTHS) * 2
    for name in ("codes", "refused by", "why"):
        assert both[name].tolist() == both[f"{name} stored"].tolist()


def test_the_formats_without_a_graph_hold_and_refuse_what_the_docs_say() -> None:
    agree(["packed", "compressed-tensors", "gguf"], ["Linear, 144 inputs", "grouped Conv2d"])


def test_onnx_holds_what_the_docs_say() -> None:
    agree(["onnx"], ["Linear, 144 inputs"])


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_every_format_holds_what_the_docs_say_of_a_layer(layer: str) -> None:
    agree(["packed", "compressed-tensors", "gguf", "onnx", "matmulnbits"], [layer])


def test_every_cell_is_stored_and_is_near_or_refused_with_a_reason() -> None:
    rows = stored()
    assert len(rows) == len(FORMATS) * len(LAYERS) * len(GROUPS) * len(WIDTHS) * 2
    assert not rows.duplicated(CELL).any()
    held = rows["refused by"] == ""
    assert (rows["codes"] == np.where(held, "same", "")).all()
    assert (held == (rows["why"] == "")).all()
    for name, cells in rows[held].groupby("format"):
        assert cells["difference"].max() <= NEAR.get(str(name), 1e-5), name


def test_the_table_of_the_docs_is_that_of_the_rows() -> None:
    made = export_formats.summary(stored()).astype(str)
    kept = pd.read_csv(FOLDER / "formats.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(made, kept, check_dtype=False)
