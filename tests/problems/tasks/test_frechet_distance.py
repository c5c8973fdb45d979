"""The Fréchet distance is the formula's, and it tells digits from what is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import one_thread

from qubopress.problems import InputError
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.networks.image_generators import interacting
from qubopress.problems.networks.weights import load_network
from qubopress.problems.tasks import frechet_distance

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def digits(split: str = "train") -> torch.Tensor:
    return torch.tensor(getattr(load_dataset("digits"), f"{split}_inputs"))


def by_formula(images: torch.Tensor, real: torch.Tensor) -> float:
    """d² from the features, the matrix root by eigenvalues of the symmetric C^½ C' C^½."""
    classifier = load_network(frechet_distance.FEATURES["digits"])
    with torch.no_grad():
        sides = [classifier[:-1](side).double().numpy() for side in (images, real)]
    (mean, cov), (other_mean, other_cov) = ((side.mean(axis=0), np.cov(side.T)) for side in sides)
    spread, axes = np.linalg.eigh(cov)
    half = (axes * np.sqrt(np.maximum(spread, 0.0))) @ axes.T
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(half @ other_cov @ half), 0.0))
    return float(((mean - other_mean) ** 2).sum() + np.trace(cov + other_cov) - 2 * roots.sum())


def test_the_distance_is_the_formula_in_float64() -> None:
    images, real = frechet_distance.gaussian_images("digits", wanted=700), digits()
    assert frechet_distance.distance(images, "digits", real=real) == pytest.approx(
        by_formula(images, real), rel=1e-6
    )


def test_a_set_is_at_no_distance_from_itself_whatever_its_order() -> None:
    real = digits("test")
    assert frechet_distance.distance(real.flip(0), "digits") == pytest.approx(0.0, abs=1e-6)


def test_the_floor_lies_below_a_gaussian_model_and_that_below_an_untrained_generator() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = frechet_distance.samples_of(interacting())
    floor, gaussian = (
        frechet_distance.floor("digits"),
        frechet_distance.distance(frechet_distance.gaussian_images("digits"), "digits"),
    )
    assert 0 < 3 * floor < gaussian < frechet_distance.distance(untrained, "digits") / 3


def test_noise_on_real_digits_takes_them_farther_away() -> None:
    real, random = digits(), torch.Generator().manual_seed(0)
    noise = torch.randn(real.shape, generator=random)
    found = [
        frechet_distance.distance((real + size * noise).clip(0, 1), "digits") for size in (0.0, 0.1, 0.2)
    ]
    assert found == sorted(found)
    assert found[0] == frechet_distance.floor("digits")


def test_coverage_counts_the_classes_that_get_a_share() -> None:
    classes = torch.tensor(load_dataset("digits").train_targets)
    assert frechet_distance.coverage(digits(), "digits") == 1.0
    assert frechet_distance.coverage(digits()[classes < 3], "digits") == pytest.approx(0.3)


def test_the_classifier_is_sure_of_digits_and_less_of_noise() -> None:
    noise = torch.rand(500, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert frechet_distance.confidence(digits("test"), "digits") > 0.95
    assert 0.1 <= frechet_distance.confidence(noise, "digits") < 0.8


def test_the_gaussian_model_is_like_the_training_pixels_to_second_order() -> None:
    pixels = digits().flatten(1).double()
    made = frechet_distance.gaussian_images("digits", wanted=20000).flatten(1).double()
    assert ((made >= 0) & (made <= 1)).all()
    # Clipping moves them where pixels are mostly dark.
    assert (made.mean(dim=0) - pixels.mean(dim=0)).abs().max() < 0.06
    both = torch.stack([one.T.cov().flatten() for one in (made, pixels)])
    assert float(torch.corrcoef(both)[0, 1]) > 0.98


def test_samples_depend_on_the_seed_alone() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = interacting()
    first, again, other = (frechet_distance.samples_of(generator, wanted=3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_data_without_a_classifier_and_single_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"images must be of digits, .*, got 'cifar-10'"):
        frechet_distance.coverage(digits(), "cifar-10")
    with pytest.raises(InputError, match="a distance needs two images of each kind, got 1 and 500"):
        frechet_distance.distance(digits()[:1], "digits")


def test_torchmetrics_is_imported_by_need() -> None:
    code = "import sys, qubopress.suites; print('torchmetrics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


JUDGES = [frechet_distance.distance, frechet_distance.coverage, frechet_distance.confidence]


@pytest.mark.parametrize("judge", JUDGES)
def test_images_outside_of_0_to_1_are_refused(judge: Callable[..., float]) -> None:
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert judge(images, "digits") >= 0
    for wrong in (images * 255, images - 0.5, images / 0 - images / 0):
        with pytest.raises(InputError, match=r"must lie in \[0, 1\], got .*; scale them, as pixels / 255"):
            judge(wrong, "digits")
