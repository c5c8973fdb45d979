"""Bootstrap intervals that know which cells belong to the same instance."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2_000
LEVEL = 0.95
_BLOCK = 2**21  # values drawn at a time, to bound the memory


def median_interval(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the median over (instance, seed) cells.

    Each resample draws instances with replacement and then, within each drawn one, as many of its cells
    with replacement as it has: seeds of one instance are alike and must not count as independent.
    Deterministic by `seed`. Of fewer than two values nothing can be said: (NaN, NaN).

    Parameters
    ----------
    values
        (cells,) scores; NaNs are left out.
    groups
        (cells,) the instance of each.
    resamples, level, seed
        How many resamples, the interval's coverage, the seed of their generator.
    """
    values, groups = np.asarray(values, dtype=np.float64), np.asarray(groups)
    known = ~np.isnan(values)
    if known.sum() < 2:
        return float("nan"), float("nan")
    medians = _resampled_medians(values[known], groups[known], resamples, np.random.default_rng(seed))
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_medians(
    values: NDArray[np.float64], groups: NDArray[np.generic], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Medians of `resamples` hierarchical resamples, drawn in blocks of bounded size."""
    _, of, counts = np.unique(groups, return_inverse=True, return_counts=True)
    values = values[np.argsort(of, kind="stable")]
    starts = np.cumsum(counts) - counts
    block = max(1, _BLOCK // (counts.size * counts.max()))
    sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
    return np.concatenate([_draw(values, starts, counts, size, rng) for size in sizes])


def _draw(
    values: NDArray[np.float64],
    starts: NDArray[np.intp],
    counts: NDArray[np.intp],
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Medians of `size` resamples; instances with fewer cells are padded with NaN, which sorts last."""
    chosen = rng.integers(0, counts.size, (size, counts.size))
    held = counts[chosen][..., None]
    within = np.floor(rng.random((size, counts.size, counts.max())) * held).astype(np.intp)
    drawn = values[starts[chosen][..., None] + within]
    drawn[np.arange(counts.max()) >= held] = np.nan
    drawn = np.sort(drawn.reshape(size, -1), axis=1)
    valid = held.sum(axis=(1, 2))[:, None]
    middle = np.take_along_axis(drawn, np.hstack([(valid - 1) // 2, valid // 2]), axis=1)
    return np.asarray(middle.mean(axis=1), dtype=np.float64)
