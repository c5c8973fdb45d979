"""Criteria add up over batches, are chosen by the targets, and refuse targets that do not fit."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from qubopress.problems import InputError
from qubopress.problems.tasks.training_losses import criterion_of, summed_cross_entropy, summed_squared_error

GENERATOR = torch.Generator().manual_seed(0)
LOGITS, CLASSES = torch.randn(7, 3, generator=GENERATOR), torch.tensor([0, 1, 2, 0, 1, 2, 0])
IMAGES, WANTED = (torch.randn(7, 3, 4, 5, generator=GENERATOR) for _ in range(2))


@pytest.mark.parametrize(
    ("criterion", "outputs", "targets", "mean"),
    [
        (summed_cross_entropy, LOGITS, CLASSES, functional.cross_entropy(LOGITS, CLASSES)),
        (summed_squared_error, IMAGES, WANTED, functional.mse_loss(IMAGES, WANTED)),
        (summed_squared_error, LOGITS[:, 0], WANTED[:, 0, 0, 0], None),
    ],
)
def test_batches_add_up_to_the_number_of_samples_times_the_mean(criterion, outputs, targets, mean) -> None:
    whole = criterion(outputs, targets)
    assert float(criterion(outputs[:2], targets[:2]) + criterion(outputs[2:], targets[2:])) == pytest.approx(
        float(whole)
    )
    expected = ((outputs - targets) ** 2).mean() if mean is None else mean
    assert float(whole) == pytest.approx(7 * float(expected))


def test_the_targets_choose() -> None:
    assert criterion_of(CLASSES) is summed_cross_entropy
    assert criterion_of(WANTED) is summed_squared_error


def test_gradients_flow_whatever_the_type_of_the_targets() -> None:
    outputs = IMAGES.clone().requires_grad_()
    summed_squared_error(outputs, WANTED.double()).backward()
    assert outputs.grad is not None
    torch.testing.assert_close(outputs.grad, 2 * (IMAGES - WANTED) / 60)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (LOGITS, CLASSES + 1),
        (LOGITS, CLASSES - 1),
        (LOGITS, CLASSES.float()),
        (LOGITS, CLASSES[:6]),
        (IMAGES, CLASSES),
        (LOGITS[:, 0], CLASSES),
    ],
)
def test_targets_that_are_no_classes_are_refused(outputs, targets) -> None:
    with pytest.raises(
        InputError, match=r"targets must be classes \(N,\) of outputs \(N, classes\), got out"
    ):
        summed_cross_entropy(outputs, targets)


def test_targets_that_torch_would_stretch_are_refused() -> None:
    with pytest.raises(InputError, match=r"the shape of the outputs, \(7, 3, 4, 5\), got \(7, 3, 1, 1\)"):
        summed_squared_error(IMAGES, IMAGES[..., :1, :1])
