from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from qubopress.results.scoring.statistics import holm, mean_interval, median_interval


def test_an_interval_is_the_same_every_time_and_holds_the_median() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=60), np.repeat(np.arange(20), 3)
    low, high = median_interval(values, groups)
    assert (low, high) == median_interval(values, groups)
    assert low < np.median(values) < high


def test_alike_seeds_do_not_make_an_interval_narrow() -> None:
    rng = np.random.default_rng(1)
    instances = rng.normal(size=12)
    values, groups = np.repeat(instances, 50), np.repeat(np.arange(12), 50)
    low, high = median_interval(values, groups)
    naive_low, naive_high = median_interval(values, np.arange(600))
    assert high - low > 1.5 * (naive_high - naive_low)


def test_an_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(25), 2)
    hits = 0
    for _ in range(100):
        values = np.repeat(rng.normal(size=25), 2) + 0.1 * rng.normal(size=50)
        low, high = median_interval(values, groups)
        hits += low <= 0.0 <= high
    assert 85 <= hits <= 100


def test_the_interval_of_a_mean_agrees_with_its_standard_error() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=200)
    low, high = mean_interval(values, np.arange(200), resamples=10_000)
    half = 1.96 * values.std() / np.sqrt(200)
    assert [low, high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.01)


def test_the_interval_of_a_mean_resamples_seeds_within_instances() -> None:
    values, groups = [0.0, 0.0, 0.0, 3.0], ["a", "a", "a", "b"]  # draws aa, ab, ba, bb
    low, high = mean_interval(values, groups, level=0.4, resamples=20_000)
    assert (low, high) == (0.75, 0.75)
    assert np.isnan(mean_interval([1.0], ["a"])).all()


def test_one_cell_says_nothing_of_an_interval() -> None:
    assert np.isnan(median_interval([1.0], ["a"])).all()
    assert np.isnan(median_interval([1.0, np.nan], ["a", "b"])).all()
    assert np.isnan(median_interval([], [])).all()


def test_instances_may_have_different_numbers_of_seeds() -> None:
    low, high = median_interval([1.0, 1.0, 1.0, 5.0], ["a", "a", "a", "b"])
    assert (low, high) == (1.0, 5.0)
    assert median_interval([3.0, 3.0, 3.0], ["a", "a", "b"]) == (3.0, 3.0)


def resamples(values: list[list[float]]) -> list[tuple[list[float], float]]:
    """Every resample of the values by instance, with its probability."""
    found = []
    for chosen in itertools.product(values, repeat=len(values)):
        drawn = [list(itertools.product(own, repeat=len(own))) for own in chosen]
        weight = 1.0 / (len(values) ** len(values) * np.prod([len(one) for one in drawn]))
        found += [([*itertools.chain(*cells)], float(weight)) for cells in itertools.product(*drawn)]
    return found


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    "values", [[[1.0, 4.0], [2.0]], [[1.0, 4.0, 3.0]], [[3.0], [1.0], [2.0, 2.0]], [[5.0, 1.0], [2.0, 3.0]]]
)
def test_the_bootstrap_of_few_cells_is_the_enumeration_of_all_resamples(
    values: list[list[float]], level: float
) -> None:
    chances = Counter[float]()
    for cells, weight in resamples(values):
        for middle in ((len(cells) - 1) // 2, len(cells) // 2):
            chances[sorted(cells)[middle]] += weight / 2

    def quantile(share: float) -> float:
        reached = itertools.accumulate(
            sorted(chances.items()), lambda so_far, one: (one[0], so_far[1] + one[1])
        )
        return next(value for value, total in reached if total >= share - 1e-12)

    expected = quantile((1 - level) / 2), quantile((1 + level) / 2)
    groups = [place for place, own in enumerate(values) for _ in own]
    assert median_interval([*itertools.chain(*values)], groups, level=level) == expected


def test_the_interval_of_many_cells_is_that_of_many_resamples() -> None:
    rng = np.random.default_rng(4)
    counts = rng.integers(1, 6, 60)
    values = [list(rng.normal(rng.normal(), 0.5, count)) for count in counts]
    medians = []
    for _ in range(4_000):
        chosen = (values[place] for place in rng.integers(0, 60, 60))
        medians.append(np.median(np.concatenate([rng.choice(own, len(own)) for own in chosen])))
    interval = median_interval([*itertools.chain(*values)], np.repeat(np.arange(60), counts))
    assert interval == pytest.approx(np.quantile(medians, [0.025, 0.975]), abs=0.05)


def test_one_instance_of_many_seeds_among_many_of_one_takes_no_memory() -> None:
    values = np.random.default_rng(5).normal(size=4_000)
    low, high = median_interval(values, np.minimum(np.arange(4_000), 2_000))
    assert -0.2 < low < high < 0.2


def test_holms_correction_is_stepped_down_and_never_above_1() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []
