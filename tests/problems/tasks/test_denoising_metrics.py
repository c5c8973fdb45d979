"""PSNR and SSIM are what they are defined to be, and PSNR comes apart by image and draw of noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import one_thread
from torch import nn

from qubopress.problems import InputError, psnr_samples
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.tasks.denoising_metrics import psnr, psnr_each, ssim

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

CLEAN = np.full((2, 3, 16, 16), 0.5, dtype=np.float32)
PICTURE = np.random.default_rng(0).random((1, 3, 32, 32)).astype(np.float32)


class Brighter(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 9


def test_psnr_is_that_of_the_mean_squared_error_of_each_image() -> None:
    noisy = CLEAN + np.array([0.1, -0.01], dtype=np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(psnr_each(nn.Identity(), noisy, CLEAN), [20, 40], atol=1e-3)
    assert psnr(nn.Identity(), noisy, CLEAN) == pytest.approx(30, abs=1e-3)


def test_what_leaves_the_range_is_clipped() -> None:
    assert psnr(Brighter(), CLEAN, np.ones_like(CLEAN)) == 120


def test_psnr_of_an_exact_image_is_finite() -> None:
    assert psnr(nn.Identity(), torch.tensor(CLEAN), torch.tensor(CLEAN)) == 120


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    assert ssim(nn.Identity(), PICTURE, PICTURE) == pytest.approx(1)
    rng = np.random.default_rng(1)
    little, much = (PICTURE + s * rng.standard_normal(PICTURE.shape).astype(np.float32) for s in (0.05, 0.3))
    assert 0.99 > ssim(nn.Identity(), little, PICTURE) > ssim(nn.Identity(), much, PICTURE) > 0


def test_the_samples_are_the_metric_apart() -> None:
    data = load_dataset("photographs")
    found = psnr_samples(nn.Identity())
    assert found.shape == (12, 3)
    assert found.mean() == pytest.approx(psnr(nn.Identity(), data.test_inputs, data.test_targets))
    np.testing.assert_allclose(psnr_samples(nn.Identity(), seeds=1), found[:, :1])


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"of the same shape, at least one, got \(2, 3, 16, 16\) and \(1, 3"):
        psnr(nn.Identity(), CLEAN, CLEAN[:1])
    with pytest.raises(InputError, match="at least one, got"):
        ssim(nn.Identity(), CLEAN[:0], CLEAN[:0])
    with pytest.raises(InputError, match=r"must put out images \(2, 3, 16, 16\), got \(2, 768\)"):
        psnr(nn.Flatten(), CLEAN, CLEAN)
    with pytest.raises(InputError, match="seeds must be an integer of at least 1, got 0"):
        psnr_samples(nn.Identity(), seeds=0)
