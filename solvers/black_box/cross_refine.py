"""cross-refine: cross approximation over exchanges of doubtful pairs, so that every mask keeps its K ones.

After TTOpt (Sozykin et al. 2022, arXiv:2205.00293). Over single bits nearly every point of a cross would have
a wrong number of ones; so a bit of the tensor here is an exchange of one kept and one removed variable of the
best mask so far, and all 2^pairs masks are feasible. A sweep visits the pairs to and fro; at each it asks for
every kept choice of the pairs before, with and without the exchange, with every kept choice after, and keeps
the rows of largest volume (tntorch's maxvol). Then the best mask found is paired anew.

Which pairs is **ours**: a ridge regression of all losses so far on the bits, a train of rank 2, says what
each variable is worth; the least of the kept meet the best of the removed. Its uncertainty is drawn, not
ignored (Thompson sampling), and where a sweep finds no new mask the next begins some random exchanges away.
Defaults were chosen on digits-mlp, digits-wide and digits-cnn; rank 2 was worse at 100 losses, alike at 500.
Not to be confused with tensor-cross, which crosses single bits and repairs the points.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular

from ...problems import BlackBox
from ...problems.arrays import Bits, Floats
from ..qubo.crosses import largest, with_bit
from ..registry import Range, solver
from ..run import Run
from .ask_and_exchange import ask, exchanged, exhausted

__all__ = ["cross_refine"]

Pairs = npt.NDArray[np.int64]


@solver(
    "cross-refine",
    accepts=BlackBox,
    reference="Sozykin et al. 2022",
    max_variables=1000,
    requires={"tntorch": "tntorch.maxvol"},
)
def cross_refine(
    box: BlackBox,
    run: Run,
    *,
    rank: Annotated[int, Range(1, 16)] = 1,
    pairs: Annotated[int, Range(1, 500, log=True)] = 4,
    doubt: Annotated[float, Range(0.0, 100.0)] = 1.0,
    sweeps: Annotated[int, Range(1, 10_000, log=True)] = 200,
) -> None:
    """Cross the most promising exchanges, move to the best, pair anew. A sweep asks ≤ 4·pairs·rank² losses.

    Without a K a pair is one variable to flip.

    Parameters:
        rank: how many choices of the pairs before and after are kept at each pair.
        pairs: exchanges in a tensor.
        doubt: standard deviations of the regression that a variable's worth is drawn with.
        sweeps: tensors crossed in a restart.
    """
    seen = _Seen(box, run)
    seen.ask(box.start[None])
    while run.open():
        asked, stale = box.evaluations, 0
        for _ in range(sweeps):
            if run.stopped():
                break
            before, x = box.evaluations, box.start if run.best is None else run.best
            for _ in range(min(stale, box.n)):
                x = exchanged(box, x, run.rng)
            _sweep(seen, x, _pairs(box, x, seen.worth(doubt), pairs), rank)
            stale = 0 if box.evaluations > before else stale + 1
        if exhausted(box, run, asked):
            return


class _Seen:
    """The black box, asked within the budget, and all that it answered."""

    def __init__(self, box: BlackBox, run: Run) -> None:
        self.box, self.run = box, run
        self.known: dict[bytes, float] = {}
        self.pairs = np.eye(box.n)
        """Unit matrix and products XᵀX of the masks so far, in spins ±1."""

    def ask(self, points: Bits) -> Floats:
        """Losses (k,) of points (k, n); infinite where the budget ended before."""
        losses = np.full(len(points), np.inf)
        for i, point in enumerate(points):
            key = point.tobytes()
            if key not in self.known and not self.run.stopped():
                self.known[key] = float(ask(self.box, self.run, point[None])[0])
                self.pairs += np.outer(2.0 * point - 1.0, 2.0 * point - 1.0)
            losses[i] = self.known.get(key, np.inf)
        return losses

    def worth(self, doubt: float) -> Floats:
        """What each variable (n,) adds to the loss by being kept, drawn from the regression's posterior."""
        losses = np.array(list(self.known.values()))
        spins = 2.0 * np.frombuffer(b"".join(self.known), dtype=np.int8).reshape(-1, self.box.n) - 1.0
        # Ranks have a spread that no unit changes, and few very bad masks do not decide.
        from scipy.stats import rankdata  # takes a second

        ranks = rankdata(losses)
        y = (ranks - ranks.mean()) / max(float(ranks.std()), 1.0)
        middle = spins.mean(axis=0)
        root = cholesky(self.pairs - len(y) * np.outer(middle, middle), lower=True, check_finite=False)
        mean = cho_solve((root, True), y @ spins, check_finite=False)
        error = float(np.std(y - (spins - middle) @ mean)) + 1e-6
        luck = self.run.rng.standard_normal(self.box.n)
        return np.asarray(mean + doubt * error * solve_triangular(root, luck, lower=True, trans="T"))


def _pairs(box: BlackBox, x: Bits, worth: Floats, wanted: int) -> Pairs:
    """The exchanges (p, 2) that promise most, most promising first, no variable twice."""
    if box.K is None:
        flips = np.argsort(np.where(x == 1, -worth, worth), kind="stable")[:wanted]
        return np.stack([flips, flips], axis=1)
    kept, removed = np.flatnonzero(x == 1), np.flatnonzero(x == 0)
    leave = kept[np.argsort(-worth[kept], kind="stable")]
    enter = removed[np.argsort(worth[removed], kind="stable")]
    p = min(len(leave), len(enter), wanted)
    return np.stack([leave[:p], enter[:p]], axis=1)


def _sweep(seen: _Seen, x: Bits, pairs: Pairs, rank: int) -> None:
    """Cross the tensor of 2^p masks to and fro; a choice of pairs is a row of bits, 1 where exchanged."""
    p = len(pairs)
    suffixes = [np.zeros((1, p - k - 1), dtype=np.int8) for k in range(p)]
    prefixes = [np.zeros((1, 0), dtype=np.int8)] * p
    for k in range(p):
        table = _table(seen, x, pairs, prefixes[k], suffixes[k])
        if k + 1 < p:
            rows = with_bit(prefixes[k], first=False)
            prefixes[k + 1] = rows[_kept(table.reshape(len(rows), -1), rank)]
    for k in reversed(range(p)):
        table = _table(seen, x, pairs, prefixes[k], suffixes[k])
        if k:
            rows = with_bit(suffixes[k], first=True)
            suffixes[k - 1] = rows[_kept(table.reshape(len(prefixes[k]), -1).T, rank)]


def _kept(losses: Floats, rank: int) -> Pairs:
    """Rows of the table (r, c) to keep: of largest volume, and where that are too few, of lowest loss."""
    rows = largest(losses, rank)
    others = [i for i in np.argsort(losses.min(axis=1), kind="stable") if i not in rows]
    return np.concatenate([rows, np.array(others[: rank - len(rows)], dtype=np.int64)])


def _table(seen: _Seen, x: Bits, pairs: Pairs, prefixes: Bits, suffixes: Bits) -> Floats:
    """Losses (p, 2, s) of every prefix, without and with the exchange, with every suffix."""
    ahead = np.repeat(with_bit(prefixes, first=False), len(suffixes), axis=0)
    choices = np.hstack([ahead, np.tile(suffixes, (2 * len(prefixes), 1))])
    points = np.tile(x, (len(choices), 1))
    points[:, pairs[:, 0]] ^= choices
    if seen.box.K is not None:
        points[:, pairs[:, 1]] ^= choices
    return seen.ask(points).reshape(len(prefixes), 2, len(suffixes))
