"""Sensitivity: how the images of an interaction system depend on its couplings, exactly, and what that costs.

A coupling of an edge enters the rate of change of the node that feels it linearly, as k times the pull of the
other node. So what the image gains from k is the sum, over all slopes that the integration evaluates, of the
image's gradient by that node's rate times the pull: one reverse pass a pixel serves all couplings at once.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ..arrays import Floats, number
from ..errors import InputError
from ..networks.interaction import InteractionSystem
from ..networks.trajectories import hear_pushes

__all__ = [
    "MOST",
    "WHOLE",
    "couplings_kept",
    "double",
    "gradient",
    "gram",
    "images_of",
    "joint_gram",
    "least_missed",
    "mean_square",
    "pushes_of",
    "sensitivities",
    "system_of",
]

CHUNK = 50
"""Samples at a time."""

MOST = 8000
"""Couplings that are decided at once: their gram takes the square of this in numbers."""

System = TypeVar("System", bound=InteractionSystem)
WHOLE = "gram of whole couplings"
"""Piece of the cache that holds the joint gram of the trained couplings."""


def system_of(network: nn.Module) -> InteractionSystem:
    """The network, if it is an interaction system. Raises InputError for any other."""
    if not isinstance(network, InteractionSystem):
        raise InputError(
            "the network must be an interaction system, such as digits-generator, "
            f"got a {type(network).__name__}"
        )
    return network


def couplings_kept(share: float, E: int, *, name: str) -> int:
    """How many of E couplings a share stands for, the parameter `name`.

    Raises:
        InputError: it lies outside (0, 1], or leaves none.
    """
    if not 0 < number(share, name=name) <= 1:
        raise InputError(f"{name} must lie in (0, 1], got {share}")
    wanted = round(share * E)
    if not wanted:
        raise InputError(f"a system must have a coupling, got {share} of {E}; raise {name}")
    return wanted


def sensitivities(
    system: InteractionSystem, starts: Tensor, segments: list[int], *, directions: Tensor | None = None
) -> list[Tensor]:
    """∂ image / ∂ couplings (batch, pixels, E) of each of the segments, at starts (batch, n).

    With `directions` (batch, r, pixels) only r products with them, (batch, r, E).
    """
    design = system.design
    if directions is None:
        directions = torch.eye(design.visible, dtype=starts.dtype).expand(len(starts), -1, -1)
    rows = directions.shape[1]
    states, pushes = pushes_of(system, starts, directions)
    found = []
    for segment in segments:
        mine = [push.reshape(design.nodes, len(starts), rows).permute(2, 0, 1) for push in pushes[segment]]
        found.append(_by_coupling(system, torch.stack(states[segment]), mine))
    return found


def pushes_of(
    system: InteractionSystem, starts: Tensor, directions: Tensor
) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
    """By segment and slope: states (n, batch), and the gradients of images by the rates (n, batch · r).

    Parameters:
        system: whose couplings.
        starts: (batch, n).
        directions: (batch, r, pixels) whose products with the images are differentiated.
    """
    design, (wanted, rows, _) = system.design, directions.shape
    states: list[list[Tensor]] = [[] for _ in range(design.segments)]
    pushes: list[list[Tensor]] = [[] for _ in range(design.segments)]

    def hear(segment: int, state: Tensor, push: Tensor) -> None:
        states[segment].append(state[:, ::rows])
        pushes[segment].append(push)

    def push_of(final: Tensor) -> Tensor:
        shown = final.T.detach().requires_grad_()
        weights = directions.reshape(wanted * rows, 1, design.side, design.side)
        (push,) = torch.autograd.grad((system.shown(shown) * weights).sum(), shown)
        return push.T.contiguous()

    many = starts.repeat_interleave(rows, dim=0).T
    hear_pushes(system.plan(), many, system.couplings, system.bias, system.lock, push_of, hear)
    return states, pushes


def _by_coupling(system: InteractionSystem, states: Tensor, pushes: list[Tensor]) -> Tensor:
    """(batch, pixels, E) from states (slopes, n, batch) and pixels' gradients by rates (pixels, n, batch)."""
    felt, of = system.edges.T
    gradients = torch.stack(pushes).permute(2, 3, 1, 0).contiguous()  # (n, batch, pixels, slopes)
    found = _one_way(gradients, _pull(system, states, felt, of), felt)
    if not system.design.directed:
        found += _one_way(gradients, _pull(system, states, of, felt), of)
    return found


def _pull(system: InteractionSystem, states: Tensor, felt: Tensor, of: Tensor) -> Tensor:
    """(batch, slopes, E) what a unit of each coupling adds to the rate of the node that feels it."""
    if system.design.kind == "tanh":
        pull = torch.tanh(states[:, of])
    else:
        pull = torch.sin(states[:, of] - states[:, felt])
    return pull.permute(2, 0, 1).contiguous()


def _one_way(gradients: Tensor, pull: Tensor, felt: Tensor) -> Tensor:
    """Gradients by the rates times pulls, summed over the slopes: (batch, pixels, E)."""
    found = gradients.new_empty(pull.shape[0], gradients.shape[2], pull.shape[2])
    for node in range(len(gradients)):
        mine = torch.nonzero(felt == node).flatten()
        found[:, :, mine] = gradients[node] @ pull[:, :, mine]
    return found


def gram(system: InteractionSystem, starts: Tensor, segment: int) -> Floats:
    """Gauss–Newton matrix (E, E) of a segment's couplings k: dᵀ gram d is the mean squared error of images
    that k + d makes to first order, summed over the pixels.
    """
    return mean_square(system, starts, [segment], torch.ones(1, len(system.edges)))


def joint_gram(system: InteractionSystem, starts: Tensor, weights: Tensor) -> Floats:
    """The same (E, E) where all segments move along together: by d_e weights[m, e] in segment m."""
    return mean_square(system, starts, list(range(system.design.segments)), weights)


def mean_square(system: InteractionSystem, starts: Tensor, segments: list[int], weights: Tensor) -> Floats:
    """The same of some segments that move along together, by d_e weights[i, e] in the i-th of them."""
    total = np.zeros((len(system.edges), len(system.edges)))
    for begin in range(0, len(starts), CHUNK):
        parts = sensitivities(system, starts[begin : begin + CHUNK], segments)
        rows = sum((part * scale for part, scale in zip(parts, weights, strict=True)), torch.zeros(()))
        flat = rows.flatten(end_dim=1).numpy()
        total += flat.T @ flat
    return np.asarray(total / len(starts))


def least_missed(cost: Any, wanted: int) -> npt.NDArray[np.bool_]:
    """Flags (E,) of the `wanted` couplings that stay when one after another goes.

    Each time that one goes whose going adds the least to rᵀ cost r, r marking those that have gone. The cost
    is symmetric, an array or sparse.
    """
    kept, added = np.ones(cost.shape[0], dtype=bool), np.array(cost.diagonal())
    for _ in range(len(kept) - wanted):
        gone = int(np.argmin(added))
        kept[gone] = False
        if sp.issparse(cost):
            row = slice(cost.indptr[gone], cost.indptr[gone + 1])
            added[cost.indices[row]] += 2.0 * cost.data[row]
        else:
            added += 2.0 * cost[gone]
        added[gone] = np.inf
    return kept


def gradient(system: InteractionSystem, starts: Tensor, wanted: Tensor, segment: int) -> Floats:
    """Half the gradient (E,) by a segment's couplings of the mean squared error, summed over the pixels.

    Parameters:
        system: in float64.
        starts: (batch, n).
        wanted: images that the starts should lead to.
        segment: whose couplings.
    """
    couplings = system.couplings.detach().clone().requires_grad_()
    made = cast(Tensor, torch.func.functional_call(system, {"couplings": couplings}, (starts,)))
    (found,) = torch.autograd.grad(0.5 * (made - wanted).square().sum() / len(starts), couplings)
    return np.asarray(found[segment].numpy())


def images_of(system: InteractionSystem, starts: Tensor) -> Tensor:
    """Images of starts, without gradients."""
    with torch.no_grad():
        return cast(Tensor, system(starts))


def double(system: InteractionSystem) -> InteractionSystem:
    """A copy in float64, in which sensitivities are measured."""
    return _copy(system, InteractionSystem)


def _copy(system: InteractionSystem, kind: type[System]) -> System:
    with torch.device("meta"):  # no initial couplings are drawn, so the global generator stays as it was
        made = kind(system.design, edges=system.edges.numpy())
    state = {
        name: tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in system.state_dict().items()
    }
    made.load_state_dict(state, assign=True)
    return made.eval().requires_grad_(False)
