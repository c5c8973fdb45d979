"""ais-topology: which couplings of an analog interaction system to fabricate, exactly K."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from torch import nn

from ..arrays import Bits, Floats
from ..cache import cached
from ..instances.capacity import Capacity, of_removed
from ..layers.samples import tensor_of
from ..registry import problem
from ..tasks.task import Task
from .hardware_costs import measures
from .image_sensitivity import WHOLE, couplings_kept, double, joint_gram, system_of

__all__ = ["ais_topology", "removal"]


@problem("ais-topology", family="analog", measures=measures)
def ais_topology(task: Task, *, keep: float = 0.5) -> Generator[Capacity, Bits, nn.Module]:
    """Decide which K couplings to fabricate, for all segments at once: min rᵀCr, Σ(1 − r) = K.

    r marks the couplings left out. A coupling that is not fabricated is 0 in every segment, so leaving out e
    moves the final visible images, to first order, by −Σ_m k_me J_me, with J_me the images' derivative by its
    value k_me in segment m. C_ee' is the mean over the initial states of the product of two such moves,
    summed over the pixels: rᵀCr is the mean squared error of the images. The couplings that stay keep their
    values; `ais-rounding` may then make up for those that went.

    Parameters:
        task: an interaction system, and the initial states that calibrate it.
        keep: share of the couplings that are fabricated, in (0, 1].

    Raises:
        InputError: a share that leaves none or more than there are, or a network that is no interaction
            system.
    """
    given = system_of(task.network)
    system = double(given)
    starts = tensor_of(task.inputs, "ais-topology").double()
    K = couplings_kept(keep, len(system.edges), name="keep")

    def build() -> dict[str, Floats]:
        return {"gram": joint_gram(system, starts, system.couplings)}

    x = yield removal(cached(task, WHOLE, build)["gram"], K)
    made = system.without(torch.from_numpy(x == 1))
    return made.to(given.couplings.dtype)


def removal(cost: Floats, K: int) -> Capacity:
    """Leave out all but K (x = 1 stays) at the cost rᵀ cost r with r = 1 − x."""
    Q, offset = of_removed(np.zeros(len(cost)), cost)
    return Capacity(Q, np.ones(len(cost)), K, offset=offset)
