"""Denoising judged: PSNR and SSIM of a network's images, and samples to bootstrap them from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from ..arrays import Floats, count
from ..datasets.photographs import held_out_images
from ..errors import InputError
from ..layers.running import Array, outputs_of

__all__ = ["psnr", "psnr_each", "psnr_samples", "ssim"]


def psnr(network: nn.Module, noisy: Array, clean: Array) -> float:
    """Mean over the images of `psnr_each` (dB)."""
    return float(psnr_each(network, noisy, clean).mean())


def psnr_each(network: nn.Module, noisy: Array, clean: Array) -> Floats:
    """Peak signal-to-noise ratio (dB) of each denoised image (N,): −10 log₁₀ of its mean squared error.

    Images (N, 3, height, width) have the peak 1; what leaves [0, 1] is clipped.

    Raises:
        InputError: no image, or shapes that differ.
    """
    errors = (_denoised(network, noisy, clean) - np.asarray(clean, dtype=np.float64)) ** 2
    return np.asarray(-10 * np.log10(np.maximum(errors.reshape(len(errors), -1).mean(axis=1), 1e-12)))


def psnr_samples(network: nn.Module, *, seeds: int = 3) -> Floats:
    """PSNR (dB) of each test photograph under each draw of noise: (images, seeds), to bootstrap over both.

    Their mean, with three seeds, is the metric of `denoising_task`. Four images come from one scene and there
    are three scenes, so an interval over images says nothing of other scenes.

    Raises:
        InputError: no seed, or a network that does not put out images.
    """
    noisy, clean = held_out_images(seeds=count(seeds, name="seeds", low=1))
    shape = noisy.shape[2:]
    found = psnr_each(network, noisy.reshape(-1, *shape), clean.reshape(-1, *shape))
    return found.reshape(noisy.shape[:2])


def ssim(network: nn.Module, noisy: Array, clean: Array) -> float:
    """Mean structural similarity of denoised images (N, 3, height, width), in [−1, 1], 1 for equal ones.

    Wang et al. 2004 with a Gaussian window of σ = 1.5, over all three colours. Raises as `psnr_each` does.
    """
    from skimage.metrics import structural_similarity  # takes seconds

    compare: Callable[..., Any] = structural_similarity
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(_denoised(network, noisy, clean), np.asarray(clean, dtype=np.float64), strict=True)
    found = [compare(*pair, channel_axis=0, data_range=1.0, **window) for pair in pairs]
    return float(np.mean(found))


def _denoised(network: nn.Module, noisy: Array, clean: Array) -> Floats:
    """A network's images, clipped to [0, 1]."""
    if len(noisy) == 0 or tuple(noisy.shape) != tuple(clean.shape):
        raise InputError(
            f"noisy and clean must be images of the same shape, at least one, got {tuple(noisy.shape)} and "
            f"{tuple(clean.shape)}"
        )
    outputs = [part.double().cpu().numpy() for part in outputs_of(network, noisy, batch=16)]
    found = np.concatenate(outputs)
    if found.shape != tuple(clean.shape):
        raise InputError(f"the network must put out images {tuple(clean.shape)}, got {found.shape}")
    return np.asarray(np.clip(found, 0.0, 1.0))
