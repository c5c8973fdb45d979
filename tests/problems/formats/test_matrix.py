"""A plain matrix in NumPy's files is a Qubo; sizes are checked before anything is read."""

from __future__ import annotations

import io
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from tiny import all_bits

from qubopress import problems
from qubopress.problems import InputError, Qubo
from qubopress.problems.instances import npz

Q = np.array([[1.0, -3.0, 0.0], [0.0, 2.0, 1.5], [4.0, 0.0, -1.0]])


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed", "csr", "csc", "coo"])
def test_a_plain_matrix_is_read_with_its_own_losses(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("q.npy" if kind == "npy" else "q.npz")
    if kind in ("csr", "csc", "coo"):
        sp.save_npz(path, sp.csr_array(Q).asformat(kind))
    else:
        {"npy": np.save, "npz": np.savez, "compressed": np.savez_compressed}[kind](path, Q)
    points = all_bits(3)
    wanted = np.einsum("ki,ij,kj->k", points, Q, points)
    np.testing.assert_allclose(problems.load_instance(path).losses(points), wanted)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": Q, "b": Q}, "must hold one matrix or an instance of ours, got 2 arrays: a, b"),
        ({"a": Q[:2]}, "Q must be square"),
        ({"a": Q[0]}, "Q must have 2 dimension"),
        ({"a": Q * np.nan}, "Q must be finite"),
        ({"a": np.array([["x"]])}, "Q must hold real numbers"),
        ({"a": np.array([[None]])}, "an instance written by instance.save"),
        ({"format": np.bytes_(b"dia"), "shape": [3, 3], "data": [1.0]}, "save it by scipy.sparse.save_npz"),
        ({"format": np.bytes_(b"csr"), "shape": [3, 3], "data": [1.0]}, "save it by scipy.sparse.save_npz"),
    ],
)
def test_other_arrays_are_refused(arrays: dict[str, object], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "q.npz", **arrays)
    with pytest.raises(InputError, match=message):
        problems.load_instance(tmp_path / "q.npz")


def header(text: str) -> bytes:
    """An .npy file of a header alone."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


HEADERS = [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (29000, 29000), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 9), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 3), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 500 + "}\n",
    "{'descr': 'O', 'fortran_order': False, 'shape': (1,), }\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1e400,), }\n",
    "'''",
    "",
]


@pytest.mark.parametrize("text", HEADERS)
@pytest.mark.parametrize("bare", [False, True])
def test_a_damaged_header_or_a_giant_shape_is_refused_before_memory_is_taken(
    text: str, bare: bool, tmp_path: Path
) -> None:
    path = tmp_path / ("q.npy" if bare else "q.npz")
    if bare:
        path.write_bytes(header(text))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("kind.npy", npy(np.str_("qubo")))
            archive.writestr("Q.npy", header(text))
            archive.writestr("offset.npy", npy(np.float64(0)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"must be an instance written by instance\.save") as caught:
        problems.load_instance(path)
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def npy(array: object) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(array))
    return content.getvalue()


def test_what_unpacks_to_more_than_a_file_may_have_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "MOST_BYTES", 1000)
    np.savez_compressed(tmp_path / "q.npz", kind=np.str_("qubo"), Q=np.zeros((20, 20)), offset=0.0)
    with pytest.raises(InputError, match="must unpack to at most 1000 bytes, got"):
        problems.load_instance(tmp_path / "q.npz")
    np.savez(tmp_path / "q.npz", kind=np.str_("qubo"), Q=np.zeros((20, 20)), offset=0.0)
    assert problems.load_instance(tmp_path / "q.npz").n == 20


def test_an_infinite_size_is_refused(tmp_path: Path) -> None:
    parts = {"data": np.zeros(0), "indices": np.zeros(0, int), "indptr": np.zeros(1, int), "offset": 0.0}
    for n in (np.inf, -1.0, np.nan, 1e300, "x"):
        np.savez(tmp_path / "q.npz", kind=np.str_("qubo"), n=n, **parts)
        with pytest.raises(InputError, match=r"must be an instance written by instance\.save"):
            problems.load_instance(tmp_path / "q.npz")


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.bsr_array])
def test_a_sparse_matrix_with_indices_outside_is_refused(make: type) -> None:
    matrix = make(np.eye(3))
    indices = matrix.coords[0] if make is sp.coo_array else matrix.indices
    indices[0] = 1000
    with pytest.raises(InputError, match=r"Q must be a sound c|Q must be a sound b"):
        Qubo(matrix)


def test_mutated_files_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Qubo(sp.csr_array(Q), 0.5).save(tmp_path / "q.npz")
    whole = (tmp_path / "q.npz").read_bytes()
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 4)):
            content[place] = rng.integers(256)
        (tmp_path / "m.npz").write_bytes(content)
        assert "\n" not in told(tmp_path / "m.npz")


def told(path: Path) -> str:
    """What is wrong with a file, "" where it is read."""
    try:
        problems.load_instance(path)
    except InputError as error:
        return str(error)
    return ""
