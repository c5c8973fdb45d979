"""Control groups: on a folder with the kernel's files, and on the kernel where a group is ours to divide."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from warm import SharedServer, records, share_server, small

from qubopress import suites
from qubopress.suites import plugins
from qubopress.suites.harness import cgroups
from qubopress.suites.harness.cgroups import Group, Home
from qubopress.suites.harness.executor import Job, JobOutcome

SURVEY = {"spec": {"nonsense": 1}, "formulation": ""}

FILES = {
    1: {"memory.limit_in_bytes": "9223372036854771712", "memory.memsw.limit_in_bytes": "9223372036854771712"},
    2: {
        "cgroup.type": "domain",
        "cgroup.controllers": "cpu memory pids",
        "cgroup.subtree_control": "",
        "memory.max": "max",
        "memory.swap.max": "max",
        "memory.oom.group": "0",
    },
}


class Kernel:
    """Folders under `root` come with the files of control groups, and go with them once they are not held."""

    def __init__(self, root: Path, version: int, patch: pytest.MonkeyPatch) -> None:
        self.root, self.version, self.kills, self.gone = root, version, 0, list[str]()
        make, remove = Path.mkdir, Path.rmdir

        def mkdir(path: Path, *args: object, **options: object) -> None:
            make(path, *args, **options)  # type: ignore[arg-type]
            if root in path.parents:
                self.fill(path)

        def rmdir(path: Path) -> None:
            if root not in path.parents:
                return remove(path)
            if (path / "held").exists():
                raise OSError(16, "Device or resource busy")
            # What the kernel shows at the end is what the test has to judge by.
            self.gone.append((path / "cgroup.procs").read_text())
            shutil.rmtree(path)
            return None

        make(root, exist_ok=True)
        self.fill(root)
        patch.setattr(Path, "mkdir", mkdir)
        patch.setattr(Path, "rmdir", rmdir)

    def fill(self, path: Path) -> None:
        events = {1: "memory.oom_control", 2: "memory.events"}[self.version]
        content = {**FILES[self.version], events: f"oom 3\noom_kill {self.kills}\n", "cgroup.procs": ""}
        for name, text in content.items():
            (path / name).write_text(text)

    def groups(self) -> list[Path]:
        return sorted(self.root.glob("**/qubopress-*"))


@pytest.fixture(params=[1, 2])
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Kernel:
    monkeypatch.setenv("QUBOPRESS_CGROUP", str(tmp_path / "ours"))
    return Kernel(tmp_path / "ours", request.param, monkeypatch)


@pytest.fixture
def home(kernel: Kernel) -> Home:
    found = cgroups.find()
    assert found is not None
    return found


def test_a_group_has_the_cap_and_no_swap(kernel: Kernel, home: Home) -> None:
    group = home.make(1 << 20)
    caps = {
        1: {"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576"},
        2: {"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1"},
    }[kernel.version]
    assert {name: (group.folder / name).read_text() for name in caps} == caps
    home.remove(group)
    home.close()
    assert kernel.groups() == []


def test_the_place_is_tried_with_a_process_before_it_is_trusted(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cgroups.find() is not None
    assert kernel.gone == ["0\n"]
    monkeypatch.setattr(cgroups.Home, "works", lambda home: False)
    assert cgroups.find() is None


def test_a_group_that_is_held_is_removed_later(kernel: Kernel, home: Home) -> None:
    first = home.make(1 << 20)
    (first.folder / "held").touch()
    home.remove(first)
    assert kernel.groups() == [first.folder]
    (first.folder / "held").unlink()
    second = home.make(1 << 20)
    assert kernel.groups() == [second.folder]


def test_the_next_run_removes_what_a_killed_one_left(kernel: Kernel) -> None:
    boot, dead = cgroups._boot(), 2**22 + 1
    left = [f"qubopress-{boot}-{dead}-0", "qubopress-0badb007-1-7", f"qubopress-{boot}-{dead}-harness"]
    kept = [f"qubopress-{boot}-{os.getpid()}-900000", f"qubopress-{boot}-{dead}-1"]
    for name in [*left, *kept]:
        (kernel.root / name).mkdir()
    (kernel.root / kept[1] / "held").touch()
    assert cgroups.find() is not None
    assert {path.name for path in kernel.groups()} == set(kept)


# ---- cells in groups


def outcome_in(home: Home, monkeypatch: pytest.MonkeyPatch) -> JobOutcome:
    monkeypatch.setattr(cgroups, "find", lambda: home)
    with SharedServer(memory=1 << 30) as server:
        server._home, server._sought = None, False
        try:
            (outcome,) = server.run([Job("survey", SURVEY)])
        finally:
            server._home, server._sought = None, False
    return outcome


def test_a_cell_enters_its_group_before_it_starts_and_the_row_says_so(
    kernel: Kernel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.gone.clear()
    outcome = outcome_in(home, monkeypatch)
    name = {1: "memory.limit_in_bytes", 2: "memory.max"}[kernel.version]
    assert outcome.limits["memory"] == f"cgroup v{kernel.version} {name} 1024 MiB"
    assert "unexpected keyword argument" in (outcome.answer or {})["broken"]
    assert kernel.gone == ["0"]
    assert kernel.groups() == []


def test_a_kill_for_want_of_memory_is_the_status_memory(
    kernel: Kernel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.kills = 1
    outcome = outcome_in(home, monkeypatch)
    assert (outcome.status, outcome.answer) == ("MEMORY", None)
    assert outcome.reason == "passed the memory cap of 1024 MiB"
    assert kernel.groups() == []


def test_a_group_that_cannot_be_entered_fails_the_cell_and_never_lifts_the_cap(
    kernel: Kernel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel.root / "elsewhere").mkdir()
    monkeypatch.setattr(home, "make", lambda cap: Group(kernel.root / "missing", kernel.version))
    assert outcome_in(home, monkeypatch).status == "CRASHED"


def test_without_a_group_the_watchdog_keeps_the_cap(
    kernel: Kernel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cap: int) -> Group:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(home, "make", refuse)
    assert outcome_in(home, monkeypatch).limits["memory"] == "rss-watchdog 1024 MiB"


# ---- whose groups they are


def found(tmp_path: Path, kernel: Kernel, path: str) -> Home | None:
    own = tmp_path / "own"
    own.write_text({1: f"4:memory:{path}\n0::/\n", 2: f"0::{path}\n"}[kernel.version])
    return cgroups.find(kernel.root, own=own)


@pytest.fixture
def unnamed(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Nobody names a group; the process has one of its own at `there`, which is root's."""
    monkeypatch.delenv("QUBOPRESS_CGROUP")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    there = kernel.root / ("memory/there" if kernel.version == 1 else "there")
    there.mkdir(parents=True)
    return kernel


def test_what_root_can_write_to_is_not_therefore_ours(tmp_path: Path, unnamed: Kernel) -> None:
    assert found(tmp_path, unnamed, "/there") is None
    assert unnamed.gone == []


def test_a_delegated_group_is_ours(tmp_path: Path, unnamed: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_attribute", lambda folder, name: b"1")
    home = found(tmp_path, unnamed, "/there")
    assert home is not None
    assert (home.version, home.folder.name) == (unnamed.version, "there")


def test_a_group_that_belongs_to_the_user_is_ours(
    tmp_path: Path, unnamed: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = (tmp_path / "ours").stat().st_uid or 1000
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        found = list(real(path, **options))
        return os.stat_result([*found[:4], user, *found[5:]])

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(Path, "stat", stat)
    assert found(tmp_path, unnamed, "/there") is not None


@pytest.mark.parametrize("kernel", [2], indirect=True)
def test_a_containers_root_is_ours_and_the_machines_is_not(tmp_path: Path, unnamed: Kernel) -> None:
    assert found(tmp_path, unnamed, "/") is not None
    (unnamed.root / "cgroup.type").unlink()
    assert found(tmp_path, unnamed, "/") is None


@pytest.mark.parametrize("kernel", [2], indirect=True)
def test_we_move_into_a_leaf_only_where_nobody_else_is_in_the_group(kernel: Kernel) -> None:
    (kernel.root / "cgroup.procs").write_text("1\n")
    assert cgroups.find() is None
    assert kernel.groups() == []
    assert (kernel.root / "cgroup.subtree_control").read_text() == ""
    (kernel.root / "cgroup.procs").write_text(f"{os.getpid()}\n")
    home = cgroups.find()
    assert home is not None
    assert home.leaf is not None
    assert (home.leaf / "cgroup.procs").read_text() == str(os.getpid())
    assert (kernel.root / "cgroup.subtree_control").read_text() == "+memory"
    home.close()
    assert (kernel.root / "cgroup.procs").read_text() == str(os.getpid())
    assert (kernel.root / "cgroup.subtree_control").read_text() == "-memory"
    assert kernel.groups() == []


# ---- on the kernel itself

SWELLS = '''
import numpy as np
from qubopress import problems, solvers

@solvers.solver("swells-here", accepts=problems.Capacity)
def swells_here(capacity, run):
    """Takes all the memory there is."""
    held = []
    while True:
        held.append(np.ones(1 << 22))
'''


def test_linux_kills_a_cell_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = cgroups.find()
    if home is None:
        pytest.skip("no control group here is ours to divide; name one by QUBOPRESS_CGROUP to test for real")
    home.close()
    share_server(monkeypatch)
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "swells.py").write_text(SWELLS, encoding="utf-8")
    plugins.load_folder(str(folder))
    SharedServer.stop()
    try:
        suite = small(tmp_path, "swells-here", "random")
        suites.run(suite, store=tmp_path / "r.db", memory=600 << 20, plugin_folder=folder)
    finally:
        SharedServer.stop()
    rows = {record.solver: record for record in records(tmp_path / "r.db")}
    assert rows["swells-here"].status == "MEMORY"
    assert rows["random"].status == "FINISHED"
    assert all(row.limits["memory"].startswith("cgroup v") for row in rows.values())
    assert list(home.folder.glob("qubopress-*")) == []
