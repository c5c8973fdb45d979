"""Bootstrap intervals that know which cells belong to the same instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .resampled_median import median_ends

__all__ = ["LEVEL", "holm", "mean_interval", "median_interval"]

RESAMPLES = 2_000
LEVEL = 0.95
_BLOCK = 2**15  # values drawn at a time: what stays in the cache, and bounds the memory


def median_interval(values: ArrayLike, groups: ArrayLike, *, level: float = LEVEL) -> tuple[float, float]:
    """Percentile bootstrap interval of the median over (instance, seed) cells, of all resamples at once.

    Each resample draws instances with replacement and then, within each drawn one, as many of its cells
    with replacement as it has: seeds of one instance are alike and must not count as independent.
    Of fewer than two values nothing can be said: (NaN, NaN).

    Parameters:
        values: (cells,) scores; NaNs are left out.
        groups: (cells,) the instance of each.
        level: the interval's coverage.
    """
    values, groups = _known(values, groups)
    if len(values) < 2:
        return float("nan"), float("nan")
    return median_ends(*_by_instance(values, groups), level)


def mean_interval(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, resampling as `median_interval` does.

    Deterministic by `seed`. Of fewer than two values nothing can be said: (NaN, NaN).

    Parameters:
        values, groups, level: as there.
        resamples, seed: how many resamples, the seed of their generator.
    """
    values, groups = _known(values, groups)
    if len(values) < 2:
        return float("nan"), float("nan")
    found = _resampled_means(values, groups, resamples, np.random.default_rng(seed))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _known(values: ArrayLike, groups: ArrayLike) -> tuple[NDArray[np.float64], NDArray[Any]]:
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    known = ~np.isnan(values)
    return values[known], groups[known]


def _resampled_means(
    values: NDArray[np.float64], groups: NDArray[np.generic], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of `resamples` hierarchical resamples."""
    cells, counts = _by_instance(values, groups)
    padded = np.append(cells, 0.0)
    drawn_blocks = _draws(counts, resamples, rng)
    return np.concatenate([padded[drawn].sum(axis=1) / valid for drawn, valid in drawn_blocks])


def _by_instance(
    values: NDArray[np.float64], groups: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The values with an instance's cells side by side, and how many cells each instance has."""
    _, of, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return values[np.argsort(of, kind="stable")], counts


def _draws(
    counts: NDArray[np.intp], resamples: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.intp]]]:
    """Resamples in blocks of bounded size: indices of cells (size, draws) and how many count in each (size,).

    An instance with fewer cells than another fills up its draws with the index one past the last cell.
    """
    most, cells = int(counts.max()), int(counts.sum())
    first, held = (np.cumsum(counts) - counts).astype(np.int32), counts.astype(np.int32)
    block = max(1, _BLOCK // max(counts.size * most, cells))
    for done in range(0, resamples, block):
        size = min(block, resamples - done)
        chosen = rng.integers(0, counts.size, (size, counts.size))
        has = held[chosen][..., None]
        within = (rng.random((size, counts.size, most), dtype=np.float32) * has).astype(np.int32)
        drawn = first[chosen][..., None] + np.minimum(within, has - 1)  # float32 may round up to `has`
        drawn[np.arange(most) >= has] = cells
        yield drawn.reshape(size, -1), has.sum(axis=(1, 2))


def holm(p: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Holm's step-down correction of p-values for their number."""
    # statsmodels gives the same, bit for bit; these lines are not worth two more packages to install.
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return adjusted
