"""Solvers that no harness should have to meet, as a plug-in folder for the tests that make it meet them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ENDINGS", "write_hostile"]

HEAD = """
import ctypes, json, os, signal, struct, sys, time
import numpy as np
from qubopress import problems, solvers


def hostile(search):
    name = search.__name__.replace("_", "-")
    return solvers.solver(name, accepts=problems.Capacity)(search)


def feasible(capacity):
    return np.arange(capacity.n) < capacity.K


def shout(data):
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, data)
        except OSError:
            pass


def message(content):
    data = json.dumps(content).encode()
    return struct.pack("!I", len(data)) + data
"""

BODIES = {
    "hangs": ("TIMEOUT", "past its budget of 0.3 s", "time.sleep(600)"),
    "ignores_the_end": (
        "TIMEOUT",
        "past its budget",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    ),
    "grandchild_hangs": (
        "TIMEOUT",
        "past its budget",
        "os.fork()\nrun.offer(feasible(instance))\ntime.sleep(600)",
    ),
    "prints_forever": ("TIMEOUT", "past its budget", 'while True:\n    print("x" * 1000, flush=True)'),
    "leaves_an_orphan": (
        "FINISHED",
        "",
        "run.offer(feasible(instance))\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(600)\n    os._exit(0)",
    ),
    "segfaults": ("CRASHED", "the process died by SIGSEGV", "ctypes.string_at(0)"),
    "kills_itself": ("CRASHED", "the process died by signal 40", "os.kill(os.getpid(), 40)"),
    "exits": ("CRASHED", "exit code 0 and no answer", "os._exit(0)"),
    "exits_politely": ("CRASHED", "exit code 1 and no answer", "sys.exit(3)"),
    "swells": (
        "MEMORY",
        "passed the memory cap of 600 MiB",
        "kept = []\nwhile True:\n    kept.append(np.ones(16_000_000))",
    ),
    "asks_for_the_moon": ("MEMORY", "MemoryError", "np.ones(2**55)"),
    "lies": ("LIED", "claimed loss -1000000.0", "run.offer(feasible(instance), -1e6)"),
    "lies_of_a_bound": (
        "LIED",
        "claimed bound 1000000.0",
        "run.offer(feasible(instance))\nrun.prove(1e6)",
    ),
    "breaks_the_capacity": ("INFEASIBLE", "", "run.offer(np.ones(instance.n))"),
    "wrong_shape": ("FAILED", "bits must have shape", "run.offer(np.zeros(3))"),
    "not_a_number": ("FAILED", "bits must be integers", "run.offer(np.full(instance.n, np.nan))"),
    "fractions": ("FAILED", "bits must be integers", "run.offer(np.full(instance.n, 0.5))"),
    "claims_nan": ("FAILED", "a claimed loss must be finite", "run.offer(feasible(instance), np.nan)"),
    "silent": ("FAILED", "the solver offered no solution", "pass"),
    "raises": ("FAILED", "ZeroDivisionError: division by zero", "1 / 0"),
    "writes_in_place": ("FAILED", "ValueError", "instance.Q[:] = 0\nrun.offer(feasible(instance))"),
    "prints": ("FINISHED", "", 'print("noise")\nsys.stderr.write("noise")\nrun.offer(feasible(instance))'),
    "shouts_garbage": ("FAILED", "what is no message of ours", 'shout(b"\\0\\0\\0\\3abc")\ntime.sleep(600)'),
    "shouts_too_deep": (
        "FAILED",
        "nested too deeply",
        'shout(struct.pack("!I", 200_000) + b"[" * 200_000)\ntime.sleep(600)',
    ),
    "turns_the_clock": ("FAILED", "a search too many", 'shout(message({"clock": 1e9}))\ntime.sleep(600)'),
    "smashes_the_clock": (
        "FAILED",
        "a budget of 'long'",
        'shout(message({"clock": "long"}))\ntime.sleep(600)',
    ),
    "forges": ("FAILED", "the cell sent no record", 'shout(message({"record": "{}"}))\nos._exit(0)'),
}
"""Ending, what its message holds, and what the solver does."""

ENDINGS = {name.replace("_", "-"): (status, text) for name, (status, text, _) in BODIES.items()}


def write_hostile(folder: Path) -> Path:
    """A plug-in folder with all of them, and one honest solver."""
    parts = [HEAD]
    for name, (_, _, body) in {**BODIES, "honest": ("", "", "run.offer(feasible(instance))")}.items():
        lines = "\n".join(f"    {line}" for line in body.split("\n"))
        parts.append(f"@hostile\ndef {name}(instance, run):\n{lines}\n")
    folder.mkdir(exist_ok=True)
    (folder / "hostile.py").write_text("\n\n".join(parts), encoding="utf-8")
    return folder
