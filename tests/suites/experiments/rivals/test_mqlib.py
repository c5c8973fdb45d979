"""MQLib is started as its users start it, and only bits that it puts out are believed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qubopress.problems import InputError, Qubo
from qubopress.suites.experiments import peers
from qubopress.suites.experiments.rivals.mqlib import HEURISTICS, best_found

LIKE_MQLIB = """
import sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
lines = [line.split() for line in open(words["-fQ"]) if not line.startswith("#")]
gains = {int(i): float(q) for i, j, q in lines[1:] if i == j}
assert set(words) >= {"-h", "-r", "-s", "-ps"}
print(f"1,{words['-h']},,0,1,[]\\n\\nSolution:")
print(*(int(gains.get(i, 0) > 0) for i in range(1, int(lines[0][0]) + 1)))
"""
"""Maximises fields alone, and puts out what MQLib does."""


def program(folder: Path, text: str) -> Path:
    file = folder / "MQLib"
    file.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    file.chmod(0o755)
    return file


def test_bits_are_read_in_the_order_of_the_variables_and_the_sense_is_ours(tmp_path: Path) -> None:
    qubo = Qubo(np.diag([1.0, -2.0, 3.0, -4.0]))
    x = best_found(program(tmp_path, LIKE_MQLIB), HEURISTICS[0], qubo, 0.1, 0)
    assert x.tolist() == [0, 1, 0, 1]
    assert x.dtype == np.int8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print('Solution:\\n0 1')", "put out 4 bits, got '0 1'"),
        ("print('Solution:\\n0 1 2 0')", "put out 4 bits, got '0 1 2 0'"),
        ("print('usage')", "put out 4 bits, got 'usage'"),
        (
            "import sys\nprint('Solution:\\n0 1 1 0')\nsys.exit('no such heuristic')",
            "got 'no such heuristic'",
        ),
        ("", "got 'nothing'"),
    ],
)
def test_what_is_no_answer_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be MQLib's executable and put out 4 bits, got ") as caught:
        best_found(program(tmp_path, text), "LU2010", Qubo(np.eye(4)), 0.1, 0)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_started_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must run MQLib's LU2010, got \[Errno 2\]"):
        best_found(tmp_path / "none", "LU2010", Qubo(np.eye(4)), 0.1, 0)


def test_its_heuristics_stand_beside_ours(tmp_path: Path) -> None:
    contests = list(peers.instances(quick=True))
    (title, make) = peers._mqlib_table(program(tmp_path, LIKE_MQLIB), contests, 0.05, 1)["mqlib"]
    table = make()
    assert title == "mean loss at 0.05 s beside MQLib"
    assert isinstance(table, pd.DataFrame)
    named = ["instance", "n", *(f"our {name}" for name in peers.OURS), *HEURISTICS, "ahead"]
    assert table.columns.tolist() == named
    assert table["ahead"].str.startswith("our ").all()
