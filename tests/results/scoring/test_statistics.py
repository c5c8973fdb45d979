from __future__ import annotations

import itertools

import numpy as np
import pytest

from qubopress.results.scoring.statistics import holm, mean_interval, median_interval


def test_an_interval_is_the_same_every_time_and_holds_the_median() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=60), np.repeat(np.arange(20), 3)
    low, high = median_interval(values, groups)
    assert (low, high) == median_interval(values, groups)
    assert (low, high) != median_interval(values, groups, seed=1)
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
        low, high = median_interval(values, groups, resamples=300)
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


def test_the_bootstrap_of_few_cells_is_the_enumeration_of_all_resamples() -> None:
    values = {0: [1.0, 4.0], 1: [2.0]}
    medians = []
    for chosen in itertools.product([0, 1], repeat=2):  # as likely as one another, so 16 medians each
        options = [list(itertools.product(values[i], repeat=len(values[i]))) * (1 + 3 * i) for i in chosen]
        medians += [np.median([*a, *b]) for a, b in itertools.product(*options)]
    expected = np.quantile(medians, [0.25, 0.75])
    interval = median_interval([1.0, 4.0, 2.0], [0, 0, 1], level=0.5, resamples=20_000)
    assert interval == pytest.approx(expected)


def test_holms_correction_is_stepped_down_and_never_above_1() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []
