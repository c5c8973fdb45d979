"""Data of every form become batches, no more than are asked for; what may be read in two ways is refused."""

from __future__ import annotations

import itertools
from collections import UserDict, deque, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from qubopress.problems import InputError
from qubopress.problems.own.data import as_tensor, batches

X = torch.arange(24.0).reshape(8, 3)
Y = torch.arange(8) % 2
TOKENS = torch.arange(32).reshape(8, 4)


def same(one: Any, other: Any) -> bool:
    """Whether two structures hold equal arrays."""
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict | UserDict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    return torch.equal(as_tensor(one), as_tensor(other))


class Keyed(Dataset[Any]):
    """Samples of tokens, two of one length after two of another."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> dict[str, Any]:
        self.asked.append(place)
        return {"ids": list(range(2 + place // 2)), "labels": place}


class Table:
    """What has a length and places and is no sequence, as data sets of other packages are."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> tuple[np.ndarray, int]:
        return X.numpy()[place], int(Y[place])


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Tensor]:
        return itertools.cycle(X)


class Unmeasured(Dataset[Any]):
    def __getitem__(self, place: int) -> Tensor:
        return X[place]


Named = namedtuple("Named", ["x", "y"])


@dataclass
class Held:
    x: Tensor


HELD = Held(X)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (X, [X]),
        (X.numpy(), [X]),
        (X.tolist(), [X]),
        ({"ids": TOKENS}, [{"ids": TOKENS}]),
        (UserDict(ids=TOKENS), [{"ids": TOKENS}]),
        ((X, Y), [(X, Y)]),
        ((X, X), [(X, X)]),
        (Named(X, Y), [(X, Y)]),
        (((X, X), Y), [((X, X), Y)]),
        (({"ids": TOKENS}, Y), [({"ids": TOKENS}, Y)]),
        (((X, Y), (X, Y)), [(X, Y), (X, Y)]),
        (({"ids": X}, {"ids": Y}), [{"ids": X}, {"ids": Y}]),
        ([X, Y], [(X, Y)]),
        ([X, Y.double()], [(X, Y)]),
        ([TOKENS, Y], [(TOKENS, Y)]),
        ([X.tolist(), Y.tolist()], [(X, Y)]),
        ([X, X], [X, X]),
        ([X, X[:5]], [X, X[:5]]),
        ([X, TOKENS[:, :3]], [(X, TOKENS[:, :3])]),
        ([TOKENS, TOKENS], [TOKENS, TOKENS]),
        ([TOKENS, TOKENS[:, :2]], [TOKENS, TOKENS[:, :2]]),
        ([X, X[:2, :2]], [X, X[:2, :2]]),
        ([X, X, X], [X, X, X]),
        (iter([X, Y]), [X, Y]),
        (deque([X, Y]), [X, Y]),
        ([(X,), (X,)], [(X,), (X,)]),
        (DataLoader(TensorDataset(X), 5), [[X[:5]], [X[5:]]]),
        (DataLoader(TensorDataset(X, Y), 5), [[X[:5], Y[:5]], [X[5:], Y[5:]]]),
        (TensorDataset(X, Y), [(X, Y)]),
        (TensorDataset(X), [(X,)]),
        (Table(), [(X, Y)]),
        (Unmeasured(), [X]),
    ],
)
def test_each_form_is_read_as_documented(data: Any, expected: list[Any]) -> None:
    found = list(batches(data, 100))
    assert len(found) == len(expected)
    assert all(map(same, found, expected))


def test_a_dataclass_is_one_batch() -> None:
    assert list(batches(HELD, 100)) == [HELD]


def test_samples_of_one_shape_are_put_together_and_none_is_padded() -> None:
    found = list(batches(Keyed(), 7))
    assert [one["ids"].shape for one in found] == [(2, 2), (2, 3), (2, 4), (1, 5)]
    assert [one["labels"].tolist() for one in found] == [[0, 1], [2, 3], [4, 5], [6]]


def test_a_dataset_is_asked_for_the_samples_alone() -> None:
    data = Keyed()
    assert len(list(batches(data, 3))) == 2
    assert data.asked == [0, 1, 2]
    assert len(torch.cat(list(batches(Endless(), 50)))) == 50


def test_two_arrays_that_may_be_either_are_refused_with_the_cure() -> None:
    with pytest.raises(
        InputError, match=r"got \(8, 3\) and \(8, 2\); pass the tuple \(x, y\), or \[\(x1,\), "
    ):
        batches([X, X[:, :2]], 100)


@pytest.mark.parametrize(("data", "kind"), [(5, "int"), (None, "NoneType"), (len, "builtin_function")])
def test_what_holds_no_batches_is_refused(data: Any, kind: str) -> None:
    with pytest.raises(InputError, match=rf"a pair \(x, y\) of arrays, got a {kind}"):
        batches(data, 100)


def test_sparse_tensors_are_refused_with_the_cure() -> None:
    with pytest.raises(InputError, match=r"data must be dense tensors, got torch.sparse_coo; call .to_dense"):
        as_tensor(X.to_sparse())


def test_errors_of_the_callers_own_dataset_are_not_hidden() -> None:
    class Short(Table, Dataset[Any]):
        def __getitem__(self, place: int) -> Any:
            raise IndexError("the data set's own fault")

    with pytest.raises(IndexError, match="own fault"):
        list(batches(Short(), 100))
