"""Regressions planted in a copy of the code, which a gate over commits has to see."""

from __future__ import annotations

from pathlib import Path

SLOWER = 8
"""How often a sweep's time is taken: on a shared machine a doubled sweep was once lost in the noise."""

SLOW = f"""        until = begun + {SLOWER} * (time.process_time() - begun)
        while time.process_time() < until:
            pass
        return uphill
"""


def plant(file: Path, old: str, new: str) -> None:
    """Replace what a file has exactly once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file.name} has {old!r} {text.count(old)} times"
    file.write_text(text.replace(old, new), encoding="utf-8")


def slow_down(solvers: Path) -> None:
    """What a sweep takes, taken `SLOWER` times, wherever sa sweeps."""
    kernel = solvers / "qubo/metropolis.py"
    begin = "        uphill = np.zeros(temperatures.size, dtype=np.int64)\n"
    first = "from dataclasses import dataclass\n"
    plant(kernel, "        return uphill\n", SLOW)
    plant(kernel, begin, f"        begun = time.process_time()\n{begin}")
    plant(kernel, first, f"import time\n{first}")


def narrow_beam(solvers: Path, width: int) -> None:
    """A beam that keeps fewer prefixes by default."""
    plant(solvers / "rounding/beam.py", "log=True)] = 64,", f"log=True)] = {width},")
