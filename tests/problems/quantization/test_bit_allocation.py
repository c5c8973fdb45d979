"""Bits under a budget: the instance has the optimum of all choices, and the network keeps to the budget."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from qubopress import problems, solvers, suites
from qubopress.problems import Capacity, InputError, own_task
from qubopress.problems.quantization.bit_allocation import (
    WIDTHS,
    Allocation,
    greedy_widths,
    measured,
    uniform_widths,
)
from qubopress.problems.quantization.weight_layers import WeightLayers


def allocation(matrices: int = 3, *, interactions: bool, seed: int = 0, average: float = 3.3) -> Allocation:
    """Errors that shrink with each bit, some of them common to all matrices."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([4, 6, 16], matrices)
    shrunk = 2.0 ** -np.array(WIDTHS)[None, :, None]
    own = rng.standard_normal((matrices, len(WIDTHS), 20)) * rng.uniform(0.3, 2, (matrices, 1, 1))
    errors = ((own + rng.standard_normal((matrices, 1, 20))) * shrunk).reshape(-1, 20)
    return Allocation(sizes, errors @ errors.T, int(average * sizes.sum()), interactions)


def best(one: Allocation) -> float:
    choices = map(np.array, itertools.product(range(len(WIDTHS)), repeat=len(one.sizes)))
    return min(one.loss(choice) for choice in choices if one.bits(choice) <= one.budget)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("interactions", [False, True])
def test_the_ground_state_is_the_best_of_all_choices_within_the_budget(interactions: bool, seed: int) -> None:
    one = allocation(interactions=interactions, seed=seed)
    ground = solvers.solve(one.instance, "exhaustive", restarts=1)
    choice = one.choice(ground.x)
    assert one.bits(choice) <= one.budget
    assert ground.loss == pytest.approx(best(one))
    assert one.loss(choice) == pytest.approx(best(one))


@pytest.mark.parametrize("seed", range(4))
def test_the_dynamic_programme_proves_what_enumeration_finds(seed: int) -> None:
    one = allocation(4, interactions=False, seed=seed)
    found = solvers.solve(one.instance, "layer-dp", restarts=1)
    assert found.status.name == "OPTIMAL"
    assert found.loss == pytest.approx(best(one))


def test_without_interactions_many_matrices_are_still_proven_and_no_baseline_is_better() -> None:
    one = allocation(30, interactions=False)
    found = solvers.solve(one.instance, "layer-dp", restarts=1)
    assert found.status.name == "OPTIMAL"
    for choice in (greedy_widths(one), uniform_widths(one)):
        assert one.bits(choice) <= one.budget
        assert found.loss <= one.loss(choice) * (1 + 1e-9)


def test_steps_out_of_order_never_pay() -> None:
    one = allocation(interactions=True)
    whole = Allocation(one.sizes, one.products, 8 * int(one.sizes.sum()))
    instance = whole.instance
    for x in itertools.product((0, 1), repeat=instance.n):
        bits = np.array(x, dtype=np.int8)
        assert instance.loss(bits) >= whole.loss(whole.choice(bits)) - 1e-9


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4)).eval()


def data() -> torch.Tensor:
    return torch.randn(120, 12, generator=torch.Generator().manual_seed(1))


USUAL = {"grid": "minmax", "bias": "float", "group": 0}


def test_a_matrix_alone_costs_what_the_outputs_show() -> None:
    layers = WeightLayers(own_task(network(), data()))
    found = measured(layers, USUAL, average=8.0, samples=50)
    model, x = network(), layers.task.inputs[:50]
    rounded = suites.compress(network(), data(), bits=2, only=["2"], solver="nearest-plane",
                              grid="minmax", bias="float", levels="all", guard=False)  # fmt: skip
    with torch.no_grad():
        error = ((rounded(x) - model(x)) ** 2).sum(dim=1).mean()
    place = 1 * len(WIDTHS)
    assert found.products[place, place] == pytest.approx(float(error), rel=1e-3)
    for name, one in model.named_parameters():
        assert torch.equal(layers.network.get_parameter(name), one)


@pytest.mark.parametrize("interactions", [False, True])
def test_the_network_keeps_to_the_budget(interactions: bool) -> None:
    small = suites.compress(network(), data(), bits="3.5 on average", interactions=interactions)
    widths = {name: one.bits for name, one in suites.quantized(small).items()}
    sizes = {"0.weight": 192, "2.weight": 256, "4.weight": 64}
    assert set(widths) == set(sizes)
    assert sum(widths[name] * sizes[name] for name in sizes) <= 3.5 * sum(sizes.values())
    assert max(widths.values()) > 3
    report = suites.report_of(small)
    assert [(one.shape, one.solver) for one in report.stages][:2] == [
        ("Capacity", "layer-dp"),
        ("Rounding", "level-tabu"),
    ]


def test_a_solver_of_layers_alone_leaves_the_bits_to_one_that_takes_them() -> None:
    small = suites.compress(
        network(), data(), bits="3 on average", solver="beam", solver_parameters={"width": 4}
    )
    assert [one.solver for one in suites.report_of(small).stages] == ["layer-dp", "beam", "beam", "beam"]


def test_bytes_may_stand_in_the_place_of_an_average() -> None:
    task = own_task(network(), data())
    first = next(problems.get("bit-allocation").generate(task, size=200))
    assert isinstance(first, Capacity)
    assert first.K == 8 * 200 - 2 * 512


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bits": "three"}, "bits must be an integer, or text like \"3.0 on average\", got 'three'"),
        ({"bits": "1.5 on average"}, r"average must lie in \[2, 8\] bits, got 1.5"),
        (
            {"problem": "bit-allocation", "size": 100},
            "size must be at least 128 bytes",
        ),
        ({"problem": "bit-allocation", "samples": 0}, "samples"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        suites.compress(network(), data(), **parameters)
