"""Levels, groups, biases and fitted grids: what adaround can be wished, on a small network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qubopress import problems, solvers
from qubopress.problems import InputError, Rounding, own_task
from qubopress.problems.quantization import layer_rounding


def network(*, bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 12, bias=bias), nn.ReLU(), nn.Linear(12, 6, bias=bias)).eval()


def data(seed: int = 1) -> torch.Tensor:
    """Inputs that go together, or no choice would make up for another."""
    luck = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 20, generator=luck)
    return torch.randn(400, 6, generator=luck) @ mixing + 0.3 * torch.randn(400, 20, generator=luck) + 0.5


def rounded(model: nn.Module, solver: str = "level-tabu", **parameters) -> nn.Module:
    task = own_task(model, data())

    def answer(stage, instance):
        return solvers.solve(instance, solver, restarts=4, seed=0).x

    return problems.drive(problems.get("adaround"), task, parameters, answer)


def error(model: nn.Module, other: nn.Module) -> float:
    """Mean squared difference of the first layer's outputs, which it alone decides."""
    with torch.no_grad():
        return float(((model[0](data()) - other[0](data())) ** 2).mean())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [0, 8])
def test_all_levels_on_a_fitted_grid_beat_two_levels_and_the_grid_of_the_range(bits: int, group: int) -> None:
    model = network()
    usual = {"bits": bits, "bias": "float", "group": group}
    two = rounded(model, levels=2, **usual)
    every = rounded(model, levels="all", **usual)
    fit = rounded(model, levels="all", grid="fit", **{**usual, "bias": "corrected"})
    assert error(model, fit) < error(model, every) * 1.0001
    if bits < 8:
        assert error(model, every) < error(model, two)
    values = fit[0].weight[:, :8].detach().numpy()
    assert all(len(np.unique(row)) <= 2**bits for row in values)


def test_a_corrected_bias_takes_up_the_mean_error() -> None:
    model = network()
    fit = rounded(model, bits=2, levels="all", bias="corrected")
    with torch.no_grad():
        mean = (fit[0](data()[:200]) - model[0](data()[:200])).mean(dim=0)
    kept = rounded(model, bits=2, levels="all", bias="float")
    np.testing.assert_array_equal(kept[0].bias.detach(), model[0].bias.detach())
    with torch.no_grad():
        other = (kept[0](data()[:200]) - model[0](data()[:200])).mean(dim=0)
    assert mean.abs().max() < 0.2 * other.abs().max()


def test_the_loss_of_the_ledger_is_that_of_the_network() -> None:
    model = network()
    task = own_task(model, data())

    def answer(stage, instance):
        return solvers.solve(instance, "level-tabu", restarts=1, seed=0).x

    wished = {"bits": 3, "levels": "all", "grid": "fit", "bias": "corrected"}
    fit = problems.drive(problems.get("adaround"), task, wished, answer)
    fate = task.ledger.fates["0.weight"]
    x = task.inputs[:]
    with torch.no_grad():
        seen = ((fit[0].double()(x.double()) - model[0].double()(x.double())) ** 2).mean(dim=0).sum()
    assert fate.loss == pytest.approx(float(seen), rel=1e-4)


def test_weights_are_what_a_runtime_computes_from_steps_of_float32() -> None:
    fit = rounded(network(), bits=4, levels="all", grid="fit", bias="corrected")
    for row in fit[0].weight.detach().numpy():
        values = np.unique(row)
        step = np.float32(np.diff(values).min())
        codes = np.rint(values / step)
        assert np.abs(codes).max() <= 15
        np.testing.assert_allclose(values, codes * step, rtol=1e-5)


def test_zeros_may_stay_zeros() -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[:, ::3] = 0.0
    for grid in ("minmax", "fit"):
        kept = rounded(model, bits=3, levels="all", grid=grid, bias="float", keep_zeros=True)
        assert (kept[0].weight[:, ::3] == 0).all()


def test_a_tiny_row_keeps_its_bias_in_an_int32() -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[2] *= 1e-12
        model[0].bias[2] = 1.0
    for levels in (2, "all"):
        kept = rounded(model, bits=8, levels=levels)
        assert kept[0].bias[2].item() == pytest.approx(1.0, rel=1e-3)


def test_groups_that_are_asked_for_together_make_no_problems_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    made: list[Rounding] = []

    def counted(*arguments, **others):
        made.append(Rounding(*arguments, **others))
        return made[-1]

    def answer(stage, instance):
        return instance.baseline()

    monkeypatch.setattr(layer_rounding, "Rounding", counted)
    task = own_task(nn.Conv2d(64, 64, 3, groups=64).eval(), torch.randn(8, 64, 5, 5))
    problems.drive(problems.get("adaround"), task, {"levels": "all", "bias": "float"}, answer)
    assert len(made) == 2  # 56 groups of nine inputs fit together


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"levels": 1}, r'levels, where it is not "all", must be an integer in \[2, 16\], got 1'),
        ({"levels": 17}, r'levels, where it is not "all", must be an integer in \[2, 16\], got 17'),
        ({"bias": "int8"}, "bias must be one of int32, corrected, float, got 'int8'"),
        ({"group": -1}, "group must be an integer of at least 0, got -1"),
        ({"group": 8}, 'bias must be "corrected" or "float" where inputs have groups, got "int32"'),
        ({"grid": "fit", "per": "tensor"}, 'per must be "channel" for groups of inputs and for grid="fit"'),
        ({"tries": 0}, "tries must be an integer of at least 1, got 0"),
        ({"refits": -1}, "refits must be an integer of at least 0, got -1"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rounded(network(), **parameters)
