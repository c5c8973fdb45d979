from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_benchmark, make_store

from qubopress.results import StoreError, by_parameter


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_benchmark(tmp_path_factory.mktemp("board") / "s.db")


def test_a_table_by_bits_gives_loss_accuracy_and_drop(tmp_path: Path) -> None:
    infos = [{"key": f"int{bits}", "parameters": {"bits": bits}} for bits in (4, 10, 2)]
    cells: list[dict[str, Any]] = []
    for info in infos:
        key = info["key"]
        cells += [
            {"instance_key": key, "solver": "beam", "seed": s, "loss": 1.0 + s, "metric": 0.85}
            for s in (0, 1)
        ]
        cells += [{"instance_key": key, "solver": "sa", "loss": None, "status": "TIMEOUT"}]
    table = by_parameter(make_store(tmp_path / "s.db", cells, infos), "bits")
    assert table["bits"].tolist() == [2, 2, 4, 4, 10, 10]
    beam = table[table["solver"] == "beam"].iloc[0]
    assert beam[["loss", "ratio", "metric", "drop"]].tolist() == pytest.approx([1.5, 0.15, 0.85, 0.02])
    failed = table[table["solver"] == "sa"].iloc[0]
    assert np.isnan(failed["loss"])
    assert failed[["cells", "imputed"]].tolist() == [1, 1]


def test_a_table_keeps_variants_of_a_problem_apart_and_averages_over_draws(tmp_path: Path) -> None:
    settings = [{"bits": 4, "grid": grid, "calibration_seed": s} for grid in ("code", "mse") for s in (0, 1)]
    infos = [{"key": str(i), "parameters": setting} for i, setting in enumerate(settings)]
    infos.append({"key": "other", "network": "cnn", "parameters": {"bits": 4, "grid": "code"}})
    cells: list[dict[str, Any]] = [
        {"instance_key": info["key"], "network": info.get("network", "mlp"), "loss": float(i)}
        for i, info in enumerate(infos)
    ]
    table = by_parameter(make_store(tmp_path / "s.db", cells, infos), "bits")
    assert table["variant"].tolist() == ["", "grid=code", "grid=mse"]
    assert table["loss"].tolist() == [4.0, 0.5, 2.5]


def test_measures_of_the_networks_are_columns_of_their_own(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"measures": {"products": 6.0, "loss": 1.0}},
        {"measures": {"products": 8.0}},
        {"measures": {"products": 100.0}, "status": "FAILED"},
        {"solver": "neal"},
    ]
    infos = [{"parameters": {"keep": 0.5}}]
    table = by_parameter(make_store(tmp_path / "s.db", cells, infos), "keep").set_index("solver")
    assert table.loc["sa", "products"] == 7.0  # a cell that failed enters no mean
    assert np.isnan(table.loc["neal", "products"])
    assert table.loc["sa", "loss"] == 2.0  # and no measure takes another column's place


def test_a_ratio_to_a_negative_baseline_is_not_given(tmp_path: Path) -> None:
    infos = [{"baseline_loss": -4.0, "parameters": {"keep": 0.5}}]
    table = by_parameter(make_store(tmp_path / "s.db", [{"loss": -6.0}], infos), "keep")
    assert table["loss"].tolist() == [-6.0]
    assert table["ratio"].isna().all()


def test_values_of_different_kinds_are_sorted_numbers_first(tmp_path: Path) -> None:
    values: list[Any] = ["all", 500, 50.0, True]
    infos = [{"key": str(value), "parameters": {"samples": value}} for value in values]
    cells = [{"instance_key": str(value)} for value in values]
    table = by_parameter(make_store(tmp_path / "s.db", cells, infos), "samples")
    assert table["samples"].tolist() == [True, 50.0, 500, "all"]


def test_an_unknown_parameter_is_answered_with_the_known_ones(benchmark: Path) -> None:
    with pytest.raises(StoreError, match="must have a parameter 'bit'; theirs are bits, keep"):
        by_parameter(benchmark, "bit")
    with pytest.raises(StoreError, match="must not be a column of the table"):
        by_parameter(benchmark, "loss")
