"""Whatever happens to a file on its way, it is read or refused in one line."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from instances import capacity, qubo
from records import make_store

from qubopress import results, suites
from qubopress.problems import InputError, Qubo
from qubopress.problems.formats import FORMATS
from qubopress.problems.formats.loading import load_instance
from qubopress.results import Store, StoreError

FILES = int(os.environ.get("QUBOPRESS_MUTATED", "150"))
"""Of each kind; a longer attack: QUBOPRESS_MUTATED=5000."""

PIECES = (b"9999999999", b"-1", b"1e308", b"nan", b"inf", b"\x00", b"\xff\xfe", b"[", b"{", b'"', b"\n")

BUILTIN = Path(suites.__file__).parent / "builtin"


def flip(content: bytes, at: int, rng: random.Random) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def drop(content: bytes, at: int, rng: random.Random) -> bytes:
    return content[:at] + content[at + rng.choice((1, 2, 8, 64)) :]


def cut(content: bytes, at: int, rng: random.Random) -> bytes:
    return content[:at]


def insert(content: bytes, at: int, rng: random.Random) -> bytes:
    return content[:at] + rng.choice(PIECES) + content[at:]


def repeat(content: bytes, at: int, rng: random.Random) -> bytes:
    return content[:at] + content[at : at + rng.choice((1, 8, 200))] + content[at:]


CHANGES = (flip, flip, drop, cut, insert, insert, repeat)


def mutated(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if content:
            content = rng.choice(CHANGES)(content, rng.randrange(len(content)), rng)
    return content


def instance_files(folder: Path) -> list[Path]:
    bounded = capacity()
    shapes = (Qubo(np.asarray(bounded.Q)), bounded, qubo())
    for number, instance in enumerate(shapes):
        instance.save(folder / f"{number}.npz")
        for name, form in FORMATS.items():
            if isinstance(instance, form.holds):
                form.write(folder / f"{number}.{name}", instance)
    return sorted(folder.iterdir())


def store_files(folder: Path) -> list[Path]:
    return [make_store(folder / "s.db", [{}, {"solver": "sa"}, {"solver": "tabu"}])]


def suite_files(folder: Path) -> list[Path]:
    return sorted(BUILTIN.glob("*.toml"))


def read_store(path: Path) -> None:
    results.leaderboard(path)
    with Store(path) as store:
        for reading in (Store.records, Store.traces, Store.instances, Store.environments):
            list(reading(store))


KINDS: dict[str, tuple[Callable[[Path], list[Path]], Callable[[Path], object]]] = {
    "instance": (instance_files, load_instance),
    "suite": (suite_files, suites.load),
    "store": (store_files, read_store),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    made, reading = KINDS[kind]
    (tmp_path / "sound").mkdir()
    sound, rng = made(tmp_path / "sound"), random.Random(kind)
    for path in sound:
        reading(path)
    told = []
    for number in range(FILES):
        source = rng.choice(sound)
        path = tmp_path / f"{number}{source.suffix}"
        path.write_bytes(mutated(source.read_bytes(), rng))
        try:
            reading(path)
        except (InputError, StoreError, OSError) as error:
            told.append(str(error))
    assert 0 < len(told) < FILES
    assert not [text for text in told if "\n" in text]
