"""IDX files: what they hold, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from data_files import idx

from qubopress.problems.datasets import idx as idx_files
from qubopress.problems.errors import InputError

CUBE = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def refused(path: Path, content: bytes) -> str:
    """The one line in which `read_idx` refuses a file of this content; it must name the file."""
    path.write_bytes(content)
    with pytest.raises(InputError, match=path.name) as error:
        idx_files.read_idx(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_plain_and_a_gzip_file_hold_the_same_array(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(idx(CUBE))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(CUBE)))
    for name in ("plain", "packed.gz"):
        array = idx_files.read_idx(tmp_path / name)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, CUBE)


def test_the_digest_is_of_the_content_whatever_its_compression(tmp_path: Path) -> None:
    digest = hashlib.sha256(idx(CUBE)).hexdigest()
    for level in (1, 9):
        (tmp_path / "file.gz").write_bytes(gzip.compress(idx(CUBE), level))
        np.testing.assert_array_equal(idx_files.read_idx(tmp_path / "file.gz", sha256=digest), CUBE)
    (tmp_path / "file.gz").write_bytes(gzip.compress(idx(CUBE[::-1])))
    with pytest.raises(InputError, match=r"must have the sha256 .* got other content; fetch it again"):
        idx_files.read_idx(tmp_path / "file.gz", sha256=digest)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_content_shorter_or_longer_than_announced_is_refused(tmp_path: Path, pack: type[bytes]) -> None:
    assert "must hold 24 bytes after its header, got 23" in refused(tmp_path / "f", pack(idx(CUBE)[:-1]))
    assert "must hold 24 bytes after its header, got more" in refused(tmp_path / "f", pack(idx(CUBE) + b"\0"))


@pytest.mark.parametrize(
    "magic", [b"\x01\x00\x08\x01", b"\x00\x00\x0d\x01", b"\x00\x00\x08\x00", b"\x00\x00\x08\x05"]
)
def test_a_wrong_magic_type_or_number_of_axes_is_refused(tmp_path: Path, magic: bytes) -> None:
    message = refused(tmp_path / "f", magic + idx(CUBE)[4:])
    assert "must begin as an IDX file" in message
    assert magic.hex(" ") in message


def test_a_truncated_header_is_refused(tmp_path: Path) -> None:
    assert "an empty file" in refused(tmp_path / "f", b"")
    assert "must begin as an IDX file" in refused(tmp_path / "f", b"\0\0\x08")
    assert "a truncated header" in refused(tmp_path / "f", idx(CUBE)[:15])


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(idx(CUBE))
    assert "must be a readable file" in refused(tmp_path / "f", packed[:-12])
    wrong_sum = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    assert "must be a readable file" in refused(tmp_path / "f", wrong_sum)


def test_a_header_that_announces_gigabytes_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    huge = b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    assert "must announce at most" in refused(tmp_path / "f", huge)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be a readable file.*No such file"):
        idx_files.read_idx(tmp_path / "absent")
