"""Interaction systems small enough to enumerate, and the tasks made of them."""

from __future__ import annotations

from typing import Any

import torch

from qubopress import problems
from qubopress.problems import Task
from qubopress.problems.networks.interaction import Design, InteractionSystem

__all__ = ["generating_task", "settled", "system"]


def system(*, seed: int = 0, **design: Any) -> InteractionSystem:
    """Four pixels, none hidden unless told otherwise, in float64; couplings, biases and locks are at work."""
    given = {"side": 2, "hidden": 0, "radius": 1, "segments": 2, "steps": 2} | design
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = InteractionSystem(Design(**given)).double()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.copy_(torch.randn(parameter.shape))
    return settled(made)


def settled(made: InteractionSystem) -> InteractionSystem:
    """In eval mode, without gradients."""
    return made.eval().requires_grad_(False)


def generating_task(made: InteractionSystem | None = None, *, samples: int = 16) -> Task:
    """A task of a tiny system's own images of random starts; one in four is held out."""
    made = made or system()
    starts = made.starts(samples, random=torch.Generator().manual_seed(1)).to(made.couplings.dtype)
    return problems.own_task(made, (starts, made(starts)))
