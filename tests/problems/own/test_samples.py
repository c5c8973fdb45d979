"""Samples are taken as the caller has them, copied, and no batch more than is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qubopress.problems import InputError
from qubopress.problems.layers.samples import Samples
from qubopress.problems.own.batches import form_of
from qubopress.problems.own.samples import Taken, inputs_of, take, targets_of

X, Y = torch.arange(24.0).reshape(8, 3), torch.arange(8)


class Tokens(nn.Module):
    def forward(self, ids: Any, mask: Any = None, labels: Any = None, scale: float = 1.0) -> Any: ...


def taken(
    data: Any, samples: int = 100, *, dtype: torch.dtype = torch.float32, raw: bool = False
) -> list[Taken]:
    return list(take(data, samples, form_of(Tokens()), dtype=dtype, raw=raw))


def endless(batch: Any, asked: list[int]) -> Iterator[Any]:
    while True:
        asked.append(len(asked))
        yield batch


@pytest.mark.parametrize(("samples", "batches"), [(1, 1), (8, 1), (9, 2), (20, 3)])
def test_a_loader_is_asked_for_no_more_batches_than_are_taken(samples: int, batches: int) -> None:
    asked: list[int] = []
    found = taken(endless((X, Y), asked), samples)
    assert len(asked) == len(found) == batches
    assert sum(one.batch.size for one in found) == samples


def test_batches_of_one_shape_are_one_tensor() -> None:
    found = taken([(X[:3], Y[:3]), (X[3:], Y[3:])], 7)
    assert torch.equal(inputs_of(found, None), X[:7])
    assert torch.equal(targets_of(found), Y[:7])


@pytest.mark.parametrize(
    "data",
    [
        [{"ids": X, "mask": Y}, {"ids": X[:2], "mask": Y[:2]}],
        [X, X[:2, :2]],
        [(X, Y), (X[:2, :2], Y[:2])],
    ],
)
def test_others_stay_batches_as_they_are_and_unpadded(data: list[Any]) -> None:
    found = inputs_of(taken(data), None)
    assert isinstance(found, Samples)
    assert [batch.size for batch in found.batches] == [8, 2]
    for batch, given in zip(found.batches, data, strict=True):
        wanted = given["ids"] if isinstance(given, dict) else given[0] if isinstance(given, tuple) else given
        got = batch.kwargs["ids"] if isinstance(given, dict) else batch.args[0]
        assert torch.equal(got, wanted)


def test_targets_of_unlike_lengths_stay_batches() -> None:
    found = targets_of(taken([(X, X[:, :2]), (X[:2], X[:2])]))
    assert isinstance(found, Samples)
    assert [batch.args[0].shape for batch in found.batches] == [(8, 2), (2, 3)]


def test_one_batch_without_targets_leaves_all_without() -> None:
    assert targets_of(taken([{"ids": X, "labels": Y}, {"ids": X}])) is None


def test_nothing_of_the_callers_is_shared_or_changed() -> None:
    batch = {"ids": X.clone(), "labels": Y.clone(), "scale": 2.0}
    before = {name: one.clone() if isinstance(one, Tensor) else one for name, one in batch.items()}
    (found,) = taken([batch], raw=True)
    for part in (found.batch.kwargs, found.raw.raw):
        part["ids"].zero_()
    assert list(batch) == list(before)
    assert torch.equal(batch["ids"], before["ids"])
    assert found.batch.kwargs["scale"] == 2.0


def test_real_arrays_get_the_networks_type_and_others_keep_theirs() -> None:
    batch = {"ids": Y.int(), "mask": np.ones((8, 2)), "labels": X.double()}
    (found,) = taken([batch], dtype=torch.bfloat16)
    kinds = {name: one.dtype for name, one in found.batch.kwargs.items()}
    assert kinds == {"ids": torch.int32, "mask": torch.bfloat16, "labels": torch.bfloat16}
    assert found.targets is not None
    assert found.targets.dtype == torch.bfloat16


def test_a_batch_as_it_was_passed_keeps_words_beside_its_first_samples() -> None:
    batch = {"ids": X, "text": list("abcdefgh")}
    form = form_of(Tokens(), lambda network, given: given)
    (found,) = take([batch], 3, form, dtype=torch.float32, raw=True)
    assert found.raw.raw["text"] == ["a", "b", "c"]
    assert found.batch[1:].raw["text"] == ["b", "c"]
    assert found.batch[1:].raw["ids"].shape == (2, 3)


def test_only_masks_may_hold_infinity() -> None:
    wall = torch.full((8, 3), -torch.inf)
    assert len(taken([{"ids": X, "mask": wall}])) == 1
    with pytest.raises(InputError, match="data must be finite, got NaN or infinity in the ids; clean them"):
        taken([{"ids": wall}])
    with pytest.raises(InputError, match="got NaN or infinity in the mask"):
        taken([{"ids": X, "mask": wall * 0}])


def test_targets_must_be_as_many_as_inputs() -> None:
    with pytest.raises(
        InputError, match="as many targets as inputs, got 8 and 3; of batches of x alone pass"
    ):
        taken((X, Y[:3]))


def test_batches_of_our_own_pass_as_they_are_beside_targets() -> None:
    samples = inputs_of(taken([{"ids": X}, {"ids": X[:2]}]), None)
    found = taken((samples, torch.arange(10)))
    assert torch.equal(targets_of(found), torch.arange(10))
    assert [one.batch.size for one in found] == [8, 2]
    assert [one.batch.size for one in taken(samples)] == [8, 2]
