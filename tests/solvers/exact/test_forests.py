"""Forests: sides that pairs say, pairs that exclude each other, components."""

from __future__ import annotations

import networkx
import numpy as np

from qubopress.solvers.exact.forests import join, labels, spanned


def test_a_spanning_tree_of_a_cut_gives_the_cut_back() -> None:
    rng = np.random.default_rng(3)
    u, v = np.triu(rng.random((14, 14)) < 0.4, 1).nonzero()
    side = rng.integers(0, 2, 14)
    y = (side[u] != side[v]).astype(float)
    found = spanned(14, u, v, y, rng.permutation(len(y)))
    np.testing.assert_array_equal((found[u] != found[v]).astype(float), y)


def test_pairs_of_a_cut_are_joined_flat_and_one_that_lies_is_told() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        side, above, flip = rng.integers(0, 2, 40).astype(np.int8), np.arange(40), np.zeros(40, np.int8)
        a, b = rng.integers(0, 40, (2, 25))
        for part in (slice(0, 9), slice(9, None)):  # a forest is joined further as a new one is
            assert join(above, flip, a[part], b[part], side[a[part]] ^ side[b[part]])
        np.testing.assert_array_equal(above[above], above)
        np.testing.assert_array_equal(flip, side ^ side[above])
        graph = networkx.Graph(zip(a.tolist(), b.tolist(), strict=True))
        assert len(np.unique(above)) == 40 - len(graph) + networkx.number_connected_components(graph)
        pair = np.flatnonzero(above[a] == above[b])[:1]
        assert not join(above.copy(), flip.copy(), a[pair], b[pair], 1 ^ side[a[pair]] ^ side[b[pair]])


def test_labels_are_the_components_in_the_order_of_their_first_vertices() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        u, v = np.triu(rng.random((30, 30)) < 0.04, 1).nonzero()
        graph = networkx.Graph(zip(u.tolist(), v.tolist(), strict=True))
        graph.add_nodes_from(range(30))
        count, label = labels(30, u, v)
        parts = sorted(networkx.connected_components(graph), key=min)
        assert count == len(parts)
        assert [set(np.flatnonzero(label == k).tolist()) for k in range(count)] == parts
