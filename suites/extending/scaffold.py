"""Scaffold: the files with which a solver or a formulation of one's own begins."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from ... import problems, solvers
from ...problems import InputError

__all__ = ["KINDS", "Scaffold", "write"]

KINDS = ("solver", "problem")

TAKEN_WORDS = {"copy", "np", "nn", "kept", "mask", "prunable", "problem", "solver"}
"""Names that the files use themselves."""

SOLVER = '''"""NAME: say here what the method is, and below it author, year and source."""

from typing import Annotated

from qubopress.problems import Qubo
from qubopress.solvers import Range, Run, solver


@solver("NAME", accepts=Qubo)
def FUNCTION(qubo: Qubo, run: Run, *, passes: Annotated[int, Range(1, 64, log=True)] = 4) -> None:
    """Set variables one by one, in random order, to what is best for them; then restart. A pass is O(n²).

    Parameters:
        passes: times that every variable is looked at before a restart.
    """
    while run.open():
        x = run.rng.integers(0, 2, qubo.n)
        for _ in range(passes):
            for i in run.rng.permutation(qubo.n):
                x[i] = qubo.linear[i] + 2 * (qubo.couplings[[i]] @ x)[0] < 0
            run.offer(x)
            if run.stopped():
                break
'''

PROBLEM = '''"""NAME: say here what is decided and why, and below it author, year and source."""

from collections.abc import Generator

import numpy as np
from torch import nn

from qubopress.problems import Capacity, Task, problem
from qubopress.problems.pruning import kept, mask, prunable


@problem("NAME", family="pruning")
def FUNCTION(
    task: Task, *, keep: float = 0.64, beta: float = 0.1
) -> Generator[Capacity, np.ndarray, nn.Module]:
    """Keep K channels of large weights that are unlike each other: E(x) = −Σ w_i x_i + β Σ S_ij x_i x_j.

    w_i is the norm of a channel's weights over the layer's mean, S_ij the |cosine| of two of a layer. The
    capacity Σ x = K is part of the instance, so no penalty is needed.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the channels kept, in (0, 1].
        beta: weight of the likeness.
    """
    groups = prunable(task)
    Q = np.zeros((groups.total, groups.total))
    for layer, span in zip(groups.names, groups.spans(), strict=True):
        rows = task.network.get_submodule(layer).get_parameter("weight").detach().double().flatten(1).numpy()
        norms = np.linalg.norm(rows, axis=1) + 1e-12
        likeness = np.abs(rows @ rows.T) / np.outer(norms, norms)
        Q[span, span] = beta * (likeness - np.diag(np.diag(likeness))) - np.diag(norms / norms.mean())
    x = yield Capacity(Q, np.ones(groups.total), kept(keep, groups.total))
    network = task.copy()
    mask(network, groups, x, original=task.network)
    return network
'''

TEST = '''"""The KIND NAME keeps what every KIND must."""

from pathlib import Path

from qubopress.suites import conformance


def test_every_claim_holds() -> None:
    """The claims of `qubopress check NAME`, each in a process that may fail."""
    assert conformance.failures("NAME", plugins=Path(__file__).parent) == []
'''

SUITE = """name = "NAME"
description = "The formulation NAME on two networks"
seconds = 0.5
seeds = 2

[[problem]]
name = "NAME"
network = ["digits-mlp", "digits-cnn"]
keep = [0.5, 0.75]

[[solver]]
name = ["random", "one-flip", "swap", "neal"]
"""


@dataclass(frozen=True)
class Scaffold:
    """The files that were written, and the two commands that try them."""

    files: tuple[Path, ...]
    commands: tuple[str, str]


def write(kind: str, name: str, folder: Path) -> Scaffold:
    """Write the file of a new solver or problem and its test; of a problem also a suite that runs it.

    Parameters:
        kind: "solver" or "problem".
        name: as suites and records will spell it, in kebab-case.
        folder: where the files go; made if it is not there.

    Raises:
        InputError: another kind, a name that is none or is taken, or a file that is there already.
    """
    if kind not in KINDS:
        raise InputError(f"new makes a solver or a problem, got {kind!r}")
    _check_name(name)
    stem = name.replace("-", "_")
    main = SOLVER if kind == "solver" else PROBLEM
    texts = {f"{stem}.py": main, f"test_{stem}.py": TEST.replace("KIND", kind)}
    if kind == "problem":
        texts[f"{stem}.toml"] = SUITE
    files = {
        folder / file: text.replace("NAME", name).replace("FUNCTION", stem) for file, text in texts.items()
    }
    _write(folder, files)
    suite = f"smoke --solver {name}" if kind == "solver" else str(folder / f"{stem}.toml")
    commands = (
        f"qubopress check {name} --plugins {folder}",
        f"qubopress run {suite} --plugins {folder}",
    )
    return Scaffold(tuple(files), commands)


def _check_name(name: str) -> None:
    """InputError unless a function can be called so and nothing registered is."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise InputError(f"a name must be lower-case words joined by -, such as my-solver; got {name!r}")
    if keyword.iskeyword(name) or hasattr(builtins, name) or name in TAKEN_WORDS:
        raise InputError(f"a name must be no word that Python or the file needs itself, got {name!r}")
    for kind, names in (("solver", solvers.names()), ("problem", problems.names())):
        if name in names:
            raise InputError(f"a {kind} named {name!r} is registered already; choose another name")


def _write(folder: Path, files: dict[Path, str]) -> None:
    """All files or none."""
    there = next((path for path in files if path.exists()), None)
    if there is not None:
        raise InputError(f"{there} is there already; choose another name or --folder, or remove it")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--folder must be a folder, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
