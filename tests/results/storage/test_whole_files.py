from __future__ import annotations

from pathlib import Path

import pytest

from qubopress.results import StoreError
from qubopress.results.storage.whole_files import write_whole


def test_a_file_is_replaced_whole_and_can_be_read_by_all(tmp_path: Path) -> None:
    out = tmp_path / "a.txt"
    out.write_text("the old one")
    assert write_whole(out, "new ×") == out
    assert out.read_bytes() == "new ×".encode()
    assert out.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("place", [".", "none/a.txt"])
def test_a_place_that_is_no_file_in_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(StoreError, match="must be a file in a folder that exists; name such a path"):
        write_whole(tmp_path / place, b"")
