"""Other people's files mean what their formats say, and damaged ones are refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import dimod
import numpy as np
import pytest
from repository import ROOT
from tiny import all_bits

from qubopress import problems
from qubopress.problems import Capacity, InputError, Qubo

PAGE = ROOT / "docs" / "formats.md"

MQLIB = "# comment\n3 5\n1 1 5\n2 2 3\n3 3 1\n1 2 -6\n2 3 -1\n"
QPLIB = """name
QBL # type
maximize
3
1
2
2 1 4
3 3 6
1.5 # default
1
2 -1
0.25
3
1 1 1
1 2 2
1 3 3
1e30
-1e30
0
4
0
0
0
0
0
0
0
0
0
"""
LP = "Maximize\nobj: a - 2 b + [ 4 a * b + 2 c ^ 2 ] / 2 + 1\nst\n"
LP += "row: a + 2 b + 3 c <= 4\nBinary\nc b\na\nEnd\n"


def load(text: str, tmp_path: Path, name: str) -> Qubo | Capacity:
    (tmp_path / f"f.{name}").write_text(text)
    return problems.load_instance(tmp_path / f"f.{name}")


def test_mqlib_maximises_and_counts_pairs_twice(tmp_path) -> None:
    Q = np.array([[5, -6, 0], [-6, 3, -1], [0, -1, 1]])
    np.testing.assert_array_equal(load(MQLIB, tmp_path, "mqlib").Q, -Q)


def test_qplib_halves_squares_takes_defaults_and_turns_a_maximum(tmp_path) -> None:
    instance = load(QPLIB, tmp_path, "qplib")
    assert isinstance(instance, Capacity)
    assert (list(instance.costs), instance.K) == ([1, 2, 3], 4)
    for x in all_bits(3):
        a, b, c = x
        assert instance.loss(x) == -(4 * a * b + 3 * c + 1.5 * a - b + 1.5 * c + 0.25)


def test_a_linear_qplib_has_no_quadratic_terms(tmp_path) -> None:
    text = QPLIB.replace("QBL", "LBL").replace("\n2\n2 1 4\n3 3 6\n", "\n")
    instance = load(text, tmp_path, "qplib")
    assert isinstance(instance, Capacity)
    for x in all_bits(3):
        assert instance.loss(x) == -(1.5 * x[0] - x[1] + 1.5 * x[2] + 0.25)


def test_lp_takes_the_order_of_its_binaries(tmp_path) -> None:
    instance = load(LP, tmp_path, "lp")
    assert (list(instance.costs), instance.K) == ([3, 2, 1], 4)
    for x in all_bits(3):
        c, b, a = x
        assert instance.loss(x) == -(a - 2 * b + 2 * a * b + c + 1)


@pytest.mark.parametrize("vartype", ["SPIN", "BINARY"])
@pytest.mark.parametrize("version", [1, 2])
def test_a_labelled_bqm_keeps_the_order_of_its_variables(vartype, version, tmp_path) -> None:
    bqm = dimod.BinaryQuadraticModel({"z": 1.0, "a": -2.0, "m": 0.5}, {("z", "m"): 3.0}, 0.25, vartype)
    with bqm.to_file(version=version) as file:
        (tmp_path / "f.bqm").write_bytes(file.read())
    points = all_bits(3)
    values = points if vartype == "BINARY" else 2 * points - 1
    losses = problems.load_instance(tmp_path / "f.bqm").losses(points)
    np.testing.assert_allclose(losses, bqm.energies((values, list(bqm.variables))))


def test_a_graph_under_mqlibs_ending_is_read_only_when_its_format_is_named(tmp_path) -> None:
    (tmp_path / "G1.mqlib").write_text("3 2\n1 2 1\n2 3 -1\n")
    with pytest.raises(InputError, match=r"G1\.mqlib must hold a QUBO and may be a graph for Max-Cut"):
        problems.load_instance(tmp_path / "G1.mqlib")
    cut = problems.load_instance(tmp_path / "G1.mqlib", format="gset")
    assert cut.losses(all_bits(3)).min() == -1.0
    own = problems.load_instance(tmp_path / "G1.mqlib", format="mqlib")
    problems.save_instance(own, tmp_path / "own.mqlib")
    np.testing.assert_array_equal(problems.load_instance(tmp_path / "own.mqlib").Q, own.Q)


@pytest.mark.parametrize("name", ["bqm", "coo", "cqm", "lp", "mqlib", "npz"])
def test_every_cut_of_a_file_of_ours_is_refused(name, tmp_path) -> None:
    path = tmp_path / f"f.{name}"
    problems.save_instance(Qubo([[1.25, -2.5], [0, 3.75]], offset=10.5), path)
    whole = path.read_bytes()
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=rf"f.{name}"):
            problems.load_instance(path)


@pytest.mark.parametrize("name", ["bqm", "coo", "cqm", "lp", "mqlib", "npz", "qplib"])
@pytest.mark.parametrize("content", [b"", b"\n", b"  \n\n"])
def test_an_empty_file_is_refused(name, content, tmp_path) -> None:
    (tmp_path / f"f.{name}").write_bytes(content)
    with pytest.raises(InputError, match=rf"f.{name}") as caught:
        problems.load_instance(tmp_path / f"f.{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "comment", ["vartype=SPIN", " a model, vartype: SPIN", "vartype=Vartype.SPIN", "  vartype=spin and more"]
)
def test_a_vartype_stands_anywhere_in_a_comment_as_dimod_has_it(comment, tmp_path) -> None:
    bqm = dimod.BinaryQuadraticModel({0: 1.0, 1: 0.0}, {(0, 1): -2.0}, "SPIN")
    losses = load(f"#{comment}\n0 0 1\n0 1 -2\n", tmp_path, "coo").losses(all_bits(2))
    np.testing.assert_allclose(losses, bqm.energies((2 * all_bits(2) - 1, [0, 1])))


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_every_kind_of_line_end_is_one(end, tmp_path) -> None:
    text = "# vartype=BINARY\n# offset: 2.5\n0 0 1\n0 1 -2\n"
    (tmp_path / "f.coo").write_bytes(text.replace("\n", end).encode())
    losses = problems.load_instance(tmp_path / "f.coo").losses(all_bits(2))
    assert sorted(losses) == [1.5, 2.5, 2.5, 3.5]


def test_a_damaged_binary_file_is_refused_wherever_it_ends(tmp_path) -> None:
    for name in ("bqm", "cqm"):
        path = tmp_path / f"f.{name}"
        problems.save_instance(Qubo([[1, 2], [0, 3]]), path)
        whole = path.read_bytes()
        for end in range(0, len(whole), 7):
            path.write_bytes(whole[:end])
            with pytest.raises(InputError, match=rf"^[^\n]*f.{name} must be a whole file[^\n]*$"):
                problems.load_instance(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("coo", "0 0 1\n0 x 1\n", "line 2: the line must be i j value, got '0 x 1'"),
        ("coo", "0 0 1\n0 1\n", "line 2: the line must be i j value"),
        ("coo", "0 0 nan\n", "line 1: "),
        ("coo", "0 -1 2\n", "line 1: variables must be integers"),
        ("coo", "0 999999999999 2\n", "line 1: variables must be integers"),
        ("mqlib", MQLIB.replace("3 5", "3 6"), "6 lines with i j value must follow, got 5"),
        ("mqlib", MQLIB.replace("2 3 -1", "2 4 -1"), r"line 7: variables must be integers in \[1, 3\]"),
        ("mqlib", MQLIB.replace("2 2 3", "1 1 3"), "must name each diagonal entry once"),
        ("qplib", QPLIB.replace("QBL", "QML"), "line 2: the type must be QBN, QBB or QBL"),
        ("qplib", QPLIB[: QPLIB.index("1e30")], "end of file: the value for infinity must follow"),
        ("qplib", QPLIB + "7\n", "the file must end here"),
        ("lp", LP.replace("- 2 b", "- 2 q"), "line 2: variable 'q' must be listed under Binaries"),
        ("lp", LP.replace("End\n", ""), "the file must end with End"),
        ("lp", LP.replace("<= 4", "<= 4\nr: a <= 1"), "at most one constraint"),
        (
            "lp",
            LP.replace("Binary", "Bounds\na <= 3\nBinary"),
            "line 6: binary variables must have no bounds",
        ),
        ("lp", LP.replace("+ 3 c", "- 3 c"), "holds no instance: every variable must have a positive"),
    ],
)
def test_damage_is_told_in_one_line(name, text, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(text, tmp_path, name)
    assert "\n" not in str(caught.value)
    assert f"f.{name}" in str(caught.value)


def test_the_example_of_the_page_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, {})
    assert (tmp_path / "small.qplib").exists()
