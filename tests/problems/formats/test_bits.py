"""Solutions as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qubopress.problems import InputError, Qubo, Rounding
from qubopress.problems.formats.bits import most_bytes, parse_bits, read_bits, write_bits

QUBO = Qubo(np.diag([1.0, -2.0, 3.0]))


@pytest.mark.parametrize(
    "text", ["1\n0\n1\n", "101", "1 0 1", "10\n1\n", "# by hand\n1 # first\n\n0\r\n1", "\ufeff101\n"]
)
def test_a_value_a_line_and_all_in_a_row_are_the_same_bits(text: str) -> None:
    found = parse_bits(text.encode(), QUBO)
    assert found.x.tolist() == [1, 0, 1]
    assert found.loss is None


def test_levels_above_one_stand_a_word_each_and_neuron_after_neuron() -> None:
    layer = Rounding(np.eye(2), [[0.5, 0.5], [0.5, 0.5]], levels=16)
    assert parse_bits(b"0 15\n3\n10", layer).x.tolist() == [[0, 15], [3, 10]]
    assert parse_bits(b"0123", layer).x.tolist() == [[0, 1], [2, 3]]


def test_a_comment_claims_a_loss() -> None:
    assert parse_bits(b"# loss=-1.5e0\n010", QUBO).loss == -1.5
    assert parse_bits(b"010 # loss: 4, I think", QUBO).loss == 4.0
    with pytest.raises(InputError, match=r"a claim # loss=... must be a number, got 'low'"):
        parse_bits(b"# loss=low\n010", QUBO)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "must have 3 values, got 0"),
        (b"10", "must have 3 values, got 2"),
        (b"1 0 1 1", "must have 3 values, got 4"),
        (b"1 0 2", r"0 and 1|in \[0, 2\)|must be"),
        (b"1 -1 1", "a text of 0 and 1, got '-1'"),
        (b"1.0 0 1", "a text of 0 and 1, got '1.0'"),
        ("\u0661\u0660\u0661".encode(), "a text of 0 and 1"),
        (b"\xff\xfe\x00", "must be a text"),
        (b"9999999999 0 1", "must have 3 values, got 12"),
    ],
)
def test_what_is_no_solution_is_refused_in_words(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_bits(data, QUBO)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_bits(tmp_path / "s.txt", np.array([0, 1, 1]), loss=0.1)
    found = read_bits(tmp_path / "s.txt", QUBO)
    assert (found.x.tolist(), found.loss) == ([0, 1, 1], 0.1)


def test_a_file_too_large_and_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes(b"#" * (most_bytes(QUBO) + 1))
    with pytest.raises(InputError, match="must have at most 65584 bytes, got more"):
        read_bits(tmp_path / "s.txt", QUBO)
    with pytest.raises(InputError, match=r"cannot read solution .*: No such file"):
        read_bits(tmp_path / "t.txt", QUBO)
