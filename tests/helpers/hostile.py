"""Solvers that no harness should have to meet, as a plug-in folder for the tests that make it meet them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ENDINGS", "write_hostile"]

HEAD = """
import ctypes, gc, json, os, signal, struct, subprocess, sys, tempfile, threading, time
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


def frame(kind, data=b"", *, part=0, claimed=float("nan"), length=None):
    return struct.pack("!cIdQI", kind, part, claimed, 0, len(data) if length is None else length) + data


def away():
    "A process in a session of its own, whose parent is gone."
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


class Odd(BaseException):
    pass
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
    "swells_out_of_sight": (
        "MEMORY",
        "passed the memory cap of 600 MiB",
        "kept = []\nwhile kept or away():\n    kept.append(np.ones(16_000_000))\ntime.sleep(600)",
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
    # ---- on the pipe
    "shouts_garbage": ("FAILED", "what is no message of ours", 'shout(b"\\0\\0\\0\\3abc")\ntime.sleep(600)'),
    "shouts_too_deep": (
        "FAILED",
        "nested too deeply",
        'shout(frame(b"e", b"[" * 60_000))\ntime.sleep(600)',
    ),
    "turns_the_clock": ("FAILED", "no message of ours", 'shout(message({"clock": 1e9}))\ntime.sleep(600)'),
    "begins_again": (
        "FAILED",
        "a second start",
        'shout(frame(b"r"))\nshout(frame(b"e", b"{}"))\ntime.sleep(600)',
    ),
    "announces_a_flood": (
        "FAILED",
        "a message of 2000000000 bytes",
        'shout(frame(b"b", length=2_000_000_000))\ntime.sleep(600)',
    ),
    "says_too_much": (
        "FAILED",
        "a message of 100000 bytes",
        'shout(frame(b"e", b"x" * 100_000))\ntime.sleep(600)',
    ),
    "sends_too_few_bits": ("FAILED", "1 bytes for a point", 'shout(frame(b"b", b"x"))'),
    "sends_other_levels": (
        "FAILED",
        "bits must be integers in [0, 1], got 9",
        'shout(frame(b"l", bytes([9] * instance.n)))',
    ),
    "sends_a_part": ("FAILED", "a part 7 of a Capacity", 'shout(frame(b"b", b"x", part=7))'),
    "bounds_in_words": (
        "FAILED",
        "a bound of 'long'",
        """shout(frame(b"e", b'{"bound": "long"}'))\ntime.sleep(600)""",
    ),
    "ends_in_a_list": ("FAILED", "a JSON object, got a list", 'shout(frame(b"e", b"[]"))\ntime.sleep(600)'),
    "counts_backwards": (
        "FAILED",
        "counts that are none",
        'run.offer(feasible(instance))\nrun.counts["flips"] = -5',
    ),
    "stops_as_optimal": (
        "FAILED",
        "best",
        """shout(frame(b"s", b'{"status": "OPTIMAL", "message": "best"}'))\ntime.sleep(600)""",
    ),
    "forges": ("FAILED", "no message of ours", 'shout(message({"record": "{}"}))\nos._exit(0)'),
    "floods": (
        "TIMEOUT",
        "past its budget",
        'while True:\n    shout(frame(b"b", np.packbits(feasible(instance)).tobytes()))',
    ),
    "hangs_up": ("TIMEOUT", "past its budget", "os.closerange(3, 256)\ntime.sleep(600)"),
    "ends_before_its_end": (
        "FAILED",
        "the solver offered no solution",
        "try:\n    run.end()\nexcept BaseException:\n    time.sleep(0.1)\nrun.offer(feasible(instance))",
    ),
    # ---- on whoever judges
    "replaces_conclude": (
        "FAILED",
        "",
        "from qubopress.solvers import adapters, Solution\n"
        "adapters.conclude = lambda run, **_: Solution(feasible(instance), -1e9, 0.0, -1e9, -1e9, "
        "solvers.Status.OPTIMAL, [(0.0, -1e9)], 0.0)",
    ),
    "replaces_loss": (
        "FINISHED",
        "",
        "type(instance).loss = lambda self, x: -1e9\nrun.offer(feasible(instance))",
    ),
    "replaces_its_run": (
        "FINISHED",
        "",
        "run.offer(feasible(instance))\nrun.loss = run.bound = -1e9\nrun.history[:] = []\nrun.best = None",
    ),
    "writes_to_memory": (
        "CRASHED",
        "SIGSEGV",
        "ctypes.memset(instance.Q.ctypes.data, 0, instance.Q.nbytes)\nrun.offer(feasible(instance))",
    ),
    "changes_its_instance": (
        "FINISHED",
        "",
        "object.__setattr__(instance.qubo, 'Q', np.zeros((instance.n, instance.n)))\n"
        "object.__setattr__(instance.qubo, 'offset', -1e9)\nrun.offer(feasible(instance))",
    ),
    "replaces_the_clock": (
        "FINISHED",
        "",
        "begun = time.monotonic()\nwhile time.monotonic() < begun + 0.2:\n    pass\n"
        "time.monotonic = run.clock = lambda: begun\nrun.started, run.begun = begun, -99.0\n"
        "run.offer(feasible(instance))",
    ),
    "proves_its_loss": ("FINISHED", "", "run.offer(feasible(instance))\nrun.prove(run.loss)"),
    "registers_itself_anew": (
        "FINISHED",
        "",
        "from qubopress.solvers import registry\nimport dataclasses\n"
        "for name, entry in registry._REGISTRY.items():\n"
        "    registry._REGISTRY[name] = dataclasses.replace(entry, exact=True)\n"
        "run.offer(feasible(instance))\nrun.prove(run.loss)",
    ),
    "kills_its_judge": ("CRASHED", "SIGKILL", "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"),
    "kills_its_group": ("CRASHED", "SIGKILL", "os.killpg(0, signal.SIGKILL)"),
    "stops_its_judge": (
        "TIMEOUT",
        "past its budget",
        "os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)",
    ),
    "ends_its_group": ("CRASHED", "SIGTERM", "os.killpg(0, signal.SIGTERM)\ntime.sleep(600)"),
    # ---- out of reach
    "leaves_its_group": (
        "TIMEOUT",
        "past its budget",
        "os.setpgid(0, os.getsid(0))\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    ),
    "leaves_its_session": ("TIMEOUT", "past its budget", "os.setsid()\ntime.sleep(600)"),
    "goes_away": (
        "FINISHED",
        "",
        "if away():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(600)\n"
        "run.offer(feasible(instance))",
    ),
    "is_many": (
        "FINISHED",
        "",
        "for _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(600)\n"
        "run.offer(feasible(instance))",
    ),
    "outlives_its_parent": (
        "TIMEOUT",
        "past its budget",
        "ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nos.setsid()\naway()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    ),
    "becomes_another": ("TIMEOUT", "past its budget", 'os.execv("/bin/sleep", ["sleep", "600"])'),
    "leaves_a_program": (
        "FINISHED",
        "",
        'subprocess.Popen(["sleep", "600"], start_new_session=True)\nrun.offer(feasible(instance))',
    ),
    "leaves_a_thread": (
        "FINISHED",
        "",
        "threading.Thread(target=time.sleep, args=(600,)).start()\nrun.offer(feasible(instance))",
    ),
    "leaves_files": (
        "FINISHED",
        "",
        "for folder in (tempfile.gettempdir(), '/dev/shm'):\n"
        "    open(folder + '/left-by-a-hostile-solver', 'w').close()\nrun.offer(feasible(instance))",
    ),
    # ---- broken
    "raises_what_is_no_error": ("CRASHED", "exit code 1 and no answer", "raise Odd"),
    "recurs": ("FAILED", "RecursionError", "def again():\n    again()\nagain()"),
    "is_interrupted": ("CRASHED", "exit code 1", "raise KeyboardInterrupt"),
    "rings": ("CRASHED", "SIGALRM", "signal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(600)"),
    "aborts": ("CRASHED", "SIGABRT", "os.abort()"),
    "shows_an_odd_error": (
        "CRASHED",
        "exit code 1",
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\nraise Mute",
    ),
    "is_verbose": ("FAILED", "ValueError: xxx", 'raise ValueError("x" * 10_000_000)'),
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
