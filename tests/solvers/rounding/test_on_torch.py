"""On a torch device solvers end as their compiled kernels do; one that is not there is told in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerators import DEVICES
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram

from qubopress import solvers
from qubopress.problems import InputError, Rounding
from qubopress.solvers import Status
from qubopress.solvers.rounding import descent, on_torch, plane_kernel, prefixes


def layer(n: int, f: int, *, seed: int = 0, levels: Any = 2, held: bool = False) -> Rounding:
    rng = np.random.default_rng(seed)
    fixed = np.where(rng.random((n, f)) < 0.2, 1, -1) if held else None
    shift = rng.uniform(-0.5, np.max(levels) - 0.5, (n, f))
    return Rounding(gram(f, seed=seed), shift, rng.random(n) + 0.5, levels, fixed)


def ties(n: int, f: int, *, seed: int = 0) -> tuple[Any, Any, Any]:
    """Halves and small integers, so that all sums are exact and many prefixes cost the same."""
    rng = np.random.default_rng(seed)
    lower = np.tril(rng.integers(-1, 2, (f, f))).astype(float)
    np.fill_diagonal(lower, 2.0)
    return lower, rng.integers(0, 3, (n, f)) / 2.0, np.where(rng.random((n, f)) < 0.1, 1, -1).astype(np.int8)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("order", ["act", "given", "sorted"])
@pytest.mark.parametrize(("levels", "held"), [(2, False), (2, True), (16, True)])
def test_nearest_plane_ends_as_its_kernel_does(levels: int, held: bool, order: str, device: str) -> None:
    one = layer(9, 100, seed=levels, levels=levels, held=held)
    compiled, batched = (
        solvers.solve(one, "nearest-plane", restarts=1, order=order, device=where)
        for where in ("numba", device)
    )
    np.testing.assert_array_equal(batched.x, compiled.x)
    assert batched.status is Status.FINISHED
    assert batched.loss == compiled.loss


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("width", [1, 6, 64])
@pytest.mark.parametrize(("levels", "held"), [(2, False), (2, True)])
def test_beam_ends_as_its_kernels_do(levels: int, held: bool, width: int, device: str) -> None:
    one = layer(9, 100, seed=levels, levels=levels, held=held)
    compiled, batched = (
        solvers.solve(one, "beam", restarts=1, width=width, device=where, precision="float64")
        for where in ("numba", device)
    )
    np.testing.assert_array_equal(batched.x, compiled.x)
    assert batched.loss == compiled.loss


def test_coordinates_of_several_numbers_of_levels_end_alike() -> None:
    one = layer(5, 40, levels=np.random.default_rng(0).integers(2, 6, 40))
    compiled, batched = (
        solvers.solve(one, "nearest-plane", restarts=1, device=where) for where in ("numba", "cpu")
    )
    np.testing.assert_array_equal(batched.x, compiled.x)


@pytest.mark.parametrize("name", ["nearest-plane", "beam"])
def test_steps_of_groups_are_refused_on_a_device_of_torchs(name: str) -> None:
    one = Rounding(np.eye(2), [[0.2, 2.9]], [[0.5, 2.0]], 4, group=[0, 1])
    with pytest.raises(InputError, match=r'device must be "numba" where neurons have steps of groups, got'):
        solvers.solve(one, name, restarts=1, device="cpu")


@settings(max_examples=25, deadline=None)
@given(f=st.integers(1, 80), kept=st.sampled_from([1, 2, 7, 32]), seed=st.integers(0, 1000))
def test_prefixes_that_tie_are_kept_alike(f: int, kept: int, seed: int) -> None:
    lower, shift, fixed = ties(4, f, seed=seed)
    one = Rounding(np.eye(f), shift, levels=3, fixed=fixed)
    every, columns = np.arange(4), np.arange(f)
    compiled = prefixes.cheapest(one, every, columns, lower, kept, kind=np.float64)
    batched = on_torch.cheapest(*map(torch.tensor, (shift, fixed)), one.levels, torch.tensor(lower), kept)
    assert batched is not None
    np.testing.assert_array_equal(batched.numpy(), compiled)


@settings(max_examples=25, deadline=None)
@given(f=st.integers(1, 80), seed=st.integers(0, 1000))
def test_planes_that_tie_are_chosen_alike(f: int, seed: int) -> None:
    lower, shift, fixed = ties(4, f, seed=seed)
    one = Rounding(np.eye(f), shift, levels=3, fixed=fixed)
    compiled = plane_kernel.planes(one, np.arange(4), np.arange(f), lower)
    tensors = (torch.tensor(shift), torch.tensor(fixed), one.levels, torch.tensor(lower))
    np.testing.assert_array_equal(on_torch.planes(*tensors, torch.float64).numpy(), compiled)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scans", [1, 100])
@pytest.mark.parametrize(("levels", "held"), [(2, False), (2, True), (5, True)])
def test_pairs_are_stepped_alike(
    levels: int, held: bool, scans: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_torch, "PAIRS", 3 * 60**2)
    one, every = layer(9, 60, seed=levels, levels=levels, held=held), np.arange(9)
    compiled = one.nearest()
    descent.descend(one, compiled, every)
    start = compiled.copy()
    assert descent.descend_pairs(one, compiled, every, scans) > 0
    placed = on_torch.Layer(one, device, order="act", damping=1e-3, precision="float64")
    batched = placed.descend_pairs(torch.tensor(start, device=device).double(), every, scans)
    np.testing.assert_array_equal(batched.cpu().numpy(), compiled)


def test_prefixes_longer_than_the_horizon_are_decided_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("beam", "prefixes", "on_torch"):
        monkeypatch.setattr(f"qubopress.solvers.rounding.{module}.HORIZON", 96)
    one = layer(4, 300, seed=2, held=True)
    compiled, batched = (
        solvers.solve(one, "beam", restarts=1, width=8, device=where, precision="float64")
        for where in ("numba", "cpu")
    )
    np.testing.assert_array_equal(batched.x, compiled.x)


def test_a_rank_deficient_gram_is_factored_on_a_device_too() -> None:
    X = np.random.default_rng(3).normal(size=(3, 60)) * 1e3
    one = Rounding(X.T @ X, np.random.default_rng(0).random((2, 60)))
    for name in ("nearest-plane", "beam"):
        for order in ("act", "sorted"):
            found = solvers.solve(one, name, restarts=1, damping=1e-8, order=order, device="cpu")
            assert found.loss is not None
            assert found.loss <= one.loss(one.nearest())


def test_single_precision_is_nearly_as_good() -> None:
    one = layer(20, 100)
    for name in ("nearest-plane", "beam"):
        single, double = (
            solvers.solve(one, name, restarts=1, device="cpu", precision=kind)
            for kind in ("float32", "float64")
        )
        assert single.loss == pytest.approx(double.loss, rel=0.01)


def test_a_beam_on_a_device_widens_while_the_budget_lasts() -> None:
    found = solvers.solve(layer(4, 60), "beam", seconds=0.5, device="cpu")
    assert found.counts["restarts"] >= 2
    assert found.seconds < 0.5 + 3.0


def test_sa_on_a_device_keeps_its_budget() -> None:
    found = solvers.solve(layer(4, 60), "sa", seconds=0.5, device="cpu")
    assert found.status is Status.BUDGET
    assert found.seconds < 0.5 + 3.0


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "CPU"])
@pytest.mark.parametrize("name", ["nearest-plane", "beam", "sa"])
def test_an_unknown_device_is_refused(name: str, device: str) -> None:
    with pytest.raises(
        InputError, match=f"device must be numba, cpu, cuda or cuda:1 and so on, got '{device}'"
    ):
        solvers.solve(layer(2, 3), name, restarts=1, device=device)


def test_a_device_that_is_not_there_is_declined_and_those_that_are_named() -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ", ".join(["numba", "cpu", *(f"cuda:{i}" for i in range(count))])
    for name in ("nearest-plane", "beam", "sa"):
        found = solvers.solve(layer(2, 3), name, restarts=1, device=f"cuda:{count}")
        assert found.status is Status.SKIPPED
        text = f"device cuda:{count} needs a GPU that torch can see; pass one of those there: {there}"
        assert found.message == text
