"""A topology has the connections it says, and leaves no neuron without any."""

from __future__ import annotations

import numpy as np
import pytest

from qubopress.problems import InputError
from qubopress.problems.analog.connections import connections, erk_densities

SHAPES = {"first": (30, 40), "second": (20, 30), "last": (4, 20)}


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}


def test_a_random_topology_gives_every_neuron_of_a_layer_the_same_fan_in() -> None:
    for mask in connections(weights(), topology="random", density=0.3).values():
        assert len(set(mask.sum(axis=1))) == 1


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9, 1.0])
def test_layers_share_a_density_as_erk_does(density) -> None:
    shares = erk_densities(SHAPES, density=density)
    sizes = {name: n * f for name, (n, f) in SHAPES.items()}
    total = sum(shares[name] * sizes[name] for name in SHAPES)
    assert total == pytest.approx(density * sum(sizes.values()))
    assert all(0 < share <= 1 for share in shares.values())
    ratio = {name: shares[name] * sizes[name] / sum(SHAPES[name]) for name in SHAPES if shares[name] < 1}
    assert max(ratio.values(), default=1) == pytest.approx(min(ratio.values(), default=1))


def test_n_of_m_keeps_n_of_every_m_neighbours() -> None:
    for mask in connections(weights(), topology="2:5").values():
        assert (mask.reshape(len(mask), -1, 5).sum(axis=2) == 2).all()


def test_a_shorter_last_group_keeps_up_to_n() -> None:
    mask = connections({"": np.ones((3, 7))}, topology="2:4")[""]
    assert (mask[:, :4].sum(axis=1) == 2).all()
    assert (mask[:, 4:].sum(axis=1) == 2).all()


def test_blocks_of_neurons_see_blocks_of_inputs() -> None:
    mask = connections({"": np.ones((4, 6))}, topology="block", density=0.5)[""]
    np.testing.assert_array_equal(mask, np.kron(np.eye(2, dtype=bool), np.ones((2, 3), dtype=bool)))


def test_largest_keeps_the_largest_of_each_neuron() -> None:
    mask = connections({"": np.array([[1.0, -3.0, 2.0, 0.0]])}, topology="largest", density=0.5)[""]
    np.testing.assert_array_equal(mask, [[False, True, True, False]])


def test_all_and_own_need_no_density() -> None:
    given = {"": np.array([[1.0, 0.0], [0.0, -2.0]])}
    np.testing.assert_array_equal(connections(given, topology="own")[""], given[""] != 0)
    assert connections(given, topology="all")[""].all()


@pytest.mark.parametrize("topology", ["random", "2:4"])
def test_the_seed_alone_decides_what_is_drawn(topology) -> None:
    first, same, other = (
        connections(weights(draw), topology=topology, seed=seed) for draw, seed in ((0, 1), (9, 1), (0, 2))
    )
    assert all(np.array_equal(first[name], same[name]) for name in SHAPES)
    assert any(not np.array_equal(first[name], other[name]) for name in SHAPES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"topology": "3:2"}, r"a pattern must be N:M with N in \[1, M\], got '3:2'"),
        ({"topology": "0:2"}, r"a pattern must be N:M with N in \[1, M\], got '0:2'"),
        ({"topology": "2:0"}, r"a pattern must be N:M with N in \[1, M\], got '2:0'"),
        ({"topology": "two:4"}, r"a pattern must be N:M with N in \[1, M\], got 'two:4'"),
        ({"topology": "dense"}, "topology must be one of all, random"),
        ({"topology": "random", "density": 0.001}, "every neuron must have a connection, got .*; raise den"),
        ({"topology": "largest", "density": 0.001}, "every neuron must have a connection, got 0.001 of 40"),
        ({"topology": "block", "density": 0.03}, "got none for neuron .* of layer (first|second|last)"),
        ({"topology": "random", "density": 1.5}, r"density must lie in \(0, 1\], got 1.5"),
        ({"topology": "random", "seed": 0.5}, "topology_seed must be an integer of at least 0, got 0.5"),
    ],
)
def test_a_topology_that_there_is_not_is_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        connections(weights(), **given)


def test_a_neuron_of_zeros_has_no_connections_of_its_own() -> None:
    with pytest.raises(InputError, match="got none for neuron 1 of layer first; raise density or choose"):
        connections({"first": np.array([[1.0, 0.0], [0.0, 0.0]])}, topology="own")
