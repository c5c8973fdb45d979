"""Odd cycles: what is found is violated and holds for every cut, and nothing violated is overlooked."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest

from qubopress.solvers.exact.odd_cycles import Graph, odd_walks, triangles


def drawn(n: int, share: float, seed: int) -> tuple[Graph, Any]:
    """A random graph and a point of its edges' box."""
    rng = np.random.default_rng(seed)
    u, v = np.triu(rng.random((n, n)) < share, 1).nonzero()
    return Graph(n, u, v), rng.random(len(u)) ** 2


def cycles(graph: Graph, y: Any, least: float = 1e-6) -> list[tuple[Any, Any]]:
    """Edges and F of what is found from every vertex."""
    edges, inside, ends = odd_walks(*graph.parts(), y, np.arange(graph.n), least, 10**4)
    starts = np.append(0, ends)[:-1]
    return [(edges[a:b], inside[a:b]) for a, b in zip(starts, ends, strict=True)]


def violation(y: Any, edges: Any, inside: Any) -> float:
    return float(1.0 - np.where(inside, 1.0 - y[edges], y[edges]).sum())


@pytest.mark.parametrize("seed", range(12))
def test_every_cycle_found_is_simple_odd_chordless_and_violated(seed: int) -> None:
    graph, y = drawn(16, 0.25, seed)
    found = cycles(graph, y)
    assert found
    for edges, inside in found:
        picked = networkx.Graph(zip(graph.u[edges].tolist(), graph.v[edges].tolist(), strict=True))
        assert all(degree == 2 for _, degree in picked.degree)
        assert networkx.is_connected(picked)
        assert inside.sum() % 2 == 1
        assert violation(y, edges, inside) > 0
        within = np.isin(graph.u, list(picked)) & np.isin(graph.v, list(picked))
        assert within.sum() == len(edges)


def test_every_cut_satisfies_what_is_found() -> None:
    graph, y = drawn(16, 0.3, 5)
    rng = np.random.default_rng(0)
    for edges, inside in cycles(graph, y):
        for _ in range(50):
            side = rng.integers(0, 2, graph.n)
            cut = (side[graph.u] != side[graph.v]).astype(float)
            assert violation(cut, edges, inside) <= 0


@pytest.mark.parametrize("seed", range(12))
def test_means_of_cuts_violate_nothing_and_a_cut_with_one_edge_wrong_does(seed: int) -> None:
    graph, _ = drawn(12, 0.3, seed)
    rng = np.random.default_rng(seed)
    cuts = rng.integers(0, 2, (4, graph.n))
    y = (cuts[:, graph.u] != cuts[:, graph.v]).astype(float)
    assert cycles(graph, y.mean(axis=0)) == []
    edge, whole = int(rng.integers(len(graph.u))), y[0]
    whole[edge] = 1.0 - whole[edge]
    pairs = list(zip(graph.u.tolist(), graph.v.tolist(), strict=True))
    bridge = set(pairs[edge]) in map(set, networkx.bridges(networkx.Graph(pairs)))
    assert bool(cycles(graph, whole)) != bridge


def test_triangles_are_those_of_all_four_kinds() -> None:
    graph, y = drawn(9, 0.7, 2)
    edges, inside, worst = triangles(graph.u, graph.v, *graph.parts(), y, 1e-9, 10**4)
    of = {pair: e for e, pair in enumerate(zip(graph.u.tolist(), graph.v.tolist(), strict=True))}
    expected = set()
    for a in range(9):
        for b in range(a + 1, 9):
            for c in range(b + 1, 9):
                three = [of.get((a, b)), of.get((a, c)), of.get((b, c))]
                if None not in three:
                    for F in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
                        if violation(y, np.array(three), np.array(F)) > 1e-9:
                            expected.add(frozenset(zip(three, F, strict=True)))
    found = {frozenset(zip(e.tolist(), f.tolist(), strict=True)) for e, f in zip(edges, inside, strict=True)}
    assert found == expected
    assert worst[0] == pytest.approx(violation(y, edges[0], inside[0]))
