"""The data sets are what they were, and calibration draws training samples alone."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress.problems.datasets import dataset as data
from qubopress.problems.datasets import published
from qubopress.problems.errors import InputError
from qubopress.problems.networks import zoo

# ---- The data sets themselves


def fashion_mnist() -> data.Dataset:
    if published.FASHION_MNIST.find() is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    return data.load_dataset("fashion-mnist")


def test_digits_are_split_as_ever() -> None:
    digits = data.load_dataset("digits")
    assert digits.train_inputs.shape == (1297, 1, 8, 8)
    assert digits.test_inputs.shape == (500, 1, 8, 8)
    assert digits.checksum == "9893662449ea791a65185e1e7c9aca1e7836b608ebbf4e96fc7a52f9f51fc583"


def test_each_class_of_the_digits_has_its_share_of_the_test_split() -> None:
    digits = data.load_dataset("digits")
    tests = np.bincount(digits.test_targets)
    share = (np.bincount(digits.train_targets) + tests) * 500 / 1797
    assert np.all(np.abs(tests - share) < 1)


def test_no_test_digit_is_also_a_training_digit() -> None:
    digits = data.load_dataset("digits")
    train = {image.tobytes() for image in digits.train_inputs}
    assert train.isdisjoint(image.tobytes() for image in digits.test_inputs)


def test_fashion_mnist_is_the_published_one() -> None:
    fashion = fashion_mnist()
    assert fashion.train_inputs.shape == (60000, 1, 28, 28)
    assert fashion.test_inputs.shape == (10000, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(fashion.train_targets), [6000] * 10)
    assert fashion.checksum == "eee656c63c1c7a3b7c885d28c97fd74dc039264ce75eae7cb8d991df379ef736"


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_arrays_are_scaled_contiguous_and_frozen(name: str) -> None:
    dataset = data.load_dataset(name) if name == "digits" else fashion_mnist()
    for inputs in (dataset.train_inputs, dataset.test_inputs):
        assert inputs.dtype == np.float32
        assert (inputs.min(), inputs.max()) == (0, 1)
        assert inputs.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            inputs[0] = 0
    for targets in (dataset.train_targets, dataset.test_targets):
        assert targets.dtype == np.int64
        assert set(targets) == set(range(10))
        with pytest.raises(ValueError, match="read-only"):
            targets[0] = 0


def test_the_checksum_tells_every_array_apart() -> None:
    arrays = [np.arange(4, dtype=np.uint8).reshape(1, 2, 2), np.arange(1, dtype=np.uint8)] * 2
    sums = {data._checksum(arrays)}
    for position in range(4):
        changed = [array + (where == position) for where, array in enumerate(arrays)]
        sums.add(data._checksum([array.astype(np.uint8) for array in changed]))
    sums.add(data._checksum([arrays[0].reshape(1, 1, 4), *arrays[1:]]))
    assert len(sums) == 6


def test_a_data_set_is_loaded_once() -> None:
    assert data.load_dataset("digits") is data.load_dataset("digits")


def test_every_data_set_says_what_it_is_and_where_it_comes_from() -> None:
    for name, origin in data.DATASETS.items():
        assert len(origin.what) > 20, name
        assert origin.source, name


def test_every_network_is_trained_on_a_data_set_that_there_is() -> None:
    assert {spec.dataset for spec in zoo.NETWORKS.values()} == set(data.DATASETS)


def test_an_unknown_name_gets_the_closest_or_all() -> None:
    assert data.dataset_names() == [
        "cifar-10", "digits", "emnist-balanced", "fashion-mnist", "mnist", "more-photographs",
        "photograph-crops", "photographs", "sentences", "sidd",
    ]  # fmt: skip
    with pytest.raises(InputError, match="no data set named 'digit'; did you mean 'digits'"):
        data.load_dataset("digit")
    with pytest.raises(
        InputError, match="choose from cifar-10, digits, emnist-balanced, fashion-mnist, mnist"
    ):
        data.load_dataset("zzz")


# ---- Calibration


def test_a_calibration_draw_holds_distinct_training_samples() -> None:
    digits = data.load_dataset("digits")
    inputs, targets, indices = data.calibration_draw(digits, 200, seed=3)
    assert inputs.shape == (200, 1, 8, 8)
    assert len(set(indices)) == 200
    np.testing.assert_array_equal(inputs, digits.train_inputs[indices])
    np.testing.assert_array_equal(targets, digits.train_targets[indices])


def test_a_calibration_draw_holds_no_test_sample() -> None:
    digits = data.load_dataset("digits")
    inputs, _, _ = data.calibration_draw(digits, len(digits.train_targets), seed=0)
    assert {x.tobytes() for x in inputs}.isdisjoint(x.tobytes() for x in digits.test_inputs)


def test_a_calibration_draw_depends_on_its_seed_alone() -> None:
    digits = data.load_dataset("digits")
    first = data.calibration_draw(digits, 50, seed=1)[2]
    np.random.default_rng(0).random(10)
    np.testing.assert_array_equal(data.calibration_draw(digits, 50, seed=1)[2], first)
    assert not np.array_equal(data.calibration_draw(digits, 50, seed=2)[2], first)


def test_a_smaller_calibration_draw_begins_a_larger_one() -> None:
    digits = data.load_dataset("digits")
    small, large = (data.calibration_draw(digits, count, seed=1)[2] for count in (50, 100))
    np.testing.assert_array_equal(large[:50], small)


def test_a_calibration_draw_refuses_counts_and_seeds_out_of_range() -> None:
    digits = data.load_dataset("digits")
    for count in (0, -1, 1298):
        with pytest.raises(InputError, match=rf"count must lie in \[1, 1297\], got {count};"):
            data.calibration_draw(digits, count, seed=0)
    with pytest.raises(InputError, match="seed must be 0 or more, got -1"):
        data.calibration_draw(digits, 5, seed=-1)
