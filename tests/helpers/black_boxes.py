"""Black boxes that remember what they were asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from instances import matrix

from qubopress.problems import BlackBox, Qubo


class Spy:
    """A Qubo's loss with everything that it was asked."""

    def __init__(self, n: int, *, seed: int = 0) -> None:
        self.losses, self.asked = Qubo(matrix(n, seed=seed)).losses, list[Any]()

    def __call__(self, x: Any) -> Any:
        self.asked.extend(x.copy())
        return self.losses(x)


def box_of(n: int, K: int | None, *, seed: int = 0) -> tuple[BlackBox, Spy]:
    spy = Spy(n, seed=seed)
    start = np.random.default_rng(seed).permutation(np.arange(n) < (n // 2 if K is None else K))
    return BlackBox(spy, n, start=start.astype(np.int8), K=K), spy
