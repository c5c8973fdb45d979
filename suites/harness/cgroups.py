"""Control groups: a memory cap that Linux enforces on a cell and on all that came of it.

Groups are made only where that is ours to do: under a group that systemd delegated, that belongs to this
user, that is a container's own root, or that $QUBOPRESS_CGROUP names. Being root is no delegation: the group
of a batch system or of a service manager is theirs. Elsewhere the watchdog of `child` keeps the cap.

A page counts for the group that touched it first, so what a cell shares with the warm server is not its own.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

__all__ = ["Group", "Home", "find"]

CAP = {1: "memory.limit_in_bytes", 2: "memory.max"}
"""File of the cap, by the version of control groups."""

SWAP = {1: "memory.memsw.limit_in_bytes", 2: "memory.swap.max"}
"""File of the cap on memory with swap, or on swap alone; absent where swap is not counted."""

EVENTS = {1: "memory.oom_control", 2: "memory.events"}
"""File with a line `oom_kill N`: how many processes of the group were killed for want of memory."""

_numbers = itertools.count()
"""Of the groups of this process, whatever server they are for."""

CLOSE_SECONDS = 1.0
"""How long a group that a killed process still seems to be in is waited for at the end."""


@dataclass(frozen=True)
class Group:
    """A cell's own group. A process enters by writing 0 to `cgroup.procs`; what it starts is born in it."""

    folder: Path
    version: int

    @property
    def name(self) -> str:
        """For people: what enforces the cap."""
        return f"cgroup v{self.version} {CAP[self.version]}"

    def killed(self) -> bool:
        """Whether Linux killed a process of the group for want of memory."""
        try:
            lines = (self.folder / EVENTS[self.version]).read_text(encoding="ascii").splitlines()
        except OSError:
            return False
        return any(line.split()[:1] == ["oom_kill"] and int(line.split()[1]) > 0 for line in lines)


@dataclass
class Home:
    """A folder under which cells may have groups.

    Attributes:
        folder: the group above.
        version: of control groups, 1 or 2.
        leaf: where this process and its family went, because a group of version 2 that gives its children a
            controller holds no process itself; None where they stayed.
        left: groups that are yet to be removed.
    """

    folder: Path
    version: int
    leaf: Path | None = None
    left: list[Group] = field(default_factory=list)

    def make(self, cap: int) -> Group:
        """A group with a cap in bytes.

        Raises:
            OSError: it cannot be made.
        """
        self._retry()
        group = Group(self.folder / f"{_prefix(os.getpid())}-{next(_numbers)}", self.version)
        group.folder.mkdir()
        try:
            _write(group.folder / CAP[self.version], cap)
        except OSError:
            self.remove(group)
            raise
        swap = cap if self.version == 1 else 0
        for name, value in ((SWAP[self.version], swap), ("memory.oom.group", 1)):
            # The one is absent where swap is not counted, the other in version 1.
            if (group.folder / name).exists():
                with suppress(OSError):
                    _write(group.folder / name, value)
        return group

    def remove(self, group: Group) -> None:
        """Remove an ended cell's group; later where Linux has not quite let go of its processes."""
        self.left.append(group)
        self._retry()

    def _retry(self) -> None:
        self.left = [group for group in self.left if not _removed(group.folder)]

    def works(self) -> bool:
        """Whether a process enters a group made here, tried with one that does nothing else."""
        try:
            group = self.make(1 << 30)
        except OSError:
            return False
        enter = 'echo 0 > "$1"'
        command = ["/bin/sh", "-c", enter, "sh", str(group.folder / "cgroup.procs")]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed arguments
        self.remove(group)
        return done.returncode == 0

    def sweep(self) -> None:
        """Remove the groups of runs that were killed; one that holds a process stays."""
        for folder in self.folder.glob("qubopress-*-*-*"):
            boot, pid = folder.name.split("-")[1:3]
            if boot != _boot() or not pid.isdigit() or not psutil.pid_exists(int(pid)):
                _removed(folder)

    def close(self) -> None:
        """Leave the folder as it was found."""
        end = time.monotonic() + CLOSE_SECONDS
        while self.left and time.monotonic() < end:
            self._retry()
            time.sleep(0.01 if self.left else 0.0)
        if self.leaf is not None:
            with suppress(OSError):
                _write(self.folder / "cgroup.subtree_control", "-memory")
                _move(self.leaf, self.folder)
            _removed(self.leaf)
            self.leaf = None


def find(root: Path = Path("/sys/fs/cgroup"), *, own: Path = Path("/proc/self/cgroup")) -> Home | None:
    """Where this process may make groups that cap memory, None where it may not.

    Parameters:
        root: where control groups are mounted.
        own: the file that names this process's groups.
    """
    named = os.environ.get("QUBOPRESS_CGROUP")
    home = _home(Path(named)) if named else _found(root, own)
    if home is None:
        return None
    home.sweep()
    try:
        usable = (home.version == 1 or _enabled(home)) and home.works()
    except (OSError, ValueError):
        usable = False
    if not usable:
        home.close()
    return home if usable else None


def _found(root: Path, own: Path) -> Home | None:
    """This process's own group of the version that has the memory controller, if it was delegated."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    places = {controllers: path.lstrip("/") for _, controllers, path in lines}
    old = next((path for controllers, path in places.items() if "memory" in controllers.split(",")), None)
    folder = root / places.get("", "") if old is None else root / "memory" / old
    home = _home(folder)
    return home if home is not None and _delegated(folder, root) else None


def _home(folder: Path) -> Home | None:
    """A group with the memory controller, by the files that it has."""
    if (folder / CAP[1]).exists():
        return Home(folder, 1)
    try:
        controllers = (folder / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError:
        return None
    return Home(folder, 2) if "memory" in controllers else None


def _delegated(folder: Path, root: Path) -> bool:
    """Whether a group is ours to divide, beyond our being able to write to it."""
    if not os.access(folder, os.W_OK) or not os.access(folder / "cgroup.procs", os.W_OK):
        return False
    marks = {_attribute(folder, "user.delegate"), _attribute(folder, "trusted.delegate")}
    # The machine's own root has no type, a container's has one.
    container = folder == root and (folder / "cgroup.type").exists()
    users = folder.stat().st_uid == os.geteuid() != 0
    return b"1" in marks or container or users


def _attribute(folder: Path, name: str) -> bytes:
    try:
        return os.getxattr(folder, name)
    except (OSError, AttributeError):
        return b""


def _enabled(home: Home) -> bool:
    """Whether children of the group have the memory controller, after moving ourselves where that is needed.

    Raises:
        OSError: Linux refused a step; `close` undoes those before.
    """
    switch = home.folder / "cgroup.subtree_control"
    if "memory" in switch.read_text(encoding="ascii").split():
        return True
    family = {os.getpid(), *(one.pid for one in psutil.Process().children(recursive=True))}
    inside = set(map(int, (home.folder / "cgroup.procs").read_text(encoding="ascii").split()))
    if not inside <= family:
        # Strangers stay where whoever started them put them.
        return False
    if inside:
        home.leaf = home.folder / f"{_prefix(os.getpid())}-harness"
        home.leaf.mkdir()
        _move(home.folder, home.leaf)
    _write(switch, "+memory")
    return True


def _move(source: Path, target: Path) -> None:
    for pid in (source / "cgroup.procs").read_text(encoding="ascii").split():
        _write(target / "cgroup.procs", pid)


def _write(path: Path, value: int | str) -> None:
    path.write_text(str(value), encoding="ascii")


def _removed(folder: Path) -> bool:
    """Remove a group; False where processes are still in it."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _prefix(pid: int) -> str:
    """Names of a process's groups begin so; the boot tells process ids of the same number apart."""
    return f"qubopress-{_boot()}-{pid}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "00000000"
