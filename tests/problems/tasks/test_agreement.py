"""How far two networks agree: 1 where they are the same, less the more they differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import mlp, one_thread
from torch import nn

from qubopress.problems.datasets.dataset import Dataset
from qubopress.problems.layers.samples import forward
from qubopress.problems.tasks import agreement

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

METRICS = [
    agreement.mean_cosine,
    agreement.rank_correlation,
    agreement.neighbours_kept,
    agreement.same_class,
]

each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)


def held_to(module: nn.Module) -> Dataset:
    """Forty samples whose targets are the outputs of a module."""
    inputs = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    outputs = agreement.outputs_for(module, inputs).numpy()
    return Dataset("made", inputs.numpy(), outputs, inputs.numpy(), outputs, "")


def noisy(module: nn.Module, scale: float) -> nn.Module:
    """The same module with noise on its weights, in place."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=random)
    return module


@each_metric
def test_a_network_agrees_with_itself_wholly(metric) -> None:
    module = mlp(3, 16, 5)
    assert metric(module, held_to(module)) == 1.0


@each_metric
def test_noise_on_the_weights_lowers_agreement_even_in_place(metric) -> None:
    module = mlp(3, 16, 5)
    data = held_to(module)
    found = [metric(module, data), metric(noisy(module, 0.1), data), metric(noisy(module, 2.0), data)]
    assert found[0] > max(found[1:])


@each_metric
def test_a_network_that_puts_out_no_number_agrees_in_nothing_like_itself(metric) -> None:
    module = mlp(3, 16, 5)
    data = held_to(module)
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    assert metric(module, data) < 0.6


def test_the_metrics_are_what_they_are_by_hand() -> None:
    module = nn.Identity()
    data = held_to(module)
    turned = data.test_inputs @ np.diag([1.0, 1.0, -1.0]).astype(np.float32)
    other = Dataset("made", data.train_inputs, turned, data.test_inputs, turned, "other")
    cosines = 1 - 2 * data.test_inputs[:, 2] ** 2 / (data.test_inputs**2).sum(axis=1)
    assert agreement.mean_cosine(module, other) == pytest.approx(cosines.mean(), abs=1e-6)
    # All angles are as they were, so all pairs rank as they did.
    assert agreement.rank_correlation(module, other) == pytest.approx(1.0, abs=1e-6)
    assert agreement.neighbours_kept(module, other) == 1.0
    same = data.test_inputs.argmax(axis=1) == turned.argmax(axis=1)
    assert agreement.same_class(module, other) == pytest.approx(same.mean())


def test_token_samples_hold_each_sentence_with_its_mask_and_little_padding() -> None:
    ids = torch.zeros(40, 128, dtype=torch.int64)
    for place in range(40):
        ids[place, : 3 + place] = place + 1
    samples = agreement.token_samples(ids)
    assert len(samples) == 40
    assert [batch.kwargs["input_ids"].shape for batch in samples.batches] == [(32, 34), (8, 42)]
    for batch in samples.batches:
        assert torch.equal(batch.kwargs["attention_mask"], (batch.kwargs["input_ids"] != 0).long())

    class Counting(nn.Module):
        def forward(self, input_ids, attention_mask, token_type_ids):
            return attention_mask.sum(dim=1, keepdim=True)

    assert forward(Counting(), samples).flatten().tolist() == list(range(3, 43))
