"""Threads of this process's libraries, as the caller set them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

__all__ = ["blas_as_torch", "pools"]


def pools() -> ThreadpoolController:
    """The thread pools of this process."""
    return _found(len(sys.modules))


@functools.lru_cache(maxsize=1)
def _found(modules: int) -> ThreadpoolController:
    """A search takes 10 ms, so only an import asks for another."""
    return ThreadpoolController()


@contextmanager
def blas_as_torch() -> Iterator[None]:
    """No more threads in BLAS than in torch, which are the caller's."""
    import torch

    blas = pools().select(user_api="blas")
    threads = min([torch.get_num_threads(), *(one["num_threads"] for one in blas.info())])
    with blas.limit(limits=threads):
        yield
