"""ais-topology: which couplings of an analog interaction system to fabricate, exactly K."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import nn

from ..arrays import Bits
from ..instances.capacity import Capacity, of_removed
from ..layers.samples import tensor_of
from ..registry import problem
from ..tasks.task import Task
from .coupling_tiles import removal_cost
from .hardware_costs import measures
from .image_sensitivity import couplings_kept, double, system_of

__all__ = ["ais_topology", "removal"]


@problem("ais-topology", family="analog", measures=measures, later={"tile": 0, "mixtures": 0})
def ais_topology(
    task: Task, *, keep: float = 0.5, tile: int = 0, mixtures: int = 0
) -> Generator[Capacity, Bits, nn.Module]:
    """Decide which K couplings to fabricate, for all segments at once: min rᵀCr, Σ(1 − r) = K.

    r marks the couplings left out. A coupling that is not fabricated is 0 in every segment, so leaving out e
    moves the final visible images, to first order, by −Σ_m k_me J_me, with J_me the images' derivative by its
    value k_me in segment m. C_ee' is the mean over the initial states of the product of two such moves,
    summed over the pixels: rᵀCr is the mean squared error of the images. The couplings that stay keep their
    values; `ais-rounding` may then make up for those that went.

    With tiles C is sparse: moves of couplings that nodes of different squares of pixels feel count as
    unrelated.

    Parameters:
        task: an interaction system, and the initial states that calibrate it.
        keep: share of the couplings that are fabricated, in (0, 1].
        tile: as of `ais-rounding`.
        mixtures: as of `ais-rounding`.

    Raises:
        InputError: a share that leaves none or more than there are, or a network that is no interaction
            system.
    """
    given = system_of(task.network)
    system = double(given)
    starts = tensor_of(task.inputs, "ais-topology").double()
    K = couplings_kept(keep, len(system.edges), name="keep")

    x = yield removal(removal_cost(task, system, starts, tile, mixtures), K)
    made = system.without(torch.from_numpy(x == 1))
    return made.to(given.couplings.dtype)


def removal(cost: Any, K: int) -> Capacity:
    """Leave out all but K (x = 1 stays) at the cost rᵀ cost r with r = 1 − x."""
    Q, offset = of_removed(np.zeros(cost.shape[0]), cost)
    return Capacity(Q, np.ones(cost.shape[0]), K, offset=offset)
