"""nearest-plane equals a plain reference that rounds one neuron's coordinates one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram

from qubopress import solvers
from qubopress.problems import Rounding


def reference(layer: Rounding, *, damping: float, order: str) -> Any:
    """GPTQ by its definition: fix a coordinate, let the later ones make up for its error."""
    f = layer.f
    columns = np.arange(f) if order == "given" else np.argsort(-np.diag(layer.gram), kind="stable")
    P = layer.gram + damping * (np.mean(np.diag(layer.gram)) or 1.0) * np.eye(f)
    x = np.zeros(layer.shape, dtype=np.int8)
    for neuron in range(layer.n):
        target = layer.shift[neuron].copy()
        for k, i in enumerate(columns):
            level = min(max(np.floor(target[i] + 0.5), 0), layer.levels[i] - 1)
            x[neuron, i] = layer.fixed[neuron, i] if layer.fixed[neuron, i] >= 0 else level
            later = columns[k + 1 :]
            inverse = np.linalg.inv(P[np.ix_(columns[k:], columns[k:])])
            target[later] -= (target[i] - x[neuron, i]) * inverse[0, 1:] / inverse[0, 0]
    return x


@settings(max_examples=60, deadline=None)
@given(
    f=st.integers(1, 7),
    seed=st.integers(0, 10_000),
    damping=st.sampled_from([1e-4, 1e-2, 1.0]),
    order=st.sampled_from(["act", "given"]),
    levels=st.sampled_from([2, 3, 16]),
    fixed=st.booleans(),
)
def test_it_equals_the_definition(
    f: int, seed: int, damping: float, order: str, levels: int, fixed: bool
) -> None:
    rng = np.random.default_rng(seed)
    held = np.where(rng.random((3, f)) < 0.3, 1, -1) if fixed else None
    shift = rng.uniform(-0.5, levels - 0.5, (3, f))
    layer = Rounding(gram(f, seed=seed), shift, 0.3, levels, held)
    found = solvers.solve(layer, "nearest-plane", restarts=1, damping=damping, order=order)
    np.testing.assert_array_equal(found.x, reference(layer, damping=damping, order=order))


def test_uncorrelated_inputs_are_rounded_to_nearest() -> None:
    layer = Rounding(np.diag([3.0, 1.0, 2.0]), np.random.default_rng(0).random((5, 3)))
    found = solvers.solve(layer, "nearest-plane", restarts=1)
    np.testing.assert_array_equal(found.x, layer.nearest())


def test_it_beats_round_to_nearest_on_correlated_inputs() -> None:
    layer = Rounding(gram(40, seed=1), np.random.default_rng(1).random((10, 40)))
    found = solvers.solve(layer, "nearest-plane", restarts=1)
    assert found.loss is not None
    assert found.loss < 0.7 * layer.loss(layer.nearest())
