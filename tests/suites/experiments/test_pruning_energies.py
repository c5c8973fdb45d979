"""Energies are those of the masks, and each table asks what it says."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from qubopress.suites import cli
from qubopress.suites.experiments import pruning_energies


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    out = tmp_path_factory.mktemp("energies")
    given = ["--network", "digits-cnn", "--calibration", "40", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning_energies, "DRAWN", 6)
        patch.setattr(pruning_energies, "EXCHANGES", (1, 4))
        patch.setattr(pruning_energies, "BETAS", (0.0, 0.1, 3.0))
        assert cli.call(["experiment", "pruning-energies", *given]) == 0
    return {path.stem: pd.read_csv(path) for path in Path(out).iterdir()}


def test_no_mask_is_below_the_optimum_and_both_terms_make_the_energy(
    tables: dict[str, pd.DataFrame],
) -> None:
    masks = tables["masks"]
    (best,) = masks.loc[masks["kind"] == "optimum", "energy"]
    assert (masks["energy"] >= best - 1e-6).all()
    assert masks["energy"].to_numpy() == pytest.approx(
        (masks["importance"] + masks["similarity"]).to_numpy(), abs=1e-4
    )
    assert masks.loc[masks["kind"] == "Taylor", "importance"].item() == pytest.approx(
        masks["importance"].min()
    )


def test_without_a_similarity_the_optimum_is_taylors(tables: dict[str, pd.DataFrame]) -> None:
    terms, masks = tables["terms"], tables["masks"]
    alone = terms[(terms["beta"] == 0) & (terms["normalise"] == "global")]["metric"].item()
    assert alone == masks.loc[masks["kind"] == "Taylor", "metric"].item()


def test_layers_keep_what_the_capacity_has(tables: dict[str, pd.DataFrame]) -> None:
    layers = tables["layers"]
    kept = round(0.64 * layers["channels"].sum())
    assert layers["Taylor keeps"].sum() == layers["optimum keeps"].sum() == kept
    assert layers["whole"].nunique() == 1
    assert (layers["spread"] == 1).all()  # there are no norms
