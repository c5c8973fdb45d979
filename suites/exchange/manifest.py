"""Manifest: what stands in a set of instances, as JSON and as a table."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...problems.errors import InputError, MissingDataError

__all__ = ["MANIFEST", "Best", "Entry", "licence_of", "read", "write"]

MANIFEST = "manifest.json"

LICENCES = {
    "digits": "UCI Optical Recognition of Handwritten Digits, CC BY 4.0",
    "fashion-mnist": "Fashion-MNIST, MIT",
    "mnist": "MNIST, CC BY-SA 3.0",
    "emnist-balanced": "EMNIST, NIST: free to use",
    "cifar-10": "CIFAR-10: no licence stated",
    "photographs": "photographs of scikit-image and scikit-learn, each free to use as their packages say",
    "more-photographs": "pictures of scikit-image and scikit-learn, each free to use as their packages say",
    "photograph-crops": "photographs of scikit-image and scikit-learn; weights Apache 2.0",
    "sentences": "documentation of scikit-learn, BSD 3-Clause; weights Apache 2.0",
    "sidd": "SIDD, MIT",
}
"""Of the data behind a network, by its data set."""

NONE = "drawn at random, nothing behind it: Apache 2.0, as this package"


@dataclass(frozen=True)
class Best:
    """A best known solution: its loss, its bits as a text of digits, who found it, whether it is proven."""

    loss: float
    bits: str
    by: str
    proven: bool


@dataclass(frozen=True)
class Entry:
    """One instance of a set.

    Attributes:
        name: the beginning of its files' names.
        family, problem, network, parameters: the formulation that made it.
        stage, neuron: which of its stages and rows; no neuron where it is all of them.
        shape: "Qubo", "Capacity" or "Rounding".
        n, terms: variables, and coefficients that are not 0.
        sense: of the loss; a format that maximises turns all signs.
        unit: what 1 of the loss is in the formulation's.
        offset: constant of the loss.
        capacity, exact: K, and whether Σx must be K; None for none.
        baseline: loss without a search.
        files: SHA-256 by file.
        best: best known solution.
        licence: of the data behind it.
    """

    name: str
    family: str
    problem: str
    network: str
    parameters: dict[str, Any]
    stage: int
    neuron: int | None
    shape: str
    n: int
    terms: int
    sense: str
    unit: float
    offset: float
    capacity: float | None
    exact: bool
    baseline: float
    files: dict[str, str]
    best: Best | None
    licence: str


def licence_of(network: str) -> str:
    """Licence of the data behind a network, "" for none."""
    from ...problems.networks.zoo import network as find

    return LICENCES.get(find(network).dataset, "not known here") if network else NONE


def write(folder: Path, entries: list[Entry], left_out: list[str]) -> None:
    """Write manifest.json and manifest.csv; equal sets give equal bytes."""
    content = {"format": 1, "left_out": left_out, "instances": [asdict(one) for one in entries]}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    table = io.StringIO()
    names = [one.name for one in fields(Entry) if one.name not in ("files", "best")]
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow([*names, "files", "sha256", "best_loss", "best_bits", "best_by", "best_proven"])
    rows.writerows(_row(one, names) for one in entries)
    (folder / "manifest.csv").write_text(table.getvalue(), encoding="utf-8")
    sums = "".join(f"{sha}  {file}\n" for one in entries for file, sha in one.files.items())
    (folder / "SHA256SUMS").write_text(sums, encoding="ascii")


def _row(one: Entry, names: list[str]) -> list[Any]:
    told = {**asdict(one), "parameters": json.dumps(one.parameters, sort_keys=True)}
    best = one.best or Best(float("nan"), "", "", proven=False)
    files = [" ".join(one.files), " ".join(one.files.values())]
    ends = ["", "", "", ""] if one.best is None else [best.loss, best.bits, best.by, best.proven]
    return [*(told[name] for name in names), *files, *ends]


def read(folder: Path) -> list[Entry]:
    """The entries of a set.

    Raises:
        MissingDataError: there is no manifest.
        InputError: it is none.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingDataError(f"no {MANIFEST} in {folder}; write a set by `qubopress instances SUITE --out`")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_entry(one) for one in content["instances"]]
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise InputError(f"{path} must be a manifest as `qubopress instances` writes it: {error}") from None


def _entry(told: dict[str, Any]) -> Entry:
    best = told["best"]
    return Entry(**{**told, "best": None if best is None else Best(**best)})
