"""parallel: the same function on many cases, a thread each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

__all__ = ["each"]

Result = TypeVar("Result")


def each(function: Callable[..., Result], cases: Sequence[tuple[Any, ...]], *, jobs: int) -> list[Result]:
    """What the function makes of each case's arguments, in their order, in so many processes.

    Every case has one thread, this process's own included: sums in another order train another network.
    """
    if jobs == 1:
        torch.set_num_threads(1)
        return [function(*case) for case in cases]
    setting: dict[str, Any] = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), **setting) as pool:
        return list(pool.map(function, *zip(*cases, strict=True)))
