"""MQLib's heuristics as contestants: its executable is started as its users start it.

Reference: Dunning, Gupta and Silberholz 2018, INFORMS Journal on Computing 30(3); its Makefile builds it.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ....problems import InputError, Qubo, save_instance
from ....problems.arrays import Bits

__all__ = ["HEURISTICS", "best_found"]

HEURISTICS = ("PALUBECKIS2004bMST2", "PALUBECKIS2006", "GLOVER2010", "LU2010", "MERZ2004", "BURER2002")
"""Some of them, for QUBOs and for cuts, by their names there."""

LATE = 60.0
"""Seconds beyond its budget after which a heuristic is given up."""


def best_found(program: Path, heuristic: str, qubo: Qubo, seconds: float, seed: int) -> Bits:
    """Bits that a heuristic ends with. Its clock starts when it has read the instance, and not at its start.

    Raises:
        InputError: the program fails, or says no bits.
    """
    with tempfile.TemporaryDirectory(prefix="qubopress-") as folder:
        file = Path(folder, "instance.mqlib")
        save_instance(qubo, file)
        words = [str(program), "-fQ", str(file), "-h", heuristic, "-r", str(seconds), "-s", str(seed + 1)]
        try:
            told = subprocess.run(  # noqa: S603 - the program that the caller named, without a shell
                [*words, "-ps", "-nv"], capture_output=True, text=True, timeout=seconds + LATE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{program} must run MQLib's {heuristic}, got {error}") from None
    bits = told.stdout.partition("Solution:")[2].split()
    if told.returncode or len(bits) != qubo.n or not set(bits) <= {"0", "1"}:
        said = (told.stderr or told.stdout).strip().splitlines() or ["nothing"]
        raise InputError(
            f"{program} must be MQLib's executable and put out {qubo.n} bits, got {said[-1][:100]!r}"
        )
    return np.array(bits, dtype=np.int8)
