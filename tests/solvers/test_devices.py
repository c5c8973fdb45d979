"""numba, cpu and cuda: what is refused, and what this machine declines."""

from __future__ import annotations

import pytest
import torch

from qubopress.problems import InputError
from qubopress.solvers.devices import device_of
from qubopress.solvers.run import Declined


def test_the_processor_is_always_there() -> None:
    assert device_of("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["numba", "tpu", "cuda:x", "cuda:-1", ""])
def test_what_is_no_device_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match=r"^device must be numba, cpu, cuda or cuda:1 and so on, got "):
        device_of(name)


def test_a_gpu_beyond_those_there_is_declined_with_those_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Declined, match=r"^device cuda:1 needs a GPU .*: numba, cpu, cuda:0$"):
        device_of("cuda:1")
