"""Detours: cycles tight at a cut, violated elsewhere, and none of a paid edge overlooked."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from numpy.typing import NDArray

from qubopress.solvers.exact.detours import detours
from qubopress.solvers.exact.odd_cycles import Graph


def drawn(seed: int, *, ground: bool) -> tuple[Graph, Any, NDArray[np.int8]]:
    """A random graph, a point of its edges' box, and a cut; the ground has no edges or one to each vertex."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((16, 16)) < 0.25, 1)
    upper[0, 1:] = ground
    u, v = upper.nonzero()
    side = rng.integers(0, 2, 16)
    return Graph(16, u, v), rng.random(len(u)) ** 2, (side[u] ^ side[v]).astype(np.int8)


def cycles(graph: Graph, y: Any, crossed: Any, paid: Any, least: float = 1e-6) -> list[tuple[Any, Any]]:
    """Edges and F of what is found."""
    parts = (*graph.parts(), graph.u, graph.v)
    edges, inside, ends = detours(*parts, y, crossed, paid, least, 1e-9, 10**3, 10**4)
    starts = np.append(0, ends)[:-1]
    return [(edges[a:b], inside[a:b]) for a, b in zip(starts, ends, strict=True)]


def excess(y: Any, edges: Any, inside: Any) -> float:
    """By how much a point violates the inequality."""
    return float(1.0 - np.where(inside, 1.0 - y[edges], y[edges]).sum())


@pytest.mark.parametrize("ground", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_every_cycle_found_is_simple_odd_and_violated(seed: int, ground: bool) -> None:
    graph, y, crossed = drawn(seed, ground=ground)
    found = cycles(graph, y, crossed, np.arange(len(y)))
    assert found
    for edges, inside in found:
        picked = networkx.Graph(zip(graph.u[edges].tolist(), graph.v[edges].tolist(), strict=True))
        assert all(degree == 2 for _, degree in picked.degree)
        assert networkx.is_connected(picked)
        assert inside.sum() % 2 == 1
        assert excess(y, edges, inside) > 0


@pytest.mark.parametrize("ground", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_a_paid_edge_has_a_cycle_just_where_a_path_is_shorter(seed: int, ground: bool) -> None:
    graph, y, crossed = drawn(seed, ground=ground)
    z = np.where(crossed, 1.0 - y, y)
    whole = networkx.Graph()
    whole.add_nodes_from(range(16))
    whole.add_weighted_edges_from(zip(graph.u.tolist(), graph.v.tolist(), z.tolist(), strict=True))
    for f in range(len(y)):
        rest = whole.copy()
        rest.remove_edge(int(graph.u[f]), int(graph.v[f]))
        far = networkx.single_source_dijkstra_path_length(rest, int(graph.u[f])).get(int(graph.v[f]), np.inf)
        assert bool(cycles(graph, y, crossed, np.array([f]))) == (far < z[f] - 1e-6)


def test_the_cut_itself_violates_nothing_and_all_are_tight_there() -> None:
    graph, y, crossed = drawn(3, ground=True)
    assert cycles(graph, crossed.astype(float), crossed, np.arange(len(y))) == []
    for edges, inside in cycles(graph, y, crossed, np.arange(len(y))):
        # A chord may leave a part whose F is another; it is no less violated.
        assert excess(crossed.astype(float), edges, inside) <= 0
