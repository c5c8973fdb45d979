"""Records and packed bits survive the trip to the store, and nothing false gets through."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from records import make_info, make_record

from qubopress.results import RANKED, InstanceInfo, Record, RecordError, Stage
from qubopress.results.storage.record import STATUSES


def refused(text: str | bytes) -> str:
    """The one line in which a record of this text is refused."""
    with pytest.raises(RecordError, match=r"Record|Stage") as error:
        Record.from_json(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    return str(error.value)


def altered(**changes: Any) -> str:
    return json.dumps(json.loads(make_record().to_json()) | changes)


# ---- JSON


def test_a_record_comes_back_from_json_as_it_was() -> None:
    record = make_record(parameters={"num_reads": 10, "mode": "discrete", "beta": [0.1, 2]}, restarts=3)
    assert Record.from_json(record.to_json()) == record
    assert Record.from_json(record.to_json().encode()) == record


def test_a_record_without_the_later_fields_is_an_anytime_one_of_timing_grade() -> None:
    record = make_record()
    assert (record.timing_grade, record.anytime, record.counts, record.limits) == (True, True, {}, {})
    assert record.counts is not make_record().counts


def test_an_instance_comes_back_from_json_as_it_was() -> None:
    assert InstanceInfo.from_json(make_info().to_json()) == make_info()


def test_non_finite_numbers_cross_strict_json() -> None:
    record = make_record(loss=float("inf"), bound=float("-inf"), energy=float("nan"))
    text = record.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    back = Record.from_json(text)
    assert back.loss == float("inf")
    assert back.bound == float("-inf")
    assert np.isnan(back.energy or 0.0)


def test_numbers_of_numpy_become_plain_ones() -> None:
    record = make_record(seed=np.int64(3), loss=np.float32(0.5), parameters={"width": np.int32(8)})
    assert type(record.seed) is int
    assert type(record.loss) is float
    assert type(record.parameters["width"]) is int


def test_a_non_finite_parameter_is_kept_as_text() -> None:
    assert make_record(parameters={"cooling": float("inf")}).parameters == {"cooling": "inf"}


def test_a_record_without_work_is_written_and_read_as_the_older_ones_are() -> None:
    old, new = make_record(), make_record(trace_work=(3, 9), work_unit="flips")
    assert "trace_work" not in old.to_json()
    assert "work_unit" not in old.to_json()
    assert Record.from_json(old.to_json()) == old
    assert Record.from_json(new.to_json()) == new
    assert new.without_trace() == old.without_trace()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": "0"}, "Record.seed must be an integer"),
        ({"seed": True}, "Record.seed must be an integer"),
        ({"seed": 2**63}, "Record.seed must be an integer of 64 bits"),
        ({"seed": 1.5}, "Record.seed must be an integer"),
        ({"loss": "2"}, "Record.loss must be a number"),
        ({"loss": 10**400}, "Record.loss must be a number of 64 bits"),
        ({"message": None}, "Record.message must be text"),
        ({"message": "\ud800"}, "lone surrogates"),
        ({"parameters": []}, "Record.parameters must be an object"),
        ({"versions": {"numpy": 2}}, "Record.versions must be text"),
        ({"trace": [[0.1]]}, "Record.trace must be a list of 2"),
        ({"trace": "none"}, "Record.trace must be a list"),
        ({"trace_work": [1.5]}, "Record.trace_work must be an integer"),
        ({"stages": [{"variables": 1}]}, "Record.stages must hold exactly its own fields"),
        ({"status": "PERFECT"}, "Record.status must be one of OPTIMAL"),
        ({"finished_at": "yesterday"}, "Record.finished_at must be ISO 8601 in UTC"),
        ({"finished_at": "2026-11-02T10:00:00"}, "Record.finished_at must be ISO 8601 in UTC"),
        ({"timing_grade": 1}, "Record.timing_grade must be true or false"),
        ({"counts": {"flips": 1.5}}, "Record.counts must be an integer"),
        ({"limits": {"memory": 4}}, "Record.limits must be text"),
        ({"measures": {"SSIM": "good"}}, "Record.measures must be a number"),
        ({"extra": 1}, "missing or unknown: 'extra'"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(changes: dict[str, Any], complaint: str) -> None:
    assert complaint in refused(altered(**changes))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "{",
        "[" * 5000,
        '{"a":' * 5000,
        "NaN",
        '{"cell": NaN}',
        b"\xff\xfe",
        "1" * 9000,
    ],
    ids=range(11),
)
def test_text_that_is_no_record_is_refused(text: str | bytes) -> None:
    assert "must" in refused(text)


def test_a_record_is_checked_when_it_is_built_too() -> None:
    with pytest.raises(RecordError, match=r"Record\.threads must be an integer"):
        make_record(threads="two")
    with pytest.raises(RecordError, match="sizes must be ≥ 0"):
        Stage(1, None, None, None, (-1,))


def test_bits_that_are_not_base64_are_refused() -> None:
    stage = json.loads(make_record().to_json())["stages"][0] | {"bits": "@@@"}
    assert "Stage.bits must be bytes in base64" in refused(altered(stages=[stage]))


def test_the_ranked_statuses_are_statuses() -> None:
    assert set(RANKED) < set(STATUSES)
    assert len(set(STATUSES)) == 11
