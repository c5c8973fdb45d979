"""Sets of instances as files."""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT
from warm import write_suite

from qubopress import problems, suites
from qubopress.problems import InputError, Qubo
from qubopress.suites.exchange import manifest
from qubopress.suites.exchange.slices import Limits
from qubopress.suites.exchange.writing import write_instances

SUITE = """
seconds = 1
[[problem]]
name = "random-qubo"
n = [8, 12]
[[problem]]
name = "taylor"
network = "digits-cnn"
keep = 0.5
[[problem]]
name = "adaround"
network = "digits-softmax"
bits = 2
[[solver]]
name = "tabu"
"""

PUBLISHED = ROOT / "results/data/qubopress-1"

QUICK = ("random-qubo", "taylor", "adaround-neuron/digits-mlp*", "topology/digits-mlp/density=0.1")


@pytest.fixture
def small(tmp_path: Path) -> suites.Suite:
    return suites.load(write_suite(tmp_path, SUITE))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


FORMATS = ("bqm", "coo", "cqm", "lp", "mqlib", "qplib", "npz")


def test_a_set_has_the_same_bytes_each_time_in_every_format(small: suites.Suite, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_instances(small, tmp_path / name, formats=FORMATS, limits=Limits(whole=20))
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize("whole", [0, 20])
def test_every_file_has_the_losses_that_the_manifest_tells(
    small: suites.Suite, tmp_path: Path, whole: int
) -> None:
    written = write_instances(small, tmp_path / "set", formats=FORMATS, limits=Limits(whole=whole))
    assert manifest.read(tmp_path / "set") == written
    rng = np.random.default_rng(0)
    for entry in written:
        read = [problems.load_instance(tmp_path / "set" / name) for name in entry.files]
        points = rng.integers(0, 2, (4, entry.n))
        for one in read:
            assert (one.n, one.offset) == (entry.n, pytest.approx(entry.offset, rel=1e-12))
            assert one.losses(points) == pytest.approx(read[-1].losses(points), rel=1e-9)
            assert one.loss(one.baseline()) == pytest.approx(entry.baseline, rel=1e-9)


def test_what_a_format_cannot_hold_is_left_out_and_named(small: suites.Suite, tmp_path: Path) -> None:
    told: list[str] = []
    write_instances(small, tmp_path / "set", formats=["mqlib"], told=told.append)
    reason = "taylor-digits-cnn-keep-0.5: a .mqlib file cannot hold a Capacity"
    assert reason in told
    assert json.loads((tmp_path / "set/manifest.json").read_text())["left_out"] == told


def test_npz_alone_keeps_a_layer_whole(small: suites.Suite, tmp_path: Path) -> None:
    written = write_instances(small, tmp_path / "set", formats=["npz"])
    layer = next(one for one in written if one.problem == "adaround")
    assert (layer.shape, layer.n) == ("Rounding", 650)
    kept = problems.load_instance(tmp_path / "set" / f"{layer.name}.npz")
    assert kept.shape == (10, 65)


def test_the_table_tells_what_the_manifest_tells(small: suites.Suite, tmp_path: Path) -> None:
    write_instances(small, tmp_path / "set", formats=["lp", "qplib"])
    table = (tmp_path / "set/manifest.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["name"] for row in rows] == [one.name for one in manifest.read(tmp_path / "set")]
    sums = (tmp_path / "set/SHA256SUMS").read_text().split("\n")[:-1]
    assert len(sums) == 2 * len(rows)
    assert all(row["licence"] for row in rows)


def test_a_known_solution_comes_with_its_bits_and_its_proof(small: suites.Suite, tmp_path: Path) -> None:
    (tmp_path / "known").mkdir()
    first = write_instances(small.narrowed(problem="random-qubo"), tmp_path / "set")
    one = problems.load_instance(tmp_path / "set" / f"{first[0].name}.npz")
    assert isinstance(one, Qubo)
    loss = one.loss([1, 0, 1, 0, 0, 0, 0, 0])
    for head, proven in ((f"# loss={loss!r} by=me\n# proven", True), ("# loss=3.0 by=me\n# proven", False)):
        (tmp_path / f"known/{first[0].name}.txt").write_text(f"{head}\n10100000\n")
        (again, other) = write_instances(
            small.narrowed(problem="random-qubo"), tmp_path / "set", known=tmp_path / "known"
        )
        assert again.best == manifest.Best(loss, "10100000", "me", proven=proven)
        assert other.best is None


def test_an_unknown_format_and_a_folder_that_cannot_be_are_refused(
    small: suites.Suite, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"--format must be one of .*, got 'gset'"):
        write_instances(small, tmp_path, formats=["gset"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--out must be a folder that can be made"):
        write_instances(small, tmp_path / "file/set")
    with pytest.raises(InputError, match=r"no manifest.json in .*; write a set by"):
        manifest.read(tmp_path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published set, unpacked."""
    folder = tmp_path_factory.mktemp("published")
    with tarfile.open(PUBLISHED / "qubopress-1.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_the_published_files_have_their_checksums(archive: Path) -> None:
    text = (PUBLISHED / "SHA256SUMS").read_text(encoding="ascii")
    sums = dict(line.split("  ")[::-1] for line in text.splitlines())
    entries = manifest.read(archive)
    assert len(entries) == len(sums) >= 60
    assert {file: sha for one in entries for file, sha in one.files.items()} == sums
    for name, sha in sums.items():
        assert hashlib.sha256((archive / name).read_bytes()).hexdigest() == sha
    assert {path.name for path in archive.iterdir()} == {*sums, "manifest.json", "SHA256SUMS"}


def test_the_published_set_has_every_family_and_size(archive: Path) -> None:
    entries = manifest.read(archive)
    assert {one.family for one in entries} == {"rounding", "pruning", "analog", "qubo"}
    assert min(one.n for one in entries) >= 20
    assert max(one.n for one in entries) >= 785
    for family in ("rounding", "pruning", "analog", "qubo"):
        proven = {one.best is not None and one.best.proven for one in entries if one.family == family}
        assert proven >= ({True} if family == "pruning" else {True, False}), family


def test_best_known_solutions_of_the_published_set_hold(archive: Path) -> None:
    for one in manifest.read(archive):
        assert one.best is not None
        instance = problems.load_instance(archive / next(iter(one.files)))
        x = np.array(list(map(int, one.best.bits)))
        assert instance.loss(x) == one.best.loss
        assert instance.violation(x) == 0


def rebuilt(folder: Path, archive: Path, *globs: str) -> None:
    """Built here it has the published coefficients, up to what another processor's float32 moves."""
    suite = suites.load("qubopress-1")
    for at, glob in enumerate(globs):
        out = folder / str(at)
        for one in write_instances(
            suite.narrowed(problem=glob), out, formats=["qplib"], limits=Limits(whole=20)
        ):
            here, there = (problems.load_instance(place / f"{one.name}.qplib") for place in (out, archive))
            far = abs(here.Q - there.Q).max()
            assert far <= 64, f"{one.name} is off by {far} units of 2**20"
            assert here.K == there.K


def test_some_of_the_published_set_is_built_again(tmp_path: Path, archive: Path) -> None:
    rebuilt(tmp_path, archive, *QUICK)


@pytest.mark.slow
def test_the_whole_published_set_is_built_again(tmp_path: Path, archive: Path) -> None:
    rebuilt(tmp_path, archive, "*")
