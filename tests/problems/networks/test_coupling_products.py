"""Sparse products and their gradients are those of the dense matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from qubopress.problems.networks.coupling_products import places

PAIRS = [(2, 0), (0, 1), (0, 2), (2, 4), (0, 3), (0, 4), (0, 5), (2, 3), (5, 0), (4, 5), (2, 5), (2, 1)]
"""Not in order; nodes that feel many others, few and none."""


def edges(*, directed: bool) -> npt.NDArray[np.int64]:
    """Where a coupling acts both ways none stands twice."""
    once = [(i, j) for place, (i, j) in enumerate(PAIRS) if directed or (j, i) not in PAIRS[:place]]
    return np.array(once)


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 33])
def test_products_with_the_matrix_and_its_transpose_are_the_dense_ones(directed: bool, batch: int) -> None:
    random = torch.Generator().manual_seed(0)
    pairs = edges(directed=directed)
    found = places(pairs, 6, directed=directed)
    couplings = torch.randn(len(pairs), generator=random, dtype=torch.float64)
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    for (felt, of), value in zip(pairs, couplings, strict=True):
        matrix[felt, of] += value
        if not directed:
            matrix[of, felt] += value
    x = torch.randn(6, batch, generator=random, dtype=torch.float64)
    torch.testing.assert_close(found.felt.product(found.felt.entries(couplings), x), matrix @ x)
    torch.testing.assert_close(found.given.product(found.given.entries(couplings), x), matrix.T @ x)


@pytest.mark.parametrize("directed", [True, False])
def test_slopes_are_the_gradient_by_each_coupling(directed: bool) -> None:
    random = torch.Generator().manual_seed(1)
    pairs = edges(directed=directed)
    felt = places(pairs, 6, directed=directed).felt
    push, x = torch.randn(2, 6, 5, generator=random, dtype=torch.float64)
    total = np.ones(len(felt.of))
    felt.add_slopes(total, push, x)
    expected = [push[i] @ x[j] + (0.0 if directed else push[j] @ x[i]) for i, j in pairs.tolist()]
    ones = 1.0 if directed else 2.0
    torch.testing.assert_close(felt.slopes(total, len(pairs)) - ones, torch.stack(expected))
