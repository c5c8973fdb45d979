"""Conformance: the claims about one solver or problem, checked in a process that may hang or die.

The claims are in `solver_claims` and `problem_claims`; `check` is for a plug-in's own tests as well:

    verdicts = conformance.check("my-solver", plugins="plugins")
    assert all(one.holds for one in verdicts)

Run as `python -m qubopress.suites.conformance FD NAME PLUGINS FIRST`, this file is the process that checks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ... import problems, solvers
from ...problems import InputError
from ...problems.errors import one_line, unknown_name
from .. import plugins as plugin_folders
from ..harness.wire import send
from .claim import Broken, Claim, Undecided
from .isolated import isolated, leave_with_parent, messages

__all__ = [
    "Finding",
    "check",
    "claims_about",
    "failures",
    "is_solver",
]

DEADLINE_SECONDS = 30.0
"""Most that a claim may take on one case, compilation included."""


MOST_LOST = 3
"""Processes lost to one check before the rest is left: a solver that always hangs is known by then."""

MODULE = "qubopress.suites.conformance"


@dataclass(frozen=True)
class Finding:
    """What came of one claim.

    Attributes:
        claim: the sentence.
        holds: whether it does; None where nothing could be decided.
        reason: why not, or what was left out; one line.
        cases: how many cases were checked.
    """

    claim: str
    holds: bool | None
    reason: str
    cases: int

    @property
    def word(self) -> str:
        """For tables: ok, FAILED or "not checked"."""
        return {True: "ok", False: "FAILED", None: "not checked"}[self.holds]


def claims_about(name: str) -> list[Claim]:
    """The claims about a registered solver, or about a problem; some may have no case there.

    Raises:
        InputError: there is neither, or the problem reads a file.
    """
    from . import problem_claims, solver_claims

    refuse_unknown(name)
    return solver_claims.CLAIMS if name in solvers.names() else problem_claims.CLAIMS


def is_solver(name: str) -> bool:
    """Whether the name is a registered solver's."""
    return name in solvers.names()


def refuse_unknown(name: str) -> None:
    """InputError unless the name is a solver's or a problem's that can be checked; nothing of it is run."""
    if name in solvers.names():
        return
    if name not in problems.names():
        known = [*solvers.names(), *problems.names()]
        raise unknown_name(
            "solver or problem", name, known, cure="name the folder of your own with --plugins"
        )
    if problems.get(name).file:
        raise InputError(f"{name} reads a file and makes no instance of its own; nothing can be checked")


def failures(name: str, *, plugins: str | Path = "") -> list[str]:
    """The claims that do not hold, each with its reason; empty for one that conforms."""
    return [f"{one.claim}: {one.reason}" for one in check(name, plugins=plugins) if one.holds is False]


def check(
    name: str,
    *,
    plugins: str | Path = "",
    deadline: float = DEADLINE_SECONDS,
    told: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Check every claim about a solver or problem, each under a deadline, in a process of its own.

    A claim at which the process hangs or dies has failed, and another process goes on with the next.

    Parameters:
        name: of a solver or a problem.
        plugins: folder of Python files that may register it.
        deadline: seconds that a claim may take on one case.
        told: told each claim when it is begun.

    Raises:
        InputError: there is neither a solver nor a problem of that name, or no such folder.
    """
    folder = str(Path(plugins).resolve()) if plugins else ""
    plugin_folders.load_entry_points()
    plugin_folders.load_folder(folder)
    refuse_unknown(name)
    done: list[Finding] = []
    first = 0
    for _ in range(MOST_LOST):
        found, lost = _check_from(first, name, folder, deadline, told or (lambda text: None))
        done += found
        if lost is None or lost < first:
            return done
        first = lost + 1
    return [*done, Finding("the claims that come after", None, f"{MOST_LOST} processes were lost by now", 0)]


# ---- the process that waits


def _check_from(
    first: int, name: str, folder: str, deadline: float, told: Callable[[str], None]
) -> tuple[list[Finding], int | None]:
    """Findings of a new process from claim `first` on, and the number of the claim that lost it, if any."""
    done: list[Finding] = []
    number, claim, case = first - 1, "it can be imported", ""
    with isolated(MODULE, name, folder, first) as (process, pipe):
        for message in messages(process, pipe, deadline):
            if "begin" in message:
                number, claim, case = message["number"], message["begin"], message["case"]
                told(f"{claim}: {case}" if case else claim)
            elif "verdict" in message:
                done.append(Finding(**message["verdict"]))
            elif "lost" in message:
                where = f" (on {case})" if case else ""
                return [*done, Finding(claim, False, message["lost"] + where, 0)], number
    return done, None


# ---- the process that checks


def main(arguments: list[str]) -> None:
    """Check the claims from number FIRST on and send what came of each."""
    descriptor, name, folder, first = int(arguments[0]), arguments[1], arguments[2], int(arguments[3])
    threading.Thread(target=leave_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    plugin_folders.load_entry_points()
    plugin_folders.load_folder(folder)
    for number, claim in enumerate(claims_about(name)[first:], start=first):
        begin = partial(_send_begin, descriptor, number, claim.text)
        begin("")
        verdict = judge(claim, name, begin)
        if verdict is not None:
            send(descriptor, {"verdict": vars(verdict)})
    send(descriptor, {"end": True})


def _send_begin(descriptor: int, number: int, text: str, case: str) -> None:
    send(descriptor, {"number": number, "begin": text, "case": case})


def judge(claim: Claim, name: str, begin: Callable[[str], None]) -> Finding | None:
    """Check a claim on all its cases here and now; the first that breaks it decides. None without a case.

    `begin` is told each case before it is checked.
    """
    cases, left_out = claim.cases(name), dict[str, str]()
    for case in cases:
        begin(str(case))
        try:
            claim.holds(name, case)
        except Undecided as reason:
            left_out[str(case)] = str(reason)
        except Broken as reason:
            return Finding(claim.text, False, f"{' '.join(str(reason).split())} (on {case})", len(cases))
        except Exception as error:  # a stranger's code may raise anything
            return Finding(claim.text, False, f"{one_line(error)} (on {case})", len(cases))
    if not cases:
        return None
    decided = len(cases) - len(left_out)
    return Finding(claim.text, True if decided else None, _told_once(left_out), decided)


def _told_once(reasons: dict[str, str]) -> str:
    """Reasons by case in one line, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for case, reason in reasons.items():
        by_reason.setdefault(reason, []).append(case)
    return "; ".join(f"{reason} ({', '.join(cases)})" for reason, cases in by_reason.items())
