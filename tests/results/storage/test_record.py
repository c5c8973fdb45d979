"""Records and packed bits survive the trip to the store, and nothing false gets through."""

from __future__ import annotations

import contextlib
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from records import make_info, make_record

from qubopress.results import RANKED, InstanceInfo, Record, RecordError, Stage, pack, unpack
from qubopress.results.storage.record import STATUSES

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
BITS = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 1))
LEVELS = hnp.arrays(np.int8, SHAPES, elements=st.integers(0, 127))


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


# ---- bits


@given(x=BITS | LEVELS)
def test_packed_solutions_come_back_as_they_were(x: np.ndarray) -> None:
    back = unpack(pack(x), x.shape)
    assert back.dtype == np.int8
    assert back.shape == x.shape
    np.testing.assert_array_equal(back, x)


def test_bits_cost_a_bit_and_zeros_next_to_nothing() -> None:
    rng = np.random.default_rng(0)
    assert len(pack(rng.integers(0, 2, 80_000))) < 10_100
    assert len(pack(np.zeros(80_000))) < 100


@pytest.mark.parametrize("x", [[-1, 0], [0.5, 1.0], [128, 0], [np.nan], ["a"], [1 + 1j]])
def test_what_is_no_level_is_not_packed(x: list[Any]) -> None:
    with pytest.raises(RecordError, match="whole levels from 0 to 127"):
        pack(x)


@given(data=st.binary(max_size=60), shape=st.lists(st.integers(-2, 10**20), max_size=3))
def test_hostile_bytes_end_in_one_line(data: bytes, shape: list[int]) -> None:
    with pytest.raises(RecordError, match=r"\A.*\Z"):  # no newline: the dot does not match one
        unpack(b"x" + data, shape)
    with contextlib.suppress(RecordError):  # any other error fails
        assert unpack(b"l" + data, shape).shape == tuple(shape)


def test_a_decompression_bomb_is_not_inflated() -> None:
    bomb = b"l" + zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(RecordError, match="exactly 10 bytes"):
        unpack(bomb, (10,))


@pytest.mark.parametrize(
    ("data", "shape", "complaint"),
    [
        (b"", (1,), "must start with"),
        (b"x" + zlib.compress(b"\0"), (1,), "must start with"),
        (b"bnonsense", (1,), "zlib stream"),
        (pack([1, 0, 1])[:-2], (3,), "altered or cut off"),
        (pack([1, 0, 1]) + b"!", (3,), "altered or cut off"),
        (b"b" + zlib.compress(b"\xff"), (3,), "end in zeros"),
        (b"l" + zlib.compress(b"\xff"), (1,), r"lie in \[0, 127\]"),
        (pack([1]), (10**6, 10**6), "variables, got one of shape"),
        (pack([1]), (0, 10**30), "variables, got one of shape"),
        (pack([1]), (-1, -1), "variables, got one of shape"),
    ],
)
def test_altered_bytes_are_refused(data: bytes, shape: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        unpack(data, shape)
