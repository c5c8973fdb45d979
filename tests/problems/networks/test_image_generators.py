"""Generators map starts of a seed to images in [0, 1], and a picture shows them in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from qubopress.problems.errors import InputError
from qubopress.problems.networks import zoo
from qubopress.problems.networks.image_generators import NeuralGenerator, interacting, save_grid
from qubopress.problems.tasks import training
from qubopress.suites.experiments.trained_generators import summary, untrained_rows

NAMES = [spec.name for spec in zoo.GENERATORS if spec.dataset == "digits"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_a_function_of_the_seed_and_lie_in_0_to_1(name: str) -> None:
    generator = training.initialised(zoo.network(name), seed=0)
    assert isinstance(generator, NeuralGenerator) or generator.design.side == 8  # type: ignore[union-attr]
    first, same, other = (
        generator(generator.starts(5, random=torch.Generator().manual_seed(seed)))  # type: ignore[operator]
        for seed in (0, 0, 1)
    )
    assert first.shape == (5, 1, 8, 8)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert 0.0 <= float(first.detach().min()) < float(first.detach().max()) <= 1.0


def test_the_neural_generator_has_as_many_parameters() -> None:
    sizes = {
        name: sum(
            parameter.numel() for parameter in training.initialised(zoo.network(name), seed=0).parameters()
        )
        for name in ("digits-generator", "digits-generator-neural")
    }
    assert sizes["digits-generator-neural"] == pytest.approx(sizes["digits-generator"], rel=0.02)


def test_starts_are_uniform_between_their_bounds() -> None:
    random = torch.Generator().manual_seed(0)
    for starts, bound in (
        (interacting(side=2, spread=0.25).starts(5000, random=random), 0.25),
        (NeuralGenerator(latent=8, widths=(4,), side=2).starts(5000, random=random), 1.0),
    ):
        assert 0.99 * bound < float(starts.abs().max()) <= bound
        assert float(starts.mean()) == pytest.approx(0.0, abs=0.02 * bound)
        assert float(starts.std()) == pytest.approx(bound / 3**0.5, rel=0.02)


def test_a_picture_shows_images_row_by_row(tmp_path: Path) -> None:
    images = torch.linspace(0.0, 1.0, 5)[:, None, None, None].expand(5, 1, 2, 2)
    save_grid(images, tmp_path / "grid.png", columns=3, zoom=2)
    page = np.asarray(Image.open(tmp_path / "grid.png"))
    assert page.shape == (2 * 2 * 3, 3 * 2 * 3)
    assert page[::6, ::6].tolist() == [[0, 64, 128], [191, 255, 0]]
    assert page[4:6].max() == 0  # between the rows


def test_a_picture_without_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a place to write a file"):
        save_grid(torch.zeros(1, 1, 2, 2), tmp_path / "none" / "grid.png")


def test_a_summary_has_each_generators_mean_ratio_within_its_interval_best_first() -> None:
    ratios = {"good": [2.0, 2.5, 3.0], "bad": [8.0, 9.0, 13.0]}
    rows = pd.DataFrame(
        {"generator": name, "seed": seed, "parameters": 7, "distance": 3.5 * ratio, "ratio": ratio}
        | {"coverage": 1.0, "confidence": 0.9}
        for name in ("bad", "good")
        for seed, ratio in enumerate(ratios[name])
    )
    table = summary(rows)
    assert table["generator"].tolist() == ["good", "bad"]
    assert table["ratio"].tolist() == [2.5, 10.0]
    assert table["seeds"].tolist() == [3, 3]
    assert ((table["low"] < table["ratio"]) & (table["ratio"] < table["high"])).all()


def test_real_images_are_at_the_floor_and_untrained_ones_far_away() -> None:
    ratios = {row["generator"]: row["ratio"] for row in untrained_rows(1)}
    assert ratios["real training images"] == 1.0
    assert 3.0 < ratios["Gaussian pixels"] < 10.0
    assert ratios["untrained"] > 50.0
