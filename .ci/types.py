"""Type-check the installed wheel, as a user's checker sees it: mypy cannot follow the editable mapping."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from build_wheel import PACKAGES, ROOT, build, unpack


def main() -> int:
    """Build the wheel, unpack it beside nothing else, run mypy --strict on the four packages."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "site")
        unpack(build(Path(folder)), target)
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
        for name in PACKAGES:
            command += ["-p", f"qubopress.{name}"]
        environment = {**os.environ, "MYPYPATH": str(target)}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
