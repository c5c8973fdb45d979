"""Best known solutions of a set: searched, and kept as files that `instances --known` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ... import problems, solvers
from ...problems.errors import MissingDataError
from ...problems.formats.bits import read_bits
from ...results.scoring.references import PROVEN
from ...solvers import Solution, Status
from .manifest import Entry, read
from .writing import digits_of

__all__ = ["improve"]

SEARCH, PROOF = ("tabu", "swap", "beam"), ("branch-and-bound", "mip")
"""Who searches, and who may prove; each as far as it takes the shape."""


def improve(
    instances: str | Path, known: str | Path, *, seconds: float = 2.0, names: Sequence[str] = SEARCH + PROOF
) -> Iterator[tuple[str, Solution]]:
    """Search every instance of a set and write what is better than what is known, or newly proven.

    Parameters:
        instances: the set, as `write_instances` wrote it.
        known: folder of NAME.txt; made if it is not there.
        seconds: for each solver.
        names: of the solvers; the search of an instance ends with its proof.
    """
    Path(known).mkdir(parents=True, exist_ok=True)
    for entry in read(Path(instances)):
        for name, found in _searched(Path(instances), entry, seconds, names):
            if _better(Path(known), Path(instances), entry, found):
                _write(Path(known, f"{entry.name}.txt"), name, found)
            yield entry.name, found
            if found.status is Status.OPTIMAL:
                break


def _searched(
    folder: Path, entry: Entry, seconds: float, names: Sequence[str]
) -> Iterator[tuple[str, Solution]]:
    instance = problems.load_instance(folder / next(iter(entry.files)))
    for name in names:
        solver = solvers.get(name)
        if isinstance(instance, solver.accepts):
            found = solvers.solve(instance, name, seconds=seconds)
            if found.x is not None and not found.violation:
                yield name, found


def _better(known: Path, folder: Path, entry: Entry, found: Solution) -> bool:
    """Whether it is lower than what is kept, or as low and proven where that is not."""
    path = known / f"{entry.name}.txt"
    instance = problems.load_instance(folder / next(iter(entry.files)))
    try:
        kept = instance.loss(read_bits(path, instance).x)
    except MissingDataError:
        return True
    assert found.loss is not None
    proven = found.status is Status.OPTIMAL and PROVEN not in path.read_text(encoding="utf-8")
    return found.loss < kept or (proven and found.loss == kept)


def _write(path: Path, name: str, found: Solution) -> None:
    proof = f"# {PROVEN}\n" if found.status is Status.OPTIMAL else ""
    text = f"# loss={found.loss!r} by={name}\n{proof}{digits_of(found.x)}\n"
    path.write_text(text, encoding="ascii")
