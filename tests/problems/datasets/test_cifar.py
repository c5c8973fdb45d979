"""CIFAR-10's batches: what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qubopress.problems.datasets import cifar
from qubopress.problems.errors import InputError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold whole records of 3073 bytes, got 0 bytes"),
        (b"\0" * 3072, "must hold whole records of 3073 bytes, got 3,072 bytes"),
        (b"\x0a" + b"\0" * 3072, "must hold labels below 10, got 10"),
    ],
)
def test_a_damaged_batch_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "batch.bin").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        cifar.read_batches([tmp_path / "batch.bin"])
    assert "\n" not in str(error.value)


def test_a_batch_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be readable, got: No such file"):
        cifar.read_batches([tmp_path / "batch.bin"])
