"""Instances survive the disk, and files that are no instances are refused without being run."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest
import scipy.sparse as sp
from tiny import all_bits, random_gram

from qubopress import problems
from qubopress.problems import Capacity, InputError, MissingDataError, Qubo, Rounding
from qubopress.problems.instances.npz import write_arrays


def random_q(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, n))


def rounding() -> Rounding:
    gram = random_gram(np.random.default_rng(0), 3)
    return Rounding(gram, [[0.1, 0.2, 0.3]], 0.5, [2, 4, 3], [[-1, 2, -1]])


INSTANCES = {
    "qubo": (Qubo, Qubo(random_q(), 1.5)),
    "sparse qubo": (Qubo, Qubo(sp.csr_array(random_q()), 1.5)),
    "empty qubo": (Qubo, Qubo(np.zeros((0, 0)))),
    "empty sparse qubo": (Qubo, Qubo(sp.csr_array((3, 3)))),
    "capacity": (Capacity, Capacity(random_q(), np.ones(4), 2, 0.25)),
    "sparse capacity": (Capacity, Capacity(sp.csr_array(random_q()), [1, 2, 3, 4.5], 5.5, 0.25)),
    "rounding": (Rounding, rounding()),
}
each_instance = pytest.mark.parametrize(("shape", "instance"), INSTANCES.values(), ids=INSTANCES.keys())


@each_instance
def test_what_is_loaded_is_what_was_saved(shape, instance, tmp_path) -> None:
    instance.save(tmp_path / "instance.npz")
    for loaded in (
        shape.load(tmp_path / "instance.npz"),
        problems.load_instance(str(tmp_path / "instance.npz")),
    ):
        assert type(loaded) is shape
        assert loaded.shape == instance.shape
        points = all_bits(instance.n) if shape is not Rounding else all_bits(3)[:, None]
        np.testing.assert_array_equal(loaded.losses(points), instance.losses(points))
        assert [loaded.violation(x) for x in points] == [instance.violation(x) for x in points]


@pytest.mark.parametrize("units", [1, 3, 6])
@pytest.mark.parametrize("matrix", [np.array, sp.csr_array])
def test_the_least_numbers_that_float64_has_survive_the_disk(units, matrix, tmp_path) -> None:
    before = Qubo(matrix([[0.0, 0.0], [units * 5e-324, 0.0]]))
    before.save(tmp_path / "q.npz")
    np.testing.assert_array_equal(
        Qubo.load(tmp_path / "q.npz").losses(all_bits(2)), before.losses(all_bits(2))
    )


def test_a_sparse_matrix_that_is_symmetric_keeps_its_values() -> None:
    least = 3 * 5e-324
    Q = Qubo(sp.csr_array(np.array([[0.0, least], [least, 0.0]]))).Q
    assert Q.toarray().tolist() == [[0.0, least], [least, 0.0]]


def test_sparse_stays_sparse(tmp_path) -> None:
    Qubo(sp.csr_array(random_q())).save(tmp_path / "q.npz")
    assert Qubo.load(tmp_path / "q.npz").sparse


def test_rounding_keeps_its_levels_and_fixed_values(tmp_path) -> None:
    before = rounding()
    before.save(tmp_path / "r.npz")
    after = Rounding.load(tmp_path / "r.npz")
    for name in ("gram", "shift", "scale", "levels", "fixed"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_the_path_is_taken_as_it_is(tmp_path) -> None:
    Qubo(random_q()).save(tmp_path / "no-suffix")
    assert os.listdir(tmp_path) == ["no-suffix"]
    assert Qubo.load(tmp_path / "no-suffix").n == 4


def test_saving_again_replaces_the_file_and_leaves_no_other(tmp_path) -> None:
    path = tmp_path / "q.npz"
    Qubo(np.eye(2)).save(path)
    Qubo(np.eye(3)).save(path)
    assert Qubo.load(path).n == 3
    assert os.listdir(tmp_path) == ["q.npz"]


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch) -> None:
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    path = tmp_path / "q.npz"
    Qubo(np.eye(2)).save(path)
    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(
        InputError, match=r"q.npz must be a place to write a file, got: No space left on device"
    ):
        Qubo(np.eye(3)).save(path)
    assert Qubo.load(path).n == 2
    assert os.listdir(tmp_path) == ["q.npz"]


def test_a_saved_file_has_the_rights_of_any_other(tmp_path) -> None:
    Qubo(np.eye(2)).save(tmp_path / "q.npz")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("q.npz", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize("place", ["missing/q.npz", "file/q.npz", "."])
def test_a_place_that_cannot_be_written_is_refused(place, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="must be a place to write a file, got: "):
        Qubo(np.eye(2)).save(tmp_path / place)


@pytest.mark.parametrize("load", [Qubo.load, Capacity.load, Rounding.load, problems.load_instance])
def test_a_missing_file_is_missing_data(load, tmp_path) -> None:
    with pytest.raises(MissingDataError, match=r"no instance file at .*; write one with instance.save"):
        load(tmp_path / "none.npz")
    with pytest.raises(MissingDataError, match="no instance file at"):
        load(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path) -> None:
    Qubo(np.eye(2)).save(tmp_path / "q.npz")
    with pytest.raises(
        InputError, match=r"must hold a rounding instance, got qubo; use problems.load_instance"
    ):
        Rounding.load(tmp_path / "q.npz")
    write_arrays(tmp_path / "other.npz", "blackbox", {})
    with pytest.raises(InputError, match="must hold one of qubo, capacity, rounding, got 'blackbox'"):
        problems.load_instance(tmp_path / "other.npz")


def whole_file(tmp_path) -> bytes:
    Qubo(random_q()).save(tmp_path / "whole.npz")
    return (tmp_path / "whole.npz").read_bytes()


def garbled(tmp_path) -> bytes:
    content = bytearray(whole_file(tmp_path))
    content[200:260] = bytes(60)
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda _: b"not an instance",
        lambda _: b"PK\x03\x04",
        lambda _: b"\x93NUMPY",
        lambda tmp_path: whole_file(tmp_path)[:300],
        lambda tmp_path: whole_file(tmp_path)[:-1],
        garbled,
    ],
    ids=["empty", "text", "zip magic", "npy magic", "truncated", "one byte short", "garbled"],
)
def test_a_damaged_file_is_refused(content, tmp_path) -> None:
    path = tmp_path / "damaged.npz"
    path.write_bytes(content(tmp_path))
    for load in (Qubo.load, problems.load_instance):
        with pytest.raises(InputError, match=r"damaged.npz must be an instance written by instance.save"):
            load(path)


def test_arrays_without_a_kind_are_no_instance_of_ours(tmp_path) -> None:
    np.savez(tmp_path / "arrays.npz", Q=np.eye(2))
    np.save(tmp_path / "array.npy", np.eye(2))
    for name in ("arrays.npz", "array.npy"):
        with pytest.raises(InputError, match=r"must be an instance written by instance.save"):
            Qubo.load(tmp_path / name)


class Bomb:
    """Raises when unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("where", ["kind", "Q", "offset"])
def test_a_pickle_inside_a_file_is_refused_and_never_run(where, tmp_path) -> None:
    arrays = {"kind": np.str_("qubo"), "Q": np.eye(2), "offset": np.float64(0)}
    arrays[where] = np.array([Bomb()], dtype=object)
    np.savez(tmp_path / "pickle.npz", **arrays)
    for load in (Qubo.load, problems.load_instance):
        with pytest.raises(InputError, match=r"must be an instance written by instance.save"):
            load(tmp_path / "pickle.npz")


@pytest.mark.parametrize(
    ("kind", "arrays"),
    [
        ("qubo", {"Q": np.eye(2)}),
        ("qubo", {"offset": np.float64(0)}),
        ("capacity", {"Q": np.eye(2), "offset": np.float64(0), "costs": np.ones(2)}),
        ("rounding", {"gram": np.eye(2)}),
        ("rounding", {"gram": np.eye(2), "shift": np.zeros((1, 2)), "extra": np.ones(1)}),
    ],
)
def test_a_file_with_other_arrays_is_refused(kind, arrays, tmp_path) -> None:
    write_arrays(tmp_path / "other.npz", kind, arrays)
    with pytest.raises(InputError, match=r"must be an instance written by instance.save"):
        problems.load_instance(tmp_path / "other.npz")


@pytest.mark.parametrize("indices", [[0, 99], [0, -5]])
def test_indices_outside_a_sparse_matrix_are_refused_and_never_followed(indices, tmp_path) -> None:
    arrays = {"data": np.ones(2), "indices": np.array(indices), "indptr": np.array([0, 1, 2]), "n": 2}
    write_arrays(tmp_path / "wild.npz", "qubo", arrays | {"offset": 0.0})
    with pytest.raises(InputError, match=r"must be an instance written by instance.save"):
        Qubo.load(tmp_path / "wild.npz")


def test_a_file_whose_numbers_break_a_rule_names_itself_and_the_rule(tmp_path) -> None:
    write_arrays(tmp_path / "nan.npz", "qubo", {"Q": np.full((2, 2), np.nan), "offset": 0.0})
    with pytest.raises(InputError, match=r"nan.npz holds no qubo instance: Q must be finite, got nan"):
        Qubo.load(tmp_path / "nan.npz")
