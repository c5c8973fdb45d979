"""Writing: a suite's instances as files in a folder, with their manifest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ... import problems
from ...problems import InputError, Rounding
from ...problems.errors import MissingDataError
from ...problems.formats import FORMATS
from ...problems.formats.bits import read_bits
from ...problems.instances.file_formats import WRITTEN, check_format
from ...results.scoring.references import PROVEN
from ..suite import Suite
from .manifest import Best, Entry, licence_of, write
from .slices import Limits, Slice, slices_of

__all__ = ["digits_of", "write_instances"]

BY = re.compile(r"#.*\bby=(\S+)")


def write_instances(
    suite: Suite,
    folder: str | Path,
    *,
    formats: Sequence[str] = ("npz",),
    limits: Limits | None = None,
    known: str | Path | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> list[Entry]:
    """Write every instance of a suite in every format that holds it, then the manifest.

    Parameters:
        suite: whose instances.
        folder: made if it is not there; files of the same names are replaced.
        formats: names of formats that are written.
        limits: how much of the suite.
        known: folder of best known solutions, NAME.txt, as `judge` reads them; the registry's where None.
        told: hears of what is left out.

    Raises:
        InputError: a format is none, the folder cannot be written to, or a name stands for two instances.
    """
    for name in formats:
        check_format(name, WRITTEN, what="--format")
    place, left_out = Path(folder), list[str]()
    _make(place)

    def leave(what: str) -> None:
        left_out.append(what)
        told(what)

    entries: dict[str, Entry] = {}
    layers = tuple(formats) == ("npz",)
    for spec in suite.instances:
        for one in slices_of(spec, limits or Limits(), leave, layers=layers):
            files = _write(one, place, formats, leave)
            if one.name in entries:
                raise InputError(f"{one.name} must name one instance of suite {suite.name}, got two")
            if files:
                entries[one.name] = _entry(one, files, known)
    write(place, list(entries.values()), left_out)
    return list(entries.values())


def _make(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out must be a folder that can be made, got {place}: {error.strerror}") from None


def _write(one: Slice, place: Path, formats: Sequence[str], leave: Callable[[str], None]) -> dict[str, str]:
    """The files of a slice and their checksums."""
    files = {}
    for name in formats:
        path = place / f"{one.name}.{name}"
        if name != "npz" and not isinstance(one.instance, FORMATS[name].holds):
            leave(f"{one.name}: a .{name} file cannot hold a {type(one.instance).__name__}")
            continue
        problems.save_instance(one.instance, path, format=name)
        files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def _entry(one: Slice, files: dict[str, str], known: str | Path | None) -> Entry:
    instance, spec = one.instance, one.spec
    return Entry(
        name=one.name,
        family=problems.get(spec.problem).family,
        problem=spec.problem,
        network=spec.network,
        parameters=spec.everything,
        stage=one.stage,
        neuron=one.neuron,
        shape=type(instance).__name__,
        n=int(np.prod(instance.shape)),
        terms=_terms(instance),
        sense="minimise",
        unit=one.unit,
        offset=instance.offset,
        capacity=instance.K,
        exact=instance.exact,
        baseline=instance.loss(instance.baseline()),
        files=files,
        best=_best(one, known),
        licence=licence_of(spec.network),
    )


def _terms(instance: Any) -> int:
    if isinstance(instance, Rounding):
        return int(np.count_nonzero(instance.gram))
    return int(instance.coupled_pairs + np.count_nonzero(instance.qubo.linear))


def _best(one: Slice, known: str | Path | None) -> Best | None:
    """The best known solution: of the folder, else of the registry."""
    if known is not None:
        path = Path(known, f"{one.name}.txt")
        try:
            found = read_bits(path, one.instance)
        except MissingDataError:
            return None
        said = path.read_text(encoding="utf-8")
        by = BY.search(said)
        proven = f"#{PROVEN}" in said.replace(" ", "")
        # Its own claim says that it is of these very coefficients.
        same = found.loss is not None and found.loss == one.instance.loss(found.x)
        loss, bits = one.instance.loss(found.x), digits_of(found.x)
        return Best(loss, bits, by[1] if by else "", proven and same)
    if one.known is None:
        return None
    return Best(one.instance.loss(one.known), digits_of(one.known), one.by, one.proven)


def digits_of(x: Any) -> str:
    """A point as a text: digits in a row, with blanks between them where a level has two."""
    values = np.asarray(x).ravel().tolist()
    return ("" if max(values, default=0) < 10 else " ").join(map(str, values))
