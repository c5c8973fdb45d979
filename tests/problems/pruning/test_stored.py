"""Matrices of pairs come back from the cache as they went in, sparse ones sparse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from tiny import mlp_task, replay

from qubopress.problems.pruning.stored import measured_once


@pytest.mark.parametrize("kept", [True, False])
def test_dense_and_sparse_arrays_come_back_and_are_measured_once(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path))
    task, asked = replace(mlp_task(), kept=kept), []
    sparse = sp.csr_array(np.array([[0.0, 2.0], [0.0, 0.0]]))

    def build() -> dict[str, object]:
        asked.append(1)
        return {"effects": np.arange(3.0), "similarity": sparse}

    for _ in range(2):
        found = measured_once(task, "pairs", build)
        np.testing.assert_array_equal(found["effects"], np.arange(3.0))
        assert sp.issparse(found["similarity"])
        np.testing.assert_array_equal(found["similarity"].toarray(), sparse.toarray())
    assert len(asked) == (1 if kept else 2)


@pytest.mark.parametrize("problem", ["hybrid", "reconstruction", "taylor", "l1"])
def test_networks_of_many_channels_have_the_same_instance_kept_or_not(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path))
    whole = replay(problem, mlp_task(), keep=0.5)[0][0]
    for module in ("channels", "reconstruction", "selection"):
        monkeypatch.setattr(f"qubopress.problems.pruning.{module}.DENSE", 0)
    for kept in (False, True, True):
        (found, *_), _ = replay(problem, replace(mlp_task(), kept=kept), keep=0.5)
        assert sp.issparse(found.Q)
        np.testing.assert_allclose(found.Q.toarray(), whole.Q, rtol=1e-12, atol=1e-15)
        assert (found.offset, found.K) == pytest.approx((whole.offset, whole.K))
