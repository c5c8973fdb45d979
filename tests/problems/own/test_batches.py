"""A batch is taken apart by what forward takes; what can be read in two ways is refused with the cure."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qubopress.problems import InputError
from qubopress.problems.own.batches import Reading, form_of

X, Z, Y = torch.zeros(4, 3), torch.zeros(4, 2), torch.arange(4)
IDS = torch.arange(8).reshape(4, 2)
MASK = torch.ones_like(IDS)
MASKED = {"input_ids": IDS, "attention_mask": MASK}


class One(nn.Module):
    def forward(self, x: Tensor) -> Any: ...


class Two(nn.Module):
    def forward(self, x: Tensor, z: Tensor, scale: float = 1.0) -> Any: ...


class Tokens(nn.Module):
    def forward(self, input_ids: Any = None, attention_mask: Any = None, labels: Any = None) -> Any: ...


class Open(nn.Module):
    def forward(self, *inputs: Any, **others: Any) -> Any: ...


def read(network: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    found = form_of(network).read(batch)
    return found.args, dict(found.kwargs), found.targets


def is_same(one: Any, other: Any) -> bool:
    """Whether these are one object, or tuples of the same."""
    return one is other or (isinstance(one, tuple) and all(map(is_same, one, other)))


@pytest.mark.parametrize(
    ("network", "batch", "expected"),
    [
        (One(), X, ((X,), {}, None)),
        (One(), [X], ((X,), {}, None)),
        (One(), [X, Y], ((X,), {}, Y)),
        (One(), ((X, Z), Y), (((X, Z),), {}, Y)),
        (One(), {"x": X}, ((), {"x": X}, None)),
        (One(), {"x": X, "y": Y}, ((), {"x": X}, Y)),
        (One(), {"image": X, "label": Y}, ((X,), {}, Y)),
        (Two(), (X, Z), ((X, Z), {}, None)),
        (Two(), [X, Z, Y], ((X, Z), {}, Y)),
        (Two(), ((X, Z), Y), ((X, Z), {}, Y)),
        (Two(), [(X, Z)], ((X, Z), {}, None)),
        (Two(), {"x": X, "z": Z, "scale": 2.0, "target": Y}, ((), {"x": X, "z": Z, "scale": 2.0}, Y)),
        (Tokens(), IDS, ((IDS,), {}, None)),
        (
            Tokens(),
            {"input_ids": IDS, "attention_mask": MASK},
            ((), {"input_ids": IDS, "attention_mask": MASK}, None),
        ),
        (Tokens(), {"input_ids": IDS, "labels": Y}, ((), {"input_ids": IDS, "labels": Y}, Y)),
        (Tokens(), ({"input_ids": IDS}, Y), ((), {"input_ids": IDS}, Y)),
        (Open(), [X, Y], ((X,), {}, Y)),
        (Open(), ((X, Z), Y), ((X, Z), {}, Y)),
        (Open(), {"a": X, "labels": Y}, ((), {"a": X}, Y)),
    ],
)
def test_each_form_is_read_as_documented(network: nn.Module, batch: Any, expected: Any) -> None:
    (args, kwargs, targets), (wanted, named, aims) = read(network, batch), expected
    assert len(args) == len(wanted)
    assert all(map(is_same, args, wanted))
    assert list(kwargs) == list(named)
    assert all(kwargs[name] is named[name] for name in named)
    assert targets is aims


@pytest.mark.parametrize(
    ("network", "batch", "message"),
    [
        (
            One(),
            [X, Z, Y],
            r"got 3 arrays for \(x\); pass \(\(inputs, ...\), targets\), a mapping",
        ),
        (Two(), X, r"must hold all inputs of forward, \(x, z\), got 1; pass them as a tuple or mapping"),
        (
            Tokens(),
            (IDS, MASK),
            r'tell attention_mask from targets, got .* pass a mapping \{"input_ids": ...',
        ),
        (
            One(),
            {"x": X, "ages": Z},
            "no argument of forward named 'ages'; choose from x; leave it out",
        ),
        (
            Open(),
            {"x": X, "text": ["a"] * 4},
            "data must be numbers in arrays, got words for 'text'",
        ),
        (One(), (X, 3), r"or a pair \(x, y\) of arrays, got a tuple"),
        (One(), "words", r"or a pair \(x, y\) of arrays, got a str"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_in_one_line(
    network: nn.Module, batch: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        form_of(network).read(batch)
    assert "\n" not in str(caught.value)


def test_a_function_of_the_callers_gets_any_batch() -> None:
    form = form_of(One(), lambda network, batch: network(batch))
    assert form.read({"any": X, "y": Y}).targets is Y
    assert form.read((X, Y)).targets is Y
    assert form.read((X, Z, Y)).targets is None
    assert form.read({"text": ["a", "b"]}).size == 2


def test_a_batch_without_an_array_has_no_size() -> None:
    reading = Reading((), {"scale": 2.0}, None, {"scale": 2.0})
    with pytest.raises(InputError, match=r"or a pair .* of arrays, got a dict"):
        _ = reading.size


def test_a_call_without_a_signature_takes_one_array() -> None:
    network = One()
    network.forward = max  # type: ignore[method-assign, assignment]  # as compiled code has none
    assert form_of(network).required == 1
