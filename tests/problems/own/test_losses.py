"""Targets choose their loss where one fits; losses add up over batches, and one place refuses the rest."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from qubopress.problems import InputError
from qubopress.problems.layers.samples import Batch, Samples
from qubopress.problems.own.losses import NO_TARGETS, drawn_by, fitting, of_batches, over_batches, required
from qubopress.problems.tasks.training_losses import summed_cross_entropy, summed_squared_error

DRAWN = torch.Generator().manual_seed(0)


def normal(*shape: int) -> Tensor:
    return 3 * torch.randn(*shape, generator=DRAWN)


def whole(high: int, *shape: int) -> Tensor:
    return torch.randint(0, high, shape, generator=DRAWN)


BITS, LABELS = torch.tensor([0, 1, 1, 0, 1, 0]), whole(2, 6, 4)
LABELS[0] = torch.tensor([1, 1, 0, 0])
HOT = functional.one_hot(whole(4, 6), 4)
PADDED = whole(5, 6, 7)
PADDED[:, 5:] = -100
BINARY = functional.binary_cross_entropy_with_logits


@pytest.mark.parametrize(
    ("outputs", "targets", "mean"),
    [
        (normal(6, 1), BITS, lambda o, t: BINARY(o[:, 0], t.float())),
        (normal(6), BITS, lambda o, t: BINARY(o, t.float())),
        (normal(6, 1), BITS[:, None].float(), lambda o, t: BINARY(o, t)),
        (normal(6, 1), BITS.float(), lambda o, t: BINARY(o[:, 0], t)),
        (normal(6, 4), LABELS, lambda o, t: BINARY(o, t.float())),
        (normal(6, 4), LABELS.float(), lambda o, t: BINARY(o, t)),
        (normal(6, 4), HOT, lambda o, t: functional.cross_entropy(o, t.float())),
        (normal(6, 4), HOT.float(), functional.cross_entropy),
        (normal(6, 1, 3, 2), whole(2, 6, 3, 2), lambda o, t: BINARY(o[:, 0], t.float())),
        (normal(6, 5, 3, 2), whole(5, 6, 3, 2), functional.cross_entropy),
        (normal(6, 7, 5), whole(5, 6, 7), lambda o, t: functional.cross_entropy(o.mT, t)),
        (normal(6, 5, 7), whole(5, 6, 7), functional.cross_entropy),
        (normal(6, 7, 5), PADDED, lambda o, t: functional.cross_entropy(o.mT, t)),
        (normal(6, 1), normal(6), lambda o, t: functional.mse_loss(o[:, 0], t)),
        (normal(6), normal(6, 1), lambda o, t: functional.mse_loss(o, t[:, 0])),
    ],
)
def test_a_loss_is_torchs_mean_and_adds_up_over_batches(outputs, targets, mean) -> None:
    criterion = fitting(outputs, targets)
    expected = float(mean(outputs, targets))
    assert float(criterion(outputs, targets)) == pytest.approx(len(outputs) * expected, rel=1e-5)
    parts = [criterion(outputs[:4], targets[:4]), criterion(outputs[4:], targets[4:])]
    assert float(sum(parts)) == pytest.approx(len(outputs) * expected, rel=1e-5)


@pytest.mark.parametrize(
    ("outputs", "targets", "criterion"),
    [
        (normal(6, 4), whole(4, 6), summed_cross_entropy),
        (normal(6, 4), normal(6, 4), summed_squared_error),
        (normal(6, 4), torch.zeros(6, 4), summed_squared_error),
        (normal(6, 4), normal(6, 3), summed_squared_error),
        (None, whole(4, 6), summed_cross_entropy),
        (None, normal(6), summed_squared_error),
    ],
)
def test_classes_and_real_outputs_keep_their_losses(outputs, targets, criterion) -> None:
    assert fitting(outputs, targets) is criterion


@pytest.mark.parametrize(
    ("outputs", "targets", "why"),
    [
        (normal(6, 1), whole(9, 6), "counts or orders"),
        (normal(6, 4), whole(9, 6, 4), "counts or orders"),
        (normal(6, 4).sigmoid(), LABELS, r"where outputs lie in \[0, 1\] and are no logits"),
        (normal(6, 4).softmax(1), HOT, "are no logits"),
        (normal(6, 5, 5), whole(5, 6, 5), "in which no axis, or two, hold the classes"),
        (normal(6, 4), whole(4, 6, 3), "in which no axis, or two, hold the classes"),
        (normal(6, 5, 7), whole(5, 6, 7) + 9, "of which some are no class of 5"),
        (normal(6, 5, 7), whole(5, 6, 7) - 1, "of which some are no class of 5"),
    ],
)
def test_targets_that_ask_for_two_losses_or_none_are_refused_when_asked(outputs, targets, why) -> None:
    criterion = fitting(outputs, targets)
    with pytest.raises(InputError, match=f"{why}; pass criterion=") as caught:
        criterion(outputs, targets)
    assert "\n" not in str(caught.value)


def test_inputs_alone_are_refused_before_any_work() -> None:
    message = "data must hold targets where a loss is asked for, got inputs alone; pass .x, y. or criterion="
    with pytest.raises(InputError, match=message):
        required(NO_TARGETS)
    with pytest.raises(InputError, match=message):
        over_batches(NO_TARGETS)(normal(6, 1), Samples([]))
    assert required(summed_cross_entropy) is None


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (normal(600, 1), whole(2, 600)),
        (normal(600, 3), functional.one_hot(whole(3, 600), 3)),
        (normal(600, 3), whole(2, 600, 3)),
        (normal(600, 3, 4), whole(3, 600, 4)),
    ],
)
def test_targets_that_are_drawn_are_as_likely_as_the_outputs_say(outputs, targets) -> None:
    criterion = fitting(outputs, targets)
    draw = drawn_by(criterion)
    assert draw is not None
    drawn = draw(outputs, targets, torch.Generator().manual_seed(1))
    slope = torch.autograd.functional.jacobian(lambda o: criterion(o, drawn), outputs)
    # At targets drawn by the outputs the expected slope is zero.
    assert float(slope.mean(dim=0).abs().max()) < 0.06
    assert drawn_by(summed_cross_entropy) is None


def test_padding_is_never_drawn() -> None:
    outputs = normal(6, 7, 5)
    draw = drawn_by(fitting(outputs, PADDED))
    assert draw is not None
    drawn = draw(outputs, PADDED, torch.Generator().manual_seed(1))
    assert torch.equal(drawn == -100, PADDED == -100)


def test_a_sample_of_padding_alone_adds_nothing() -> None:
    outputs, targets = normal(2, 7, 5), torch.full((2, 7), -100)
    targets[1] = 3
    alone = fitting(outputs, targets)(outputs[:1], targets[:1])
    assert float(alone) == 0.0
    assert float(summed_cross_entropy(normal(2, 5), torch.tensor([-100, -100]))) == 0.0


def test_targets_of_unlike_lengths_stand_in_batches() -> None:
    first, second = whole(5, 2, 3), whole(5, 1, 7)
    criterion = over_batches(fitting(normal(2, 3, 5), first))
    targets = Samples([Batch((one,), {}, len(one)) for one in (first, second)])
    outputs = normal(1, 7, 5)
    assert float(criterion(outputs, targets[2:])) == pytest.approx(
        float(functional.cross_entropy(outputs.mT, second)), rel=1e-5
    )


def test_a_criterion_of_ones_own_is_a_mean_that_is_added_up() -> None:
    batches = [Batch((), {}, size, {"y": whole(3, size)}) for size in (4, 2)]
    seen = []

    def own(outputs: Tensor, batch: dict[str, Tensor]) -> Tensor:
        seen.append(outputs.dtype)
        return functional.cross_entropy(outputs, batch["y"])

    outputs = normal(6, 3)
    found = of_batches(own, torch.float32)(outputs.double(), Samples(batches))
    classes = torch.cat([batch.raw["y"] for batch in batches])
    assert float(found) == pytest.approx(float(summed_cross_entropy(outputs, classes)), rel=1e-5)
    assert seen == [torch.float32] * 2


@pytest.mark.parametrize(("loss", "got"), [(normal(6), r"shape \(6,\)"), (1.0, "float"), (None, "NoneType")])
def test_a_criterion_that_returns_no_mean_is_told_so(loss, got) -> None:
    criterion = of_batches(lambda outputs, batch: loss, torch.float32)
    with pytest.raises(InputError, match=f"criterion must return the mean loss .* one number, got {got}"):
        criterion(normal(6, 1), Samples([Batch((), {}, 6, None)]))
