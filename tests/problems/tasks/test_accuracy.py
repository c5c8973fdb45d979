"""Test accuracy of a classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qubopress.problems.errors import InputError
from qubopress.problems.tasks import accuracy


def test_accuracy_counts_what_is_right() -> None:
    outputs = np.eye(4, dtype=np.float32)
    targets = np.array([0, 1, 2, 0])
    assert accuracy.accuracy(nn.Identity(), outputs, targets) == 0.75
    assert accuracy.accuracy(nn.Identity(), torch.tensor(outputs), torch.tensor(targets), batch=3) == 0.75


def test_accuracy_judges_in_eval_mode_and_restores_every_mode() -> None:
    module = nn.Sequential(nn.Dropout(1.0), nn.BatchNorm1d(4).eval())
    outputs = np.eye(4, dtype=np.float32)
    assert accuracy.accuracy(module, outputs, np.arange(4)) == 1.0
    assert [part.training for part in module.modules()] == [True, True, False]


def test_accuracy_refuses_unequal_or_no_samples() -> None:
    with pytest.raises(InputError, match="got 3 and 2; pass one target a sample"):
        accuracy.accuracy(nn.Identity(), np.eye(3), np.arange(2))
    with pytest.raises(InputError, match="got 0 and 0"):
        accuracy.accuracy(nn.Identity(), np.empty((0, 3)), np.arange(0))
