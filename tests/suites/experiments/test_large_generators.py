"""Tables of large generators show agreement, bounded memory, and distances that few bits raise."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from data_files import offline
from tiny import one_thread

from qubopress.problems import MissingDataError
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.networks.trajectories import KEPT
from qubopress.suites.experiments import large_generators

pytestmark = pytest.mark.usefixtures(one_thread.__name__, offline.__name__)


@pytest.mark.slow
def test_steps_agree_with_the_reference_and_hold_less(tmp_path: Path) -> None:
    few, many = large_generators.steps(tmp_path, counts=(1, 8), batch=8).to_dict("records")
    assert (few["nodes"], many["steps a segment"]) == (1568, 8)
    assert max(few["apart"], many["apart"]) < 1e-9
    states = KEPT * 8 * 1568 * 4 / 1e6
    assert many["run (MB)"] - few["run (MB)"] < states
    assert many["stepwise (MB)"] - few["stepwise (MB)"] > 10 * states


def test_fewer_levels_are_further_from_real_images(tmp_path: Path) -> None:
    given = [("ais-rounding", "round-to-nearest", {"bits": bits, "tile": 4}) for bits in (8, 2)]
    found = large_generators.levels(tmp_path, name="digits-generator", calibration=5, seeds=2, cases=given)
    assert found["solver"].tolist() == ["float", "round-to-nearest", "round-to-nearest"]
    exact, eight, two = found.to_dict("records")
    assert eight["ratio"] == pytest.approx(exact["ratio"], rel=0.1)
    assert two["ratio"] > 2 * exact["ratio"]
    assert exact["error"] == 0 < eight["error"] < two["error"]
    assert exact["low"] <= exact["ratio"] <= exact["high"]
    assert len(pd.read_csv(tmp_path / "levels.csv")) == 3


@pytest.mark.slow
def test_rivals_have_as_many_parameters_and_the_nearest_stands_first(tmp_path: Path) -> None:
    try:
        load_dataset("fashion-mnist")
    except MissingDataError as missing:
        pytest.skip(str(missing))
    rivals = ((1, 32, 1e-9), (1, 32, 0.001), (3, 8, 1e-9), (3, 8, 0.001))
    found = large_generators.search(tmp_path, epochs=1, rivals=rivals, taught=2000, whole=2)
    assert found["passes"].tolist() == [1, 1, 1, 1, 2, 2]
    assert found["parameters"].between(0.99 * 293_568, 293_568).all()
    first, second = found[:4], found[4:]
    assert first["distance"].is_monotonic_increasing
    assert first["rate"][0] == 0.001
    assert set(second["rate"]) == {1e-9, 0.001}
    assert second["rate"].iloc[0] == 0.001


@pytest.mark.slow
def test_a_generator_stands_between_real_images_and_an_untrained_one(tmp_path: Path) -> None:
    try:
        load_dataset("fashion-mnist")
    except MissingDataError as missing:
        pytest.skip(str(missing))
    found = large_generators.images(tmp_path, seeds=2).set_index("images")["ratio"]
    assert found["real training images"] == 1.0
    assert 1.0 < found["fashion-generator"] < found["untrained"]
    assert (tmp_path / "fashion-generator.png").is_file()
