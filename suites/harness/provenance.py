"""Machine: which code on which machine with which libraries a number comes from, and who else uses it."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ...problems.packages import installed

__all__ = ["Provenance", "commit_here", "provenance", "version_of"]

COMPUTING = ("numpy", "scipy", "torch", "numba", "dimod")
"""Libraries whose version can change any result; what one solver alone imports, its `requires` names."""


ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Provenance:
    """Commit, machine and versions of a run, and the hash under which its cells may be resumed."""

    commit: str
    machine: str
    versions: dict[str, str]
    identity: str

    def beside(self, names: Iterable[str]) -> Provenance:
        """This one with the versions of some libraries more."""
        return replace(self, versions=self.versions | {name: version_of(name) for name in sorted(names)})


@functools.cache
def provenance() -> Provenance:
    """The provenance of this process."""
    versions = {"python": platform.python_version(), "qubopress": version_of("qubopress")}
    versions |= {name: version_of(name) for name in COMPUTING}
    parts = [_code_hash(), *(f"{name}={value}" for name, value in sorted(versions.items()))]
    identity = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return Provenance(commit_here(), _machine(), versions, identity)


def version_of(name: str) -> str:
    """Version of an installed package, "absent" where there is none."""
    return installed(name) or "absent"


def _code_hash() -> str:
    """Hash of the code that makes instances and solutions; results may be drawn anew without a rerun."""
    from ... import problems, solvers

    digest = hashlib.sha256()
    for package in (problems, solvers):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def commit_here() -> str:
    """Short hash of the checkout with "+" where it has changes, or the version where there is none."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head or _git("rev-parse", "--show-toplevel") != str(ROOT):
        return f"v{version_of('qubopress')}"
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - git is found as the user's shell finds it
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _machine() -> str:
    """Processor, logical cores and system; no host name, because published rows carry it."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return " ".join(names[0].split()) if names else platform.processor() or "unknown processor"
