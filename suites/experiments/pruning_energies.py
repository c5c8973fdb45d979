"""Energy against metric: why the hybrid energy's optimum may be a worse network than random channels are.

`qubopress experiment pruning-energies` writes what docs/pictures/pruning-energies.svg draws. On one draw of
calibration data, with the statistics of BatchNorms re-estimated (`metric`) or as trained and nothing else
repaired, three questions have a table each: does a lower energy leave a better network (`masks.csv`); which
term leads astray, as β grows (`terms.csv`); and which layers, each pruned alone as the optimum prunes it, and
by as many channels at random (`layers.csv`). Masks are those of `random`, of random channels in the layers'
optimal numbers, of the best channels in equal shares of all layers, of exchanges away from the optimum, and
the optimum itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from ... import solvers
from ...problems import Capacity
from ...problems.arrays import Bits, Floats
from ...problems.pruning import formulations, surgery
from .pruning_readings import Ground

__all__ = ["BETAS", "layers", "masks", "run", "terms"]

BETAS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights of the similarity."""

DRAWN = 30
"""Masks of each kind that is drawn."""

EXCHANGES = (1, 2, 4, 8, 16, 32)
"""Pairs of channels that are exchanged at random, starting at the optimum."""


def masks(ground: Ground, rng: np.random.Generator) -> pd.DataFrame:
    """A row a mask: its kind, both terms of its energy, and the test metric."""
    Q, linear = _energy(ground, beta=0.1), _energy(ground, beta=0.0)
    best = ground.mask("hybrid", {})
    kinds: Mapping[str, list[Bits]] = {
        "optimum": [best],
        "exchanged": [_exchanged(best, pairs, rng) for pairs in EXCHANGES for _ in range(DRAWN // 6)],
        "random": [ground.mask("random", {"seed": seed}) for seed in range(DRAWN)],
        "random, the optimum's numbers": [_numbered(ground, best, rng) for _ in range(DRAWN)],
        "best, equal shares": [_equal(ground, Q)],
        "Taylor": [ground.mask("taylor", {})],
    }
    return pd.DataFrame(
        {
            "kind": kind,
            "importance": _loss(linear, x),
            "similarity": _loss(Q - linear, x),
            "energy": _loss(Q, x),
            **_metrics(ground, x),
        }
        for kind, made in kinds.items()
        for x in made
    )


def terms(ground: Ground) -> pd.DataFrame:
    """A row a weight β and normalisation: the optimum's test metric and the least share a layer keeps."""
    return pd.DataFrame(
        {
            "beta": beta,
            "normalise": over,
            **_metrics(ground, x),
            "least share": min(float(x[span].mean()) for span in ground.made.groups.spans()),
        }
        for over in ("global", "layer")
        for beta in BETAS
        for x in [ground.mask("hybrid", {"alpha": 1.0, "beta": beta, "normalise": over})]
    )


def layers(ground: Ground, rng: np.random.Generator) -> pd.DataFrame:
    """A row a group: how many channels Taylor and the optimum keep, and the metric with it alone pruned."""
    best, taylor = ground.mask("hybrid", {}), ground.mask("taylor", {})
    groups = ground.made.groups
    whole = ground.reached(np.ones(groups.total, dtype=np.int8), True, "as chosen")
    rows = []
    for group, span in zip(groups.groups, groups.spans(), strict=True):
        alone = np.ones(groups.total, dtype=np.int8)
        alone[span] = best[span]
        others = [_shuffled(alone, span, rng) for _ in range(DRAWN // 6)]
        drawn = pd.DataFrame({**_metrics(ground, x), "spread": _spread(ground, x)} for x in others)
        rows.append(
            {
                "layer": group.name,
                "channels": group.width,
                "Taylor keeps": int(taylor[span].sum()),
                "optimum keeps": int(best[span].sum()),
                **_metrics(ground, alone),
                "spread": _spread(ground, alone),
                **drawn.mean().add_prefix("random ").to_dict(),
                "whole": whole,
            }
        )
    return pd.DataFrame(rows)


def _metrics(ground: Ground, x: Bits) -> dict[str, float]:
    """The test metric with statistics re-estimated, and as trained."""
    return {
        "metric": ground.reached(x, True, "as chosen"),
        "as trained": ground.reached(x, False, "as chosen"),
    }


def _spread(ground: Ground, x: Bits) -> float:
    """What is left of what reaches a BatchNorm: its median standard deviation in units of the trained one's.

    Of the norm that has lost most. Statistics re-estimated there divide by it.
    """
    network = surgery.shrink(ground.task.copy(), ground.made.groups, x)
    before = _variances(network)
    surgery.reestimate(network, ground.task.inputs)
    return min(
        float(np.median(np.sqrt(one / two))) for one, two in zip(_variances(network), before, strict=True)
    )


def _variances(network: nn.Module) -> list[Floats]:
    norms = [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
    return [norm.get_buffer("running_var").double().numpy().copy() for norm in norms] or [np.ones(1)]


def _shuffled(x: Bits, span: slice, rng: np.random.Generator) -> Bits:
    """Other channels of a group, as many."""
    y = x.copy()
    y[span] = rng.permutation(x[span])
    return y


def _energy(ground: Ground, *, beta: float) -> Floats:
    Q = inspect.unwrap(formulations.hybrid)(ground.made, alpha=1.0, beta=beta).Q
    return np.asarray(Q)


def _loss(Q: Floats, x: Bits) -> float:
    kept = x.astype(np.float64)
    return float(kept @ Q @ kept)


def _exchanged(x: Bits, pairs: int, rng: np.random.Generator) -> Bits:
    """So many kept channels for as many removed ones."""
    y = x.copy()
    y[rng.choice(np.flatnonzero(x), pairs, replace=False)] = 0
    y[rng.choice(np.flatnonzero(x == 0), pairs, replace=False)] = 1
    return y


def _numbered(ground: Ground, x: Bits, rng: np.random.Generator) -> Bits:
    """Other channels, as many of each group."""
    for span in ground.made.groups.spans():
        x = _shuffled(x, span, rng)
    return x


def _equal(ground: Ground, Q: Floats) -> Bits:
    """The channels of least energy where each group keeps the same share, up to one channel."""
    spans = list(ground.made.groups.spans())
    ends = np.rint(np.cumsum([0, *(span.stop - span.start for span in spans)]) * ground.made.keep)
    x = np.zeros(len(Q), dtype=np.int8)
    for span, kept in zip(spans, np.diff(ends), strict=True):
        inner = Q[span, span]
        instance = Capacity(inner, np.ones(len(inner)), float(max(1, kept)))
        found = solvers.solve(instance, "swap", restarts=1, seed=0).x
        assert found is not None
        x[span] = found
    return x


def run(network: str, *, draw: int, calibration: int, out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure and write the three tables as CSV files, each yielded as it is known.

    Raises:
        InputError, MissingDataError: as `pruning_readings.measure`.
    """
    ground, rng = Ground.of(network, draw=draw, calibration=calibration), np.random.default_rng(0)
    out.mkdir(parents=True, exist_ok=True)
    made = {"masks": masks(ground, rng), "terms": terms(ground), "layers": layers(ground, rng)}
    for name, table in made.items():
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
    whole = made["masks"].groupby("kind", sort=False)[
        ["importance", "similarity", "energy", "metric", "as trained"]
    ]
    yield f"{network}: masks, means of each kind", whole.mean().reset_index()
    yield "terms", made["terms"]
    yield "layers", made["layers"]
