"""Fitting renews the samples of a denoiser and leaves those of a classifier as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from qubopress.problems.datasets import dataset
from qubopress.problems.tasks import fitting, training


def test_photographs_lie_another_way_under_other_noise_each_epoch() -> None:
    clean = torch.tensor(dataset.load_dataset("photographs").train_targets[:2])
    noisy = torch.tensor(dataset.load_dataset("photographs").train_inputs[:2])
    renew = fitting.renewal("photographs")
    made = [renew(epoch, (noisy, clean)) for epoch in range(9)]
    assert torch.equal(made[0][0], noisy)
    assert len({y.numpy().tobytes() for _, y in made}) == 8
    assert torch.equal(made[8][1], clean)
    assert not torch.equal(made[8][0], noisy)
    # An image and its noise lie the same way.
    assert all(torch.corrcoef(torch.stack([x.ravel(), y.ravel()]))[0, 1] > 0.8 for x, y in made)


@pytest.mark.parametrize(("name", "renews"), [("digits-mlp", False), ("photographs-denoiser-small", True)])
def test_only_denoisers_get_other_samples_each_epoch(
    monkeypatch: pytest.MonkeyPatch, name: str, renews: bool
) -> None:
    told: list[bool] = []

    def fit(*_: Any, renew: Callable[..., Any] | None) -> Iterator[float]:
        told.append(renew is not None)
        return iter([0.0])

    monkeypatch.setattr(fitting, "fit", fit)
    training.train(name, epochs=1)
    assert told == [renews]
