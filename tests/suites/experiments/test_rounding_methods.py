"""Methods of rounding side by side: the same Gram matrices, GPTQ's units, intervals over draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.suites import cli
from qubopress.suites.experiments import rounding_methods


def test_every_method_has_a_row_in_units_of_gptq(tmp_path: Path) -> None:
    given = ["--network", "digits-mlp", "--draws", "2", "--first", "4", "--bits", "2"]
    given += ["--calibration", "100", "--repeats", "2"]
    assert cli.call(["experiment", "rounding-methods", *given, "--out", str(tmp_path / "new")]) == 0
    rows = pd.read_csv(tmp_path / "new" / "rows.csv")
    assert len(rows) == 2 * len(rounding_methods.compared())
    assert set(rows["draw"]) == {4, 5}
    table = pd.read_csv(tmp_path / "new" / "methods.csv").set_index("method")
    assert list(table.index) == list(rounding_methods.compared())
    first = table.loc[rounding_methods.FIRST]
    assert first[["loss", "held-out loss", "time"]].tolist() == [1.0, 1.0, 1.0]
    assert table.loc["fitted, level-tabu", "loss"] < 0.9
    assert table.loc["round to nearest", "loss"] > 1.5
    assert table.loc["OJBKQ's draws", "loss"] < 1.0
    assert table.loc["round to nearest", "layers above nearest"] == 0
    assert (table["accuracy from"] <= table["accuracy"]).all()


def test_intervals_are_students_over_draws() -> None:
    low = rounding_methods.FIRST
    rows = pd.DataFrame(
        [
            {
                "network": "a", "draw": draw, "bits": 4, "method": name, "loss": loss, "held-out loss": loss,
                "seconds": seconds, "layers above nearest": 0.0, "cosine": cosine,
            }
            for name, seconds in ((low, 2.0), ("other", 6.0))
            for draw, loss, cosine in ((1, 0.5, 0.7), (2, 2.0, 0.9))
        ]
    )  # fmt: skip
    found = rounding_methods.summary(rows).set_index("method").loc["other"]
    assert found[["loss", "time", "draws"]].tolist() == pytest.approx([1.0, 3.0, 2])
    reach = 12.706 * np.std([0.7, 0.9], ddof=1) / 2**0.5
    ends = found[["cosine", "cosine from", "cosine to"]].tolist()
    assert ends == pytest.approx([0.8, 0.8 - reach, 0.8 + reach], rel=1e-3)


def test_a_layers_seconds_are_the_least_of_turns_that_methods_take_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    spent = iter([5.0, 1.0, 2.0, 3.0])

    def layer(
        one: str, wishes: object, method: rounding_methods.Method
    ) -> tuple[list[int], list[int], float]:
        calls.append(str(method.solver))
        return [len(calls)], [], next(spent)

    monkeypatch.setattr(rounding_methods, "_layer", layer)
    both = {name: rounding_methods.METHODS[name] for name in ("GPTQ", "round to nearest")}
    found = rounding_methods._in_turn("a layer", both, bits=4, repeats=2)
    assert calls == ["nearest-plane", "round-to-nearest"] * 2
    assert found == {"GPTQ": ([1], [], 2.0), "round to nearest": ([2], [], 1.0)}


def test_what_is_not_installed_is_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounding_methods, "BREVITAS", "no_such_module")
    monkeypatch.setattr(rounding_methods, "METHODS", {"GPTQ": rounding_methods.METHODS["GPTQ"]})
    given = {"draws": 1, "bits": [2], "calibration": 50, "repeats": 1}
    [(title, table)] = rounding_methods.run("digits-mlp", out=tmp_path, **given)
    assert title == "digits-mlp, draws 1 to 1; without brevitas' GPTQ: pip install 'qubopress[peers]'"
    assert list(table["method"]) == ["GPTQ"]
