"""Layers whose proofs the docs tell of: what they are, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.suites.experiments import layer_proofs


@pytest.mark.parametrize("name", ["clipped ReLU, 3 bits", "clipped GELU, 4 bits"])
def test_a_layer_has_sixty_five_columns_of_bits_and_is_the_same_for_a_seed(name: str) -> None:
    one, same, other = (layer_proofs.layer(name, seed) for seed in (3, 3, 4))
    assert one.shape == (10, 65)
    assert (one.levels == 2).all()
    np.testing.assert_array_equal(one.shift, same.shift)
    assert not np.array_equal(one.shift, other.shift)


def test_every_neuron_has_a_row_in_the_file_and_every_layer_one_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "clipped ReLU, 3 bits"
    monkeypatch.setattr(layer_proofs, "LAYERS", {name: layer_proofs.LAYERS[name]})
    ((title, table),) = layer_proofs.run(out=tmp_path / "new", seed=5, neurons=2, nodes=1_000)
    rows = pd.read_csv(tmp_path / "new" / "layer-proofs.csv")
    assert "seed 5" in title
    assert list(rows["neuron"]) == [0, 1]
    assert (rows["bound"] <= rows["loss"]).all()
    proven = (rows["status"] == "OPTIMAL").sum()
    assert table["proven"].tolist() == [f"{proven} of 2"]
