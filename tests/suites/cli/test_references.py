"""The registry is shown and updated by what its bits prove."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from calls import EMPTY, call, table_of
from records import make_store
from warm import share_server, write_suite

from qubopress import results, suites

Captured = pytest.CaptureFixture[str]


pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose bits can be judged again."""
    folder = tmp_path_factory.mktemp("real")
    text = (
        "seconds = 5\nrestarts = 1\n[[problem]]\nname = 'taylor'\nnetwork = 'digits-cnn'\n"
        "[[solver]]\nname = ['swap', 'random']\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        share_server(patch)
        suites.run(write_suite(folder, text), store=folder / "r.db")
    return folder / "r.db"


def test_references_show_the_registry_and_name_its_version(real: Path, capsys: Captured) -> None:
    assert call("references") == 0
    assert re.search(r"this package: registry version \d+ of \d{4}-", capsys.readouterr().err)
    assert call("references", "update", "--store", real, "--registry", "registry.json", "--apply") == 0
    capsys.readouterr()
    assert call("references", "--registry", "registry.json", "--format", "json") == 0
    out, err = capsys.readouterr()
    assert "registry.json: registry version 1 of " in err
    (entry,) = json.loads(out)
    assert entry["solver"] == "swap"
    assert entry["value"] == results.load(real)["loss"].min()


def test_an_update_lists_and_writes_nothing_unless_asked(
    real: Path, tmp_path: Path, capsys: Captured
) -> None:
    update = ("references", "update", "--store", real, "--registry", "registry.json", "--format", "csv")
    assert call(*update) == 0
    out, err = capsys.readouterr()
    assert list(table_of(out, "csv")["change"]) == ["new instance"]
    assert err == "nothing was written; --apply makes it version 1 of registry.json\n"
    assert (tmp_path / "registry.json").read_text(encoding="utf-8") == EMPTY
    assert call(*update, "--apply") == 0
    assert "wrote registry.json: registry version 1 of " in capsys.readouterr().err
    assert results.load_references(tmp_path / "registry.json").version == 1
    assert call(*update, "--apply") == 0
    assert "nothing to write to registry.json: registry version 1" in capsys.readouterr().err
    assert call(*update) == 0
    assert "nothing better than registry.json holds" in capsys.readouterr().err


def test_a_loss_that_its_bits_do_not_have_is_not_believed(
    real: Path, tmp_path: Path, capsys: Captured
) -> None:
    store = tmp_path / "edited.db"
    store.write_bytes(real.read_bytes())
    with sqlite3.connect(store) as db:
        db.execute("UPDATE cell SET loss = loss - 1000, status = 'FINISHED' WHERE solver = 'random'")
        for table in ("trace", "work"):  # they would give the lie away before the bits do
            db.execute(f"DELETE FROM {table}")
    db.close()
    update = ("references", "update", "--store", store, "--registry", "registry.json", "--apply")
    assert call(*update, "--format", "json") == 1
    out, err = capsys.readouterr()
    assert "qubopress: not believed: " in err
    assert "(random on taylor/digits-cnn, seed 0): stored loss is" in err
    (offer,) = json.loads(out)
    assert offer["name"] == "taylor/digits-cnn"
    (known,) = results.load_references(tmp_path / "registry.json").instances.values()
    assert known.solver == "swap"


def test_what_cannot_be_checked_here_is_not_proposed(tmp_path: Path, capsys: Captured) -> None:
    """The synthetic records name a network that there is not."""
    store = make_store(tmp_path / "s.db", [{}])
    assert call("references", "update", "--store", store, "--registry", "registry.json", "--apply") == 0
    assert "qubopress: cannot check: cell-0 (sa on mlp int4, seed 0): " in capsys.readouterr().err
    assert (tmp_path / "registry.json").read_text(encoding="utf-8") == EMPTY


def test_an_empty_store_offers_nothing_and_exits_3(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s.db", [])
    assert call("references", "update", "--store", store, "--registry", "registry.json") == 3
