"""Sums are the plain products in float64, in whatever place they lie, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from tiny import Attention, cnn, drawn, keywords, mlp, one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems import InputError
from qubopress.problems.layers import sums
from qubopress.problems.layers.grams import sums_of
from qubopress.problems.layers.sums import Room, Sums
from qubopress.problems.layers.uses import uses_of

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

PLACES = [pytest.param(2**30, id="in memory"), pytest.param(0, id="in files")]


def samples(*shape: int) -> Tensor:
    return torch.tensor(1 + np.random.default_rng(0).standard_normal(shape), dtype=torch.float32)


def product(x: Tensor) -> np.ndarray:
    """Means of x̃ x̃ᵀ over rows x (groups, rows, f), as numpy multiplies."""
    rows = np.concatenate([x.double().numpy(), np.ones((*x.shape[:2], 1))], axis=2)
    return rows.transpose(0, 2, 1) @ rows / x.shape[1]


def patches(conv: nn.Conv2d, x: Tensor) -> Tensor:
    apart = functional.unfold(x, conv.kernel_size, padding=conv.padding, stride=conv.stride)
    apart = apart.reshape(len(x), conv.groups, -1, apart.shape[2])
    return apart.permute(1, 0, 3, 2).reshape(conv.groups, -1, apart.shape[2])


def assert_product(gram: np.ndarray, x: Tensor) -> None:
    size = np.sqrt(np.einsum("gii,gjj->gij", gram, gram))
    assert np.abs(gram - product(x)).max() <= 1e-12 * size.max()
    np.testing.assert_array_equal(gram, gram.transpose(0, 2, 1))


@pytest.mark.parametrize("memory", PLACES)
@pytest.mark.parametrize("rows", [1, 3, 511, 512, 1100])
@pytest.mark.parametrize(("groups", "f"), [(1, 1), (1, 200), (3, 4), (2, 120)])
def test_sums_are_the_plain_product_and_symmetric_to_the_bit(groups, f, rows, memory) -> None:
    x, total = samples(groups, rows, f), Sums(Room(memory))
    for part in x.split(700, dim=1):
        total.add(part)
    assert_product(total.mean(), x)
    assert (total.rows, total.low, total.high) == (rows, float(x.min()), float(x.max()))


def test_rows_at_places_count_alone_once_they_have_passed_a_function() -> None:
    x, total = samples(1, 1500, 5), Sums()
    total.add(x, places=torch.arange(0, 1500, 2), through=torch.relu)
    assert_product(total.mean(), torch.relu(x[:, ::2]))
    assert total.rows == 750


@pytest.mark.parametrize("batched", [sums.BATCHED, 1])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, 3, groups=2, stride=2),
        nn.Conv2d(64, 4, 2, groups=2, padding=1),
    ],
    ids=["one group", "groups", "wide groups"],
)
def test_sums_of_a_convolution_are_those_of_its_patches(conv, batched, monkeypatch) -> None:
    monkeypatch.setattr(sums, "BATCHED", batched)
    x = samples(9, conv.in_channels, 7, 7)
    network = nn.Sequential(conv)
    gram = sums_of(network, x, uses_of(network, x).matrices)["0"].mean()
    assert_product(gram, patches(conv, x))


def test_attention_is_summed_over_the_tokens_that_count() -> None:
    network, x = drawn(lambda: Attention(batch_first=True)), samples(6, 5, 16)
    padded = torch.zeros(6, 5, dtype=torch.bool)
    padded[1:4, 2:] = True
    inputs = keywords(3, x=x, key_padding_mask=padded)
    found = sums_of(network, inputs, uses_of(network, inputs).matrices)
    assert_product(found["attention.in_proj_weight"].mean(), x[~padded][None])


class Chosen(nn.Module):
    """Its last layer sees the samples that begin above 1, in many a batch none."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x[x[:, 0] > 1]).sum() + self.first(x)


def test_batches_of_which_nothing_reaches_a_layer_add_nothing() -> None:
    network, x = drawn(Chosen), samples(40, 3)
    inputs = keywords(1, x=x)
    found = sums_of(network, inputs, uses_of(network, inputs).matrices)
    assert_product(found["last"].mean(), x[x[:, 0] > 1][None])
    nothing = keywords(1, x=x[x[:, 0] < 1])
    assert sums_of(network, nothing, uses_of(network, inputs).matrices)["last"].rows == 0


@pytest.mark.parametrize(("network", "x"), [(mlp(30, 9, 3), samples(600, 30)), (cnn(), samples(20, 1, 4, 4))])
def test_sums_in_files_are_those_in_memory_to_the_bit(network, x) -> None:
    uses = uses_of(network, x).matrices
    inside, outside = (sums_of(network, x, uses, room=Room(memory)) for memory in (2**30, 0))
    for name, one in inside.items():
        np.testing.assert_array_equal(one.mean(), outside[name].mean())


def maps() -> int:
    """Temporary files of ours that this process holds."""
    return Path("/proc/self/maps").read_text().count("(deleted)")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells of maps")
def test_files_are_gone_with_their_sums_also_after_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    network, x = mlp(30, 9, 3), samples(40, 30)
    uses, before = uses_of(network, x).matrices, maps()
    found = sums_of(network, x, uses, room=Room(0))
    assert maps() == before + 2
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="the network must run on the calibration data"):
        sums_of(network, samples(40, 31), uses, room=Room(0))
    found.clear()
    assert maps() == before
    assert not list(tmp_path.iterdir())


def test_means_that_are_laid_by_are_the_same_and_give_their_memory_back() -> None:
    room, x = Room(2**20), samples(1, 30, 9)
    one, other = Sums(room), Sums(room)
    for each in (one, other):
        each.add(x)
    np.testing.assert_array_equal(one.laid_by(), other.mean())
    assert one.laid_by() is one.mean()
    assert room.left == 2**20 - other.size


def test_memory_that_is_free_again_is_given_out_again() -> None:
    room = Room(8 * 100)
    first = room.zeros(1, 10, 10)
    assert first.file is None
    assert room.zeros(1, 2, 2).file is not None
    del first
    assert room.zeros(1, 10, 10).file is None


def test_a_full_disk_is_told_of_in_one_line(monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"must have room for 32 bytes more .* got No space left .* TMPDIR"):
        Room(0).zeros(1, 2, 2)


def test_blas_has_no_more_threads_than_torch() -> None:
    seen: list[int] = []

    class Asks(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
            return super().forward(x)

    network, x = nn.Sequential(Asks(3, 2)), samples(4, 3)
    uses = uses_of(network, x).matrices
    seen.clear()
    with threadpool_limits(2, "blas"):
        sums_of(network, x, uses)
        after = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    assert set(seen) == {1}
    assert set(after) == {2}
