"""What other packages' writers leave of a QUBO's digits is told where a file shows it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import dimod
import numpy as np
import pytest
from dimod.serialization import coo
from tiny import all_bits

from qubopress import problems
from qubopress.problems import Qubo

LINEAR = {0: -1.0, 1: -2.0, 2: 1 / 3}


def dumped(path: Path, scale: float) -> Path:
    """A model of three bits as dimod's COO text."""
    linear = {v: scale * bias for v, bias in LINEAR.items()}
    model = dimod.BinaryQuadraticModel(linear, {(0, 1): 4 * scale, (1, 2): -scale}, "BINARY")
    path.write_text(coo.dumps(model))
    return path


def test_biases_that_dimods_coo_has_lost_are_told(tmp_path: Path) -> None:
    path = dumped(tmp_path / "f.coo", 1e-7)
    told = (
        rf"^{re.escape(str(path))}: 4 of 5 biases are 0\.000000, as dimod's .* as \.bqm to keep all digits$"
    )
    with pytest.warns(UserWarning, match=told):
        problems.load_instance(path)


def test_zeros_that_were_zeros_are_no_loss(tmp_path: Path) -> None:
    dumped(tmp_path / "f.coo", 1.0)
    problems.load_instance(tmp_path / "f.coo")
    (tmp_path / "g.coo").write_text("0 0 -0.5\n0 1 0.000000\n1 1 0.0\n10 1 0.000000\n")
    assert problems.load_instance(tmp_path / "g.coo").loss(np.ones(11)) == -0.5


@pytest.mark.parametrize("scale", [1e-7, 1e-300, 1.0])
def test_our_coo_keeps_what_dimods_would_lose(scale: float, tmp_path: Path) -> None:
    qubo = Qubo(scale * np.array([[1 / 3, -2.0], [0.0, 1e-9]]), offset=scale)
    problems.save_instance(qubo, tmp_path / "q.coo")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = problems.load_instance(tmp_path / "q.coo")
    assert again.losses(all_bits(2)).tolist() == qubo.losses(all_bits(2)).tolist()


def test_whole_numbers_of_twenty_bits_outlive_dimods_coo(tmp_path: Path) -> None:
    qubo = Qubo(np.random.default_rng(0).integers(-(2**20), 2**20, (4, 4)).astype(float))
    (tmp_path / "f.coo").write_text(coo.dumps(qubo.to_bqm()))
    assert problems.load_instance(tmp_path / "f.coo").losses(all_bits(4)).tolist() == (
        qubo.losses(all_bits(4)).tolist()
    )


def test_gurobis_lp_of_small_coefficients_is_near_and_of_whole_ones_exact(tmp_path: Path) -> None:
    gurobi = pytest.importorskip("gurobipy", reason="a solver's extra")
    points = all_bits(4)
    whole = Qubo(np.random.default_rng(0).integers(-(2**20), 2**20, (4, 4)).astype(float), offset=-3.0)
    small = Qubo(whole.Q * 1e-12 / 3)
    for qubo, error in ((whole, 0.0), (small, 1e-4 * small.resolution + 1e-11)):
        problems.save_instance(qubo, tmp_path / "ours.lp")
        with gurobi.Env(params={"OutputFlag": 0}) as environment:
            gurobi.read(str(tmp_path / "ours.lp"), env=environment).write(str(tmp_path / "theirs.lp"))
        theirs = problems.load_instance(tmp_path / "theirs.lp")
        assert abs(theirs.losses(points) - qubo.losses(points)).max() <= error
