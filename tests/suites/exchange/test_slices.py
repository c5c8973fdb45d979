"""Slices of a suite's instances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from qubopress.problems import Capacity, Qubo, Rounding
from qubopress.suites.exchange.slices import Limits, slices_of, whole
from qubopress.suites.spec import InstanceSpec


def sliced(
    spec: InstanceSpec, limits: Limits, *, layers: bool = False
) -> tuple[dict[str, object], list[str]]:
    told: list[str] = []
    found = {one.name: one.instance for one in slices_of(spec, limits, told.append, layers=layers)}
    return found, told


LAYERS = InstanceSpec.of("adaround", network="digits-mlp", bits=3)


def test_a_small_layer_is_one_qubo_and_a_large_one_some_of_its_neurons() -> None:
    found, told = sliced(LAYERS, Limits(neurons=2, layer=400))
    assert {name: one.n for name, one in found.items() if isinstance(one, Qubo)} == {
        "adaround-digits-mlp-bits-3-stage-0-row-0": 63,
        "adaround-digits-mlp-bits-3-stage-0-row-16": 65,
        "adaround-digits-mlp-bits-3-stage-1": 323,
    }
    assert told == ["adaround-digits-mlp-bits-3-stage-0: 30 of 32 neurons; see --neurons"]


def test_the_qubo_of_a_layer_has_the_losses_of_the_layer() -> None:
    one = sliced(LAYERS, Limits(layer=400))[0]["adaround-digits-mlp-bits-3-stage-1"]
    layer = sliced(LAYERS, Limits(), layers=True)[0]["adaround-digits-mlp-bits-3-stage-1"]
    assert isinstance(one, Qubo)
    assert isinstance(layer, Rounding)
    x = np.where(layer.fixed >= 0, layer.fixed, layer.random(np.random.default_rng(0), 1)[0])
    bits = np.concatenate([layer.row(i).encode(x[i]) for i in range(layer.n)])
    assert one.loss(bits) == pytest.approx(layer.loss(x), rel=1e-12)


def test_stages_beyond_the_limit_are_named() -> None:
    spec = InstanceSpec.of("topology", network="digits-mlp")
    found, told = sliced(spec, Limits(stages=3))
    assert len(found) == 3
    assert told == ["topology/digits-mlp: 39 of 42 stages; see --stages"]


def test_missing_data_are_named_and_nothing_else_is_lost() -> None:
    found, told = sliced(InstanceSpec.of("adaround", network="mnist-softmax"), Limits())
    assert found == {}
    assert len(told) == 1
    assert told[0].startswith("adaround/mnist-softmax: ")


@pytest.mark.parametrize("sparse", [False, True])
def test_whole_coefficients_are_the_nearest_of_their_unit(sparse: bool) -> None:
    Q = np.triu(np.random.default_rng(0).standard_normal((9, 9))) / 3e4
    given = Capacity(sp.csr_array(Q) if sparse else Q, np.ones(9), 4, offset=1e-3)
    made, unit = whole(given, 20)
    upper = np.triu(2 * (made.Q.toarray() if sparse else made.Q), 1)
    terms = np.concatenate([np.diag(made.Q.toarray() if sparse else made.Q), upper[np.triu_indices(9, 1)]])
    assert np.array_equal(terms, np.rint(terms))
    assert 2**19 <= np.abs(terms).max() <= 2**20
    assert np.log2(unit) == np.rint(np.log2(unit))
    x = np.arange(9) % 2
    assert made.loss(x) * unit == pytest.approx(given.loss(x), abs=50 * unit)
    assert (made.K, made.sparse) == (4, sparse)


def test_what_is_whole_stays_as_it_is() -> None:
    given = Qubo([[3.0, -2.0], [0.0, 7.0]])
    assert whole(given, 20) == (given, 1.0)
    assert whole(Qubo(np.zeros((2, 2))), 20)[1] == 1.0
