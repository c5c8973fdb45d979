"""The registry of best known solutions grows by version, never gets worse, and holds only sound solutions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_store

from qubopress.results import (
    References,
    ReferencesError,
    Store,
    StoreError,
    apply,
    leaderboard,
    load_references,
    pack,
    propose,
    unpack,
)

EMPTY = References(0, "2026-01-01", {})


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "references.json"
    path.write_text('{"version": 0, "date": "2026-01-01", "instances": []}')
    return path


def store_of(tmp_path: Path, *cells: dict[str, Any], name: str = "s.db") -> Path:
    (tmp_path / name).unlink(missing_ok=True)
    return make_store(tmp_path / name, list(cells))


def grown(registry: Path, tmp_path: Path, *cells: dict[str, Any]) -> References:
    """The registry after it took what these cells offer."""
    store = store_of(tmp_path, *cells)
    return apply(propose(store, references=load_references(registry)), path=registry, day="2026-02-03")


def kinds(tmp_path: Path, registry: Path, *cells: dict[str, Any]) -> list[str]:
    offered = propose(store_of(tmp_path, *cells), references=load_references(registry))
    return [str(one.kind) for one in offered]


# ---- reading


def test_the_packages_own_registry_is_sound() -> None:
    references = load_references()
    assert references.version >= 0
    for key, one in references.instances.items():
        assert one.key == key
        assert all(unpack(stage.bits, stage.shape).shape == stage.shape for stage in one.stages)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"value": "nan"}, "must be finite"),
        ({"feasible": False}, "must be feasible"),
        ({"standing": "sure"}, "must be proven or best-known"),
        ({"stages": []}, "must bring its bits"),
        ({"stages": [{"bits": "AAAA", "shape": [2]}]}, "must start with"),
        ({"date": "today"}, "YYYY-MM-DD"),
        ({"extra": 1}, "exactly its own fields"),
    ],
)
def test_an_unsound_registry_is_refused_in_one_line(
    tmp_path: Path, registry: Path, change: dict[str, Any], complaint: str
) -> None:
    grown(registry, tmp_path, {})
    data = json.loads(registry.read_text())
    data["instances"][0] |= change
    registry.write_text(json.dumps(data))
    with pytest.raises(ReferencesError, match=complaint) as error:
        load_references(registry)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": -1, "date": "2026-01-01", "instances": []}', "[" * 9999]
)
def test_text_that_is_no_registry_is_refused(registry: Path, text: str) -> None:
    registry.write_text(text)
    with pytest.raises(ReferencesError, match="must be a sound registry"):
        load_references(registry)


def test_a_missing_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReferencesError, match=r"none\.json must be a registry that can be read"):
        load_references(tmp_path / "none.json")


# ---- proposing


def test_the_best_ranked_solution_of_a_new_instance_is_proposed_with_its_bits(tmp_path: Path) -> None:
    cells: list[dict[str, Any]] = [
        {"loss": 3.0},
        {"loss": 2.0, "solver": "beam"},
        {"loss": 1.0, "status": "LIED"},
        {"loss": 0.5, "status": "INFEASIBLE", "violation": 1.0},
    ]
    (offered,) = propose(store_of(tmp_path, *cells), references=EMPTY)
    assert (offered.kind, offered.new.value, offered.new.solver) == ("new instance", 2.0, "beam")
    assert (offered.new.standing, offered.new.date, offered.old) == ("best-known", "2026-11-02", None)
    np.testing.assert_array_equal(unpack(offered.new.stages[0].bits, (2, 3)), [[1, 0, 1], [0, 0, 1]])
    assert "new instance: mlp int4 2 by sa" not in str(offered)
    assert "new instance: mlp int4 2 by beam" in str(offered)


def test_only_a_better_value_or_a_first_proof_is_proposed(tmp_path: Path, registry: Path) -> None:
    grown(registry, tmp_path, {"loss": 2.0})
    assert kinds(tmp_path, registry, {"loss": 2.0}) == []
    assert kinds(tmp_path, registry, {"loss": 2.0 - 1e-12}) == []
    assert kinds(tmp_path, registry, {"loss": 3.0, "status": "OPTIMAL"}) == []
    assert kinds(tmp_path, registry, {"loss": 1.9}) == ["better value"]
    assert kinds(tmp_path, registry, {"loss": 2.0}, {"loss": 2.0, "status": "OPTIMAL"}) == ["newly proven"]
    grown(registry, tmp_path, {"loss": 2.0, "status": "OPTIMAL"})
    assert kinds(tmp_path, registry, {"loss": 2.0, "status": "OPTIMAL"}) == []
    assert kinds(tmp_path, registry, {"loss": 1.9}) == ["better than a proven value"]


def test_a_proof_that_another_cell_beats_is_none(tmp_path: Path) -> None:
    (offered,) = propose(
        store_of(tmp_path, {"loss": 2.0, "status": "OPTIMAL"}, {"loss": 1.0}), references=EMPTY
    )
    assert (offered.new.value, offered.new.standing) == (1.0, "best-known")


def test_a_solution_without_sound_bits_is_not_proposed(tmp_path: Path) -> None:
    whole = {"variables": 3, "loss": 1.0, "violation": 0.0, "shape": (3,)}
    cells: list[dict[str, Any]] = [
        {"loss": 1.0, "stages": ()},
        {"loss": 1.1, "stages": ({**whole, "bits": b"bnonsense"},)},
        {"loss": 1.2, "stages": ({**whole, "bits": pack([1, 0, 1]), "violation": 2.0},)},
        {"loss": 1.3, "solver": "sound"},
    ]
    (offered,) = propose(store_of(tmp_path, *cells), references=EMPTY)
    assert (offered.new.solver, offered.new.value) == ("sound", 1.3)


def test_a_solution_that_does_not_hold_gives_way_to_the_next(tmp_path: Path) -> None:
    store = store_of(tmp_path, {"loss": 1.0, "solver": "liar"}, {"loss": 2.0, "solver": "honest"})
    asked: list[str] = []
    (offered,) = propose(
        store, references=EMPTY, judge=lambda record: asked.append(record.solver) or record.solver == "honest"
    )
    assert offered.new.solver == "honest"
    assert asked == ["liar", "honest"]


# ---- applying


def test_applying_writes_the_next_version_and_nothing_else_changes(tmp_path: Path, registry: Path) -> None:
    after = grown(registry, tmp_path, {"loss": 2.0}, {"loss": 7.0, "instance_key": "other"})
    assert (after.version, after.date) == (1, "2026-02-03")
    assert load_references(registry) == after
    assert after.losses == {"key-1": 2.0, "other": 7.0}
    later = grown(registry, tmp_path, {"loss": 1.0})
    assert later.version == 2
    assert later.instances["other"] == after.instances["other"]
    assert later.losses == {"key-1": 1.0, "other": 7.0}


def test_without_a_change_no_version_is_written(tmp_path: Path, registry: Path) -> None:
    grown(registry, tmp_path, {"loss": 2.0})
    before = registry.read_bytes()
    assert apply([], path=registry).version == 1
    assert grown(registry, tmp_path, {"loss": 5.0}).version == 1
    assert registry.read_bytes() == before


def test_a_worse_value_is_never_accepted(tmp_path: Path, registry: Path) -> None:
    stale = propose(store_of(tmp_path, {"loss": 2.0}), references=EMPTY)
    grown(registry, tmp_path, {"loss": 1.0, "solver": "beam"})
    before = registry.read_bytes()
    with pytest.raises(ReferencesError, match="must not get worse: mlp int4 stands at 1 by beam, got 2"):
        apply(stale, path=registry)
    assert registry.read_bytes() == before


def test_at_a_tie_the_older_reference_stays(tmp_path: Path, registry: Path) -> None:
    again = propose(store_of(tmp_path, {"loss": 2.0, "solver": "late"}), references=EMPTY)
    grown(registry, tmp_path, {"loss": 2.0, "solver": "early"})
    assert apply(again, path=registry).instances["key-1"].solver == "early"


def test_a_proof_keeps_the_value_and_names_both(tmp_path: Path, registry: Path) -> None:
    grown(registry, tmp_path, {"loss": 2.0, "solver": "beam"})
    proof = {"loss": 2.0 + 1e-12, "status": "OPTIMAL", "solver": "sphere"}
    one = grown(registry, tmp_path, proof).instances["key-1"]
    assert (one.value, one.standing, one.solver) == (2.0, "proven", "beam, proven by sphere")


# ---- in rankings


def test_rankings_use_the_registry_and_name_its_version(tmp_path: Path, registry: Path) -> None:
    references = grown(registry, tmp_path, {"loss": 2.0})
    worse = leaderboard(store_of(tmp_path, {"loss": 6.0}), references=references)
    assert worse[["excess", "improves_reference", "references"]].to_numpy().tolist() == [[0.5, 0, 1]]
    better = leaderboard(store_of(tmp_path, {"loss": 1.0}), references=references)
    assert better[["excess", "improves_reference", "references"]].to_numpy().tolist() == [[0.0, 1, 1]]


def test_a_registry_that_cannot_be_written_is_told(tmp_path: Path, registry: Path) -> None:
    offered = propose(store_of(tmp_path, {}), references=EMPTY)
    with Store(tmp_path / "s.db") as store:
        assert store.statuses()
    with pytest.raises((StoreError, ReferencesError), match="must"):
        apply(offered, path=tmp_path / "no" / "references.json")
