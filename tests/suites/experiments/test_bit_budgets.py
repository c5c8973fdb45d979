"""Budgets of bits: every choice keeps to its own, and those that search predict less than the even spread."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from qubopress.suites import cli
from qubopress.suites.experiments import bit_budgets


def test_every_choice_keeps_to_the_budget_and_the_search_predicts_least(tmp_path: Path) -> None:
    given = ["--network", "digits-mlp", "--draws", "2", "--average", "3.5", "--calibration", "100"]
    assert cli.call(["experiment", "bit-budgets", *given, "--out", str(tmp_path / "new")]) == 0
    rows = pd.read_csv(tmp_path / "new" / "rows.csv")
    assert len(rows) == 2 * len(bit_budgets.CHOICES)
    assert (rows["bits"] <= 3.5 + 1e-9).all()
    table = pd.read_csv(tmp_path / "new" / "budgets.csv").set_index("choice")
    assert table.loc["interactions", "predicted"] == table["predicted"].min() < 0.9
    assert table.loc["uniform", "predicted"] == 1.0
    assert (table["accuracy from"] <= table["accuracy"]).all()
