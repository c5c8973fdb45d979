"""What training leaves is what hardware holds: frozen topology, signs, nested magnitudes, learned zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import one_thread
from torch import nn

from qubopress.problems import InputError
from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.networks.zoo import network
from qubopress.problems.tasks.accuracy import accuracy
from qubopress.suites.experiments.supermasks import (
    METHODS,
    PRIMARIES,
    Midrise,
    Supermask,
    Trained,
    topology_of,
    train_supermask,
)

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

SPEC = replace(network("digits-mlp"), epochs=2)
DENSITY = 0.5


def learns_zeros(method: str) -> bool:
    return "C" in method or method == "learned zeros"


def trained(method: str, *, epochs: int = 2, seed: int = 0, bits: int = 2) -> Trained:
    data = load_dataset("digits")
    exists = topology_of(SPEC, topology="all" if learns_zeros(method) else "random", density=DENSITY)
    return train_supermask(
        replace(SPEC, epochs=epochs),
        torch.tensor(data.train_inputs),
        torch.tensor(data.train_targets),
        method=method,
        exists=exists,
        bits=bits,
        density=DENSITY,
        seed=seed,
    )


def layers(made: Trained) -> list[nn.Linear]:
    return [part for part in made.network if isinstance(part, nn.Linear)]


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_the_values_and_the_zeros_that_the_method_may_have(method) -> None:
    made = trained(method)
    levels = {"C": 1, "C+M": 4, "C+S": 1, "S": 1, "M": 4, "S+M": 2, "C+S+M": 2}.get(method, 3)
    for part, mask in zip(layers(made), made.fabricated.values(), strict=True):
        there = part.weight.numpy() != 0
        if learns_zeros(method):
            assert mask.all()
            assert there.mean() == pytest.approx(DENSITY, abs=0.01)
        else:
            np.testing.assert_array_equal(there, mask)
        sizes = np.unique(np.round(np.abs(part.weight.numpy()[there]) / np.abs(part.weight.numpy()).max(), 4))
        expected = {k / levels for k in range(1, levels + 1)} if method in PRIMARIES else {1 / 3, 1}
        np.testing.assert_allclose(sizes, sorted(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("method", "bits"),
    [("C", 1), ("C+S", np.log2(3)), ("S", 1), ("M", 2), ("S+M", 2), ("midrise", 2), ("C+S+M", np.log2(5))],
)
def test_a_connection_takes_the_bits_that_its_values_need(method, bits) -> None:
    assert trained(method, epochs=1).bits == pytest.approx(bits)


def test_learned_zeros_must_be_fabricated_and_fixed_ones_not() -> None:
    learned, fixed = trained("learned zeros", epochs=1), trained("midrise", epochs=1)
    assert learned.connections == 64 * 32 + 32 * 10
    assert fixed.connections == fixed.weights < 0.52 * learned.connections
    assert learned.weights == pytest.approx(fixed.weights, rel=0.02)


@pytest.mark.parametrize("method", ["C", "S+M", "midrise", "learned zeros"])
def test_a_method_learns_digits(method) -> None:
    data = load_dataset("digits")
    found = accuracy(trained(method, epochs=20).network, data.test_inputs, data.test_targets)
    assert found > 0.85


def test_magnitudes_are_nested_percentiles_of_the_existing_connections_alone() -> None:
    exists = torch.rand(30, 40, generator=torch.Generator().manual_seed(1)) < 0.5
    rule = Supermask(exists, "M", levels=4, density=1.0, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        rule.scores["M"][~exists] += 100.0
        made = rule(torch.zeros(30, 40)) / (rule.gain * rule.sign)
    counts = torch.bincount(made[exists].round().long(), minlength=5)[1:].double() / exists.sum()
    np.testing.assert_allclose(counts, 0.25, atol=0.01)
    ranks = rule.scores["M"].detach()[exists].argsort()
    assert (made[exists][ranks].diff() >= -1e-5).all()


def test_scores_hear_the_gradient_and_frozen_weights_do_not() -> None:
    exists = torch.ones(4, 6, dtype=torch.bool)
    rule = Supermask(exists, "C+S+M", levels=2, density=0.5, generator=torch.Generator().manual_seed(0))
    frozen = torch.ones(4, 6, requires_grad=True)
    rule(frozen).square().sum().backward()
    assert frozen.grad is None
    assert all(score.grad.abs().sum() > 0 for score in rule.scores.values())


def test_a_weight_that_is_zero_for_now_hears_the_gradient_and_a_missing_one_never() -> None:
    exists = torch.tensor([[True, True, True, False]])
    rule, latent = Midrise(exists, bits=2, density=2 / 3), torch.tensor([[1.0, -2.0, 0.1, 5.0]])
    latent.requires_grad_()
    made = rule(latent)
    assert (made != 0).tolist() == [[True, True, False, False]]
    made.sum().backward()
    assert latent.grad.tolist() == [[1.0, 1.0, 1.0, 0.0]]


def test_the_same_seed_trains_the_same_network_and_leaves_the_global_generator() -> None:
    state = torch.random.get_rng_state()
    first, same, other = (trained("S+M", epochs=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(layers(first)[0].weight, layers(same)[0].weight)
    assert not torch.equal(layers(first)[0].weight, layers(other)[0].weight)


@pytest.mark.parametrize("method", ["S+M", "midrise"])
def test_the_end_is_a_plain_network(method) -> None:
    made = trained(method, epochs=1).network
    assert type(made.fc1) is nn.Linear
    assert not made.training
    assert not any(parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "S+M+C"}, "no method named 'S\\+M\\+C'; did you mean 'S\\+M'"),
        ({"method": "S", "bits": 5}, r"bits must be an integer in \[1, 4\], got 5"),
    ],
)
def test_what_cannot_be_trained_is_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        trained(**given)
