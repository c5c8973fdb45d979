"""The least that the coordinates still free can cost."""

from __future__ import annotations

import numpy as np

from ....problems.arrays import Floats
from ...run import Run

__all__ = ["WINDOW", "curbs"]

WINDOW = 96
"""Coordinates whose least cost is prepared at a time."""

BARRIERS = (1e-1, 1e-2, 1e-3)
"""Weights of the barrier that least costs follow."""


def curbs(lower: Floats, run: Run, *, stations: int = 12) -> Floats:
    """For each depth i of the tree u (k + 1, k) ≥ 0 with G − diag(u) ⪰ 0, G the gram of what is left there.

    The terms of the next WINDOW coordinates have a gram of their own, and the others cost no less than
    nothing. What holds from depth i on holds for fewer coordinates too, so some depths are enough; the
    others stay at 0 if the budget ends before them.

    Parameters:
        lower: (k, k) triangular factor of the gram.
        run: whose budget ends this.
        stations: how many depths are prepared; WINDOW / 2 apart at most.
    """
    k = len(lower)
    found, stride = np.zeros((k + 1, k)), max(1, min(WINDOW // 2, k // stations))
    pivot = np.diag(lower)
    last = 0
    for depth in range(0, k, stride):
        if run.stopped():
            break
        weak = np.flatnonzero(pivot[depth:] < 1e-3 * pivot[depth])
        end = min(depth + WINDOW, depth + int(weak.min(initial=k)))
        window = lower[depth:end, depth:end]
        # What holds from the depth before holds here and is nearly the best where the windows end alike.
        start = found[depth - 1, depth:end] if depth and end == last else None
        found[depth : depth + stride, depth:end] = _curb(window.T @ window, start)
        last = end
    return found


def _curb(gram: Floats, start: Floats | None = None) -> Floats:
    """A large u (k,) ≥ 0 with gram − diag(u) ⪰ 0; where columns are dependent it is 0.

    Newton's method on Σ u + μ (log det(gram − diag(u)) + Σ log u) for falling μ, whose barrier keeps u inside
    by far more than rounding errors. Every column is scaled to length 1 first, which changes no step.

    Parameters:
        gram: (k, k).
        start: (k,) such a u, near to the largest; its last barriers are enough.
    """
    size = np.diag(gram)
    if not (size > 0).all() or not size.size:
        return np.zeros(len(gram))
    gram, worth = gram / np.sqrt(np.outer(size, size)), size / size.mean()
    lowest = float(np.linalg.eigvalsh(gram)[0])
    if lowest < 1e-9:
        return np.zeros(len(gram))
    near = start is not None and (start > 0).all() and _definite(gram - np.diag(start / size))
    u = start / size if start is not None and near else np.full(len(gram), lowest / 2)
    for weight in BARRIERS[2 * near :]:
        for _ in range(12):
            inverse = np.linalg.inv(gram - np.diag(u))
            slope = worth + weight * (1 / u - np.diag(inverse))
            step = np.linalg.solve(weight * (inverse**2 + np.diag(1 / u**2)), slope)
            u = u + _stride(gram, u, step) * step
            if slope @ step < 1e-2 * weight * len(u):
                break
    return np.asarray(size * u)


def _stride(gram: Floats, u: Floats, step: Floats) -> float:
    """Largest t of 1, 0.9·½, 0.9·¼, … with u + t·step > 0 and gram − diag(u + t·step) ≻ 0; 0 without one."""
    for t in 0.5 ** np.arange(60):
        ahead = u + t * step
        if (ahead > 0).all() and _definite(gram - np.diag(ahead)):
            return float(t if t == 1 else 0.9 * t)
    return 0.0


def _definite(gram: Floats) -> bool:
    try:
        np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        return False
    return True
