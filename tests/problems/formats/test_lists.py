"""Libraries' lists of triples mean what each library says, and are never guessed from a .txt."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import all_bits

from qubopress import problems
from qubopress.problems import InputError, Qubo

POINTS = all_bits(3)
A, B, C = POINTS.T

TRIPLES = "3 4\n1 1 5\n2 2 -3\n1 2 4\n2 3 -7\n"
GRAPH = "3 2\n1 2 4\n2 3 -7\n"
QBSOLV = "c a comment\np qubo 0 3 2 2\n0 0 5\nc\n1 1 -3\n0 1 4\n1 2 -7\n"

TWICE = 5 * A - 3 * B + 2 * 4 * A * B - 2 * 7 * B * C
CUT = 4 * (A != B) - 7 * (B != C)

CASES = [
    ("beasley", f"1\n{TRIPLES}", -TWICE),
    ("biqmac", f"# from a library\n{TRIPLES}", TWICE),
    ("gset", GRAPH, -CUT),
    ("gset", "3 2\n1 2\n2 3\n", -((A != B) * 1 + (B != C))),
    ("qoblib", f"# from a library\n# ObjectiveOffset -1.5\n{TRIPLES}", TWICE - 1.5),
    ("qoblib", TRIPLES, TWICE),
    ("qbsolv", QBSOLV, 5 * A - 3 * B + 4 * A * B - 7 * B * C),
]


@pytest.mark.parametrize(("name", "text", "losses"), CASES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_list_has_the_losses_of_its_library(
    name: str, text: str, losses: np.ndarray, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    (tmp_path / "f.txt").write_bytes(pack(text.encode()))
    found = problems.load_instance(tmp_path / "f.txt", format=name).losses(POINTS)
    np.testing.assert_allclose(found, losses)


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("sparse", TRIPLES),
        ("bq", TRIPLES),
        ("rud", GRAPH),
        ("mc", GRAPH),
        ("qubo", QBSOLV),
        ("qubo.gz", QBSOLV),
        ("qs", TRIPLES),
        ("qs.xz", TRIPLES),
    ],
)
def test_an_ending_of_its_own_tells_the_library(ending: str, text: str, tmp_path: Path) -> None:
    data = text.encode()
    pack = {"gz": gzip.compress, "xz": lzma.compress}.get(ending[-2:], bytes)
    (tmp_path / f"f.{ending}").write_bytes(pack(data))
    assert problems.load_instance(tmp_path / f"f.{ending}").n == 3


def test_a_txt_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(TRIPLES, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"or pass format= \(--input-format\), such as beasley, biqmac, gset"
    ):
        problems.load_instance(tmp_path / "f.txt")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("beasley", f"10\n{TRIPLES}", "must hold one problem, got 10; cut one out"),
        ("beasley", TRIPLES, "number of problems must be whole"),
        ("biqmac", TRIPLES + "1 1 1\n", "the file must end here"),
        ("biqmac", TRIPLES.replace("2 3", "2 4"), r"variables must be integers in \[1, 3\]"),
        ("gset", GRAPH.replace("1 2 4", "1 1 4"), "edges between two vertices, got one from 1 to itself"),
        ("qbsolv", TRIPLES, "the first line must be p qubo 0 n diagonals couplings"),
        ("qbsolv", QBSOLV.replace("3 2 2", "3 1 3"), "must have 1 diagonal entries as it says, got 2"),
        ("qbsolv", QBSOLV.replace("0 3 2", "0 999999999 2"), "the number of variables must be at most"),
        ("gset", "", "must follow, got nothing"),
        (
            "qoblib",
            f"# ObjectiveOffset 1\n# ObjectiveOffset 2\n{TRIPLES}",
            "one comment ObjectiveOffset, got 2",
        ),
        ("qoblib", f"# ObjectiveOffset inf\n{TRIPLES}", "a finite number in its comment ObjectiveOffset"),
        ("qoblib", f"# ObjectiveOffset\n{TRIPLES}", "a finite number in its comment ObjectiveOffset"),
    ],
)
def test_damage_in_a_list_is_told_in_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        problems.load_instance(tmp_path / "f.txt", format=name)
    assert "\n" not in str(caught.value)


def test_a_format_that_is_only_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gset is read and not written; save as \.bqm"):
        problems.save_instance(Qubo([[1.0]]), tmp_path / "f.rud")
    assert not list(tmp_path.iterdir())


def test_a_damaged_or_a_bursting_gzip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gzip.compress(b"# vartype=BINARY\n" + b"0 0 1\n" * 500)
    path = tmp_path / "f.coo.gz"
    for content in (whole[:-9], whole[:12] + b"\xff" * 9 + whole[21:], whole + b"\x1f\x8b"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="must be a whole gzip file, got"):
            problems.load_instance(path)
    path.write_bytes(whole)
    assert problems.load_instance(path).n == 1
    monkeypatch.setattr("qubopress.problems.instances.npz.MOST_BYTES", 1000)
    with pytest.raises(InputError, match="must unpack to at most 1000 bytes, got more"):
        problems.load_instance(path)


@pytest.mark.parametrize(("pack", "kind"), [(gzip.compress, "gzip"), (lzma.compress, "xz")])
def test_a_packed_file_that_was_cut_or_damaged_is_refused(
    pack: Callable[[bytes], bytes], kind: str, tmp_path: Path
) -> None:
    data = pack(TRIPLES.encode() * 50)
    damaged = data[:30] + bytes([data[30] ^ 255]) + data[31:]
    for content, why in ((data[:-4], "one that is cut off"), (damaged, "a damaged one|one that is cut off")):
        (tmp_path / "f.qs").write_bytes(content)
        with pytest.raises(InputError, match=f"must be a whole {kind} file, got ({why})"):
            problems.load_instance(tmp_path / "f.qs")
