"""Build the wheel from a copy of the sources, so that no stale build folder leaks into it."""

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "build", "unpack"]

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ["problems", "solvers", "suites", "results"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def build(folder: Path) -> Path:
    """Build the wheel into `folder` and give its path."""
    copy = folder / "sources"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(copy)]
    subprocess.run(command + _without_isolation(), check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, target: Path) -> None:
    """Install the wheel alone into an empty folder."""
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)


def _without_isolation() -> list[str]:
    """Where the environment can build, nothing needs to be downloaded."""
    try:
        able = int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        able = False
    return ["--no-build-isolation"] if able else []
