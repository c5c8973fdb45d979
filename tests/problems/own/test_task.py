"""A caller's data of any form make a task, the same however they are cut, and its loss is theirs."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import mlp, one_thread
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from qubopress.problems import InputError, Task, drive, get, own_task
from qubopress.problems.layers.samples import Samples, forward
from qubopress.problems.networks.weights import weights_checksum
from qubopress.problems.own.losses import NO_TARGETS
from qubopress.problems.pruning.channels import mean_loss

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

DRAWN = torch.Generator().manual_seed(0)
X, Y = torch.randn(20, 3, generator=DRAWN), torch.randint(0, 2, (20,), generator=DRAWN)
IDS = torch.randint(0, 9, (20, 4), generator=DRAWN)
MASK = (torch.arange(4) < torch.randint(1, 5, (20, 1), generator=DRAWN)).long()


@dataclass
class Output:
    hidden: Tensor
    logits: Tensor


class Reader(nn.Module):
    """Takes keywords and puts out a dataclass, as models of tokens do."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(9, 5), nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Output:
        hidden = torch.relu(self.body(self.embed(ids)))
        weight = torch.ones_like(ids) if mask is None else mask
        mean = (hidden * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        return Output(hidden, self.head(mean))


def reader() -> Reader:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Reader()


def model() -> nn.Sequential:
    return mlp(3, 4, 2)


def test_a_pair_of_tensors_is_told_by_architecture_weights_and_numbers_alone() -> None:
    task = own_task(model(), (X, Y))
    digest = hashlib.sha256(f"{task.network}\n{weights_checksum(task.network)}\n".encode())
    for tensor in (X, Y):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode() + tensor.numpy().tobytes())
    assert task.identity == digest.hexdigest()


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(1, 19), max_size=5).map(lambda found: sorted({0, *found, 20})))
def test_batches_cut_otherwise_give_the_same_task(cuts: list[int]) -> None:
    spans = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    plain = own_task(model(), [X[span] for span in spans])
    assert plain.identity == own_task(model(), X).identity
    assert torch.equal(plain.inputs, own_task(model(), X).inputs)
    named = own_task(reader(), [{"ids": IDS[s], "mask": MASK[s], "labels": Y[s]} for s in spans])
    whole = own_task(reader(), {"ids": IDS, "mask": MASK, "labels": Y})
    assert named.identity == whole.identity
    assert torch.equal(named.targets, whole.targets)
    torch.testing.assert_close(forward(named.network, named.inputs), forward(whole.network, whole.inputs))


@pytest.mark.parametrize(
    "other",
    [
        {"ids": IDS, "labels": Y},
        {"ids": IDS.int(), "mask": MASK, "labels": Y},
        {"ids": IDS, "mask": MASK.flip(0), "labels": Y},
        {"ids": IDS, "mask": MASK, "labels": 1 - Y},
        {"ids": IDS[:19], "mask": MASK[:19], "labels": Y[:19]},
    ],
)
def test_the_identity_tells_other_data_apart(other: dict[str, Tensor]) -> None:
    plain = {"ids": IDS, "mask": MASK, "labels": Y}
    assert own_task(reader(), plain).identity == own_task(reader(), plain).identity
    assert own_task(reader(), plain).identity != own_task(reader(), other).identity


def test_one_ragged_sample_in_four_is_held_out_and_batches_stay_together() -> None:
    lengths = [4, 4, 2, 4]
    data = [
        {"ids": IDS[5 * i : 5 * i + 5, :n], "labels": Y[5 * i : 5 * i + 5]} for i, n in enumerate(lengths)
    ]
    task = own_task(reader(), data)
    assert isinstance(task.inputs, Samples)
    assert [batch.size for batch in task.inputs.batches] == [4, 4, 4, 3]
    assert isinstance(task.held_inputs, Samples)
    assert [tuple(batch.kwargs["ids"].shape) for batch in task.held_inputs.batches] == [
        (1, 4),
        (1, 4),
        (1, 2),
        (2, 4),
    ]
    assert torch.equal(task.held_targets, Y[3::4])
    with torch.no_grad():
        held = forward(task.network, task.held_inputs)
        alone = [task.network(data[i // 5]["ids"][i % 5][None]).logits for i in range(3, 20, 4)]
    torch.testing.assert_close(held, torch.cat(alone))


def test_a_loader_leaves_the_global_generator_as_it_was() -> None:
    before = torch.random.get_rng_state()
    own_task(model(), DataLoader(TensorDataset(X, Y), 4, shuffle=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_that_works_in_place_leaves_the_samples_as_they_are() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2))
    task = own_task(network, (X, Y))
    forward(task.network, task.inputs)
    assert torch.equal(task.inputs, X[torch.arange(20) % 4 != 3])
    assert bool((X < 0).any())


def test_samples_of_bfloat16_networks_are_bfloat16_and_told_apart() -> None:
    task = own_task(model().bfloat16(), (X.numpy(), Y))
    assert task.inputs.dtype == torch.bfloat16
    assert forward(task.network, task.inputs).dtype == torch.bfloat16
    assert task.identity != own_task(model().bfloat16(), (X + 1, Y)).identity


# ---- the loss


def expected(task: Task, network: nn.Module) -> float:
    """Mean cross-entropy over the calibration samples."""
    with torch.no_grad():
        outputs = forward(network, task.inputs)
    return float(functional.cross_entropy(outputs, Y[torch.arange(20) % 4 != 3]))


@pytest.mark.parametrize(
    "settings",
    [
        {"data": [(X[:7], Y[:7]), (X[7:], Y[7:])]},
        {"data": (X, Y), "criterion": lambda o, batch: functional.cross_entropy(o, batch[1])},
        {"data": [{"a": X, "b": Y}], "forward": lambda network, batch: network(batch["a"]),
         "criterion": lambda o, batch: functional.cross_entropy(o, batch["b"])},
        {"data": [{"a": X, "y": Y}], "forward": lambda network, batch: (network(batch["a"]), None)},
        {"data": [(X[:7], {"class": Y[:7]}), (X[7:], {"class": Y[7:]})],
         "criterion": lambda o, batch: functional.cross_entropy(o, batch[1]["class"]),
         "forward": lambda network, batch: network(batch[0])},
    ],
)  # fmt: skip
def test_every_way_to_tell_the_loss_gives_the_same(settings: dict[str, Any]) -> None:
    task = own_task(model(), **settings)
    loss = mean_loss(task, task.network, task.inputs, task.targets)
    assert loss == pytest.approx(expected(task, task.network), rel=1e-5)
    assert sum(len(part) for part in (task.inputs, task.held_inputs)) == 20


def first(instance: Any) -> Any:
    """Any choice that fills the capacity."""
    x = np.zeros(instance.n, dtype=np.int8)
    x[: round(instance.K)] = 1
    return x


@pytest.mark.parametrize(
    ("problem", "parameters"),
    [
        ("taylor", {}),
        ("hybrid", {}),
        ("joint-fisher", {}),
        ("reconstruction", {}),
        ("reconstruction", {"weight": "loss"}),
        ("l1", {"refine": 2}),
        ("l1", {"finetune": 1}),
    ],
)
def test_what_needs_a_loss_refuses_inputs_alone_with_one_voice(
    problem: str, parameters: dict[str, Any]
) -> None:
    task = own_task(model(), X)
    assert task.criterion is NO_TARGETS
    with pytest.raises(InputError) as caught:
        drive(get(problem), task, {"keep": 0.5, **parameters}, lambda _, instance: pytest.fail("too late"))
    assert str(caught.value) == NO_TARGETS.reason


@pytest.mark.parametrize(("problem", "parameters"), [("l1", {}), ("reconstruction", {"weight": "relative"})])
def test_what_needs_no_loss_takes_inputs_alone(problem: str, parameters: dict[str, Any]) -> None:
    smaller = drive(
        get(problem), own_task(model(), X), {"keep": 0.5, **parameters}, lambda _, one: first(one)
    )
    assert smaller[0].out_features == 2


def test_a_criterion_of_ones_own_prunes_and_trains() -> None:
    task = own_task(model(), [(X, Y)], criterion=lambda o, batch: functional.cross_entropy(o, batch[1]))
    plain = own_task(model(), (X, Y))
    found = [
        drive(get("taylor"), one, {"keep": 0.5, "finetune": 3}, lambda _, instance: first(instance))
        for one in (task, plain)
    ]
    for ours, theirs in zip(*(network.parameters() for network in found), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_input_tokens_as_targets_are_refused_when_a_loss_is_asked_for() -> None:
    network = nn.Sequential(nn.Embedding(9, 5), nn.Linear(5, 9))
    task = own_task(network, (IDS, torch.where(MASK == 1, IDS, -100)))
    with pytest.raises(InputError, match="got input tokens, as next ones or as copies; pass criterion="):
        task.criterion(forward(network, task.inputs), task.targets)
    assert own_task(network, (IDS, IDS.flip(0))).criterion is not task.criterion
