"""Generators map starts of a seed to images in [0, 1], and a picture shows them in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qubopress.problems import networks, training
from qubopress.problems.errors import InputError
from qubopress.problems.generators import NeuralGenerator, interacting, save_grid

NAMES = [spec.name for spec in networks.GENERATORS if spec.dataset == "digits"]


@pytest.mark.parametrize("name", NAMES)
def test_images_are_a_function_of_the_seed_and_lie_in_0_to_1(name: str) -> None:
    generator = training.initialised(networks.network(name), seed=0)
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
            parameter.numel()
            for parameter in training.initialised(networks.network(name), seed=0).parameters()
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
