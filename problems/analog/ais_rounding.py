"""ais-rounding: couplings of few bits for an analog interaction system, segment after segment."""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import linalg
from torch import Tensor, nn

from ..arrays import Bits, Floats, number
from ..errors import InputError
from ..instances.rounding import Rounding
from ..layers.samples import tensor_of
from ..networks.interaction import InteractionSystem
from ..quantization.grids import Grid, grid_for
from ..registry import problem
from ..tasks.task import Task
from .coupling_tiles import (
    Part,
    Tiles,
    cached_tiles,
    grams,
    mixtures_of,
    removal_cost,
    rows_of,
    tile_of,
    tiles_of,
)
from .hardware_costs import measures
from .image_sensitivity import (
    couplings_kept,
    double,
    gradient,
    images_of,
    least_missed,
    system_of,
)

__all__ = ["Segment", "ais_rounding", "segment_rounding"]

WIDE = 6
"""Most bits whose levels are all on offer; with more, a coupling goes to one of the two levels beside it."""

SHARES = (0.0, 0.03, 0.1, 0.3, 1.0)
"""Of the step that would make up for all errors if images were linear: those that are tried."""


@problem("ais-rounding", family="analog", measures=measures, later={"tile": 0, "mixtures": 0})
def ais_rounding(
    task: Task,
    *,
    bits: int = 4,
    grid: str = "mse",
    density: float = 1.0,
    sequential: bool = True,
    damping: float = 0.001,
    tile: int = 0,
    mixtures: int = 0,
) -> Generator[Rounding, Bits, nn.Module]:
    """Decide the b-bit level of every coupling, one segment of time after another.

    To first order, changes d of a segment's couplings move the final visible images by J d, so that with the
    images already off by r the mean squared error, summed over the pixels, is

        E‖J d + r‖² + λ‖d‖² = (d − t)ᵀ H (d − t) + constant,    H = E[JᵀJ] + λ1,    t = −H⁻¹ E[Jᵀr].

    H is the Gauss–Newton matrix at the trained couplings and λ, a share `damping` of its mean diagonal, keeps
    the change small enough for that to hold. So a segment is one `Rounding` of a single neuron; its loss
    leaves out the constant. Jᵀr is exact at every stage: the error that the segments before have made is part
    of what the next ones make up for, as far as that helps: of t that share is taken at which couplings
    between the levels would err least on held-out states. The step of the grid is the hardware's, one for
    each segment.

    A system with too many couplings for that is decided tile by tile: a `Rounding` for the couplings that the
    nodes of a square of pixels feel, with the part of H among them. What is off after one row of tiles is the
    next one's to make up for, again by the exact Jᵀr, unless `sequential` is off.

    Parameters:
        task: an interaction system, and the initial states that calibrate it.
        bits: b in [1, 8]. From 7 on the choice is between the two levels beside a coupling.
        grid: "code" (symmetric), "minmax" or "mse"; see `grids`.
        density: share of the couplings that are fabricated, in (0, 1]. Before anything is rounded the others
            go one by one, each time that which adds the least to the cost rᵀCr of `ais-topology`.
        sequential: whether t makes up for errors so far; if not it is 0.
        damping: share of the mean diagonal of E[JᵀJ], positive. Of 0.001 to 0.03 the first had the least
            error of held-out images at 3 bits.
        tile: side of the square in pixels; 0 takes whole segments up to 8,000 couplings and 2 beyond.
        mixtures: random ones of a start's pixels that H is measured by; 0 takes every pixel alone up to 8,000
            couplings and 8 beyond.

    Raises:
        InputError: a parameter outside its range, or a network that is no interaction system.
    """
    given = system_of(task.network)
    trained = double(given)
    starts, held = (tensor_of(one, "ais-rounding").double() for one in (task.inputs, task.held_inputs))
    wanted, held_wanted = images_of(trained, starts), images_of(trained, held)
    thinned = trained.without(_kept(task, trained, starts, density, tile=tile, mixtures=mixtures))
    compressed = double(thinned)
    side = tile_of(trained, tile)
    tiles, mixed = tiles_of(thinned, side), mixtures_of(mixtures, trained)
    grids = [grid_for(row[None].numpy(), bits=bits, grid=grid, per="tensor") for row in thinned.couplings]
    for segment, made in enumerate(grids):
        piece = f"gram of couplings of segment {segment}, density {density}, damping {damping}"
        measure = partial(_forms, thinned, starts, segment, damping, tiles, mixed)
        forms = cached_tiles(task, piece, measure, tiles, side, mixed)
        target = thinned.couplings[segment].numpy().copy()
        for row in rows_of(thinned, tiles, side):
            if sequential:
                push, parts = gradient(compressed, starts, wanted, segment), [tiles[one] for one in row]
                steps = [_step(forms[one], push[tiles[one]]) for one in row]
                here, step = np.concatenate(parts), np.concatenate(steps)
                target[here] += _made_up(compressed, segment, here, made, held, held_wanted, step)
            for one in row:
                layer = segment_rounding(target[tiles[one]], made, forms[one])
                levels = yield layer.instance
                compressed.couplings[segment, tiles[one]] = torch.from_numpy(layer.couplings(levels))
    return compressed.to(given.couplings.dtype)


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment's problem and what its levels mean.

    Attributes:
        instance: the problem, one neuron of E coordinates.
        low: (1, E) integers of the grid that level 0 stands for.
        grid: of the couplings.
    """

    instance: Rounding
    low: Floats
    grid: Grid

    def couplings(self, x: Bits) -> Floats:
        """Couplings (E,) that levels (1, E) stand for."""
        return np.asarray(self.grid.value(self.low + x)[0])


def segment_rounding(target: Floats, grid: Grid, form: Floats) -> Segment:
    """The problem of one segment: levels near the target couplings (E,), by the matrix H (E, E)."""
    position = grid.position(target[None])
    if grid.high - grid.low < 2**WIDE:
        low, levels = np.full_like(position, grid.low), grid.high - grid.low + 1
    else:
        low, levels = np.clip(np.floor(position), grid.low, grid.high - 1), 2
    return Segment(Rounding(form, position - low, grid.step[:, 0], levels), low, grid)


def _step(form: Floats, push: Floats) -> Floats:
    """−H⁻¹ push, (E,)."""
    return np.asarray(linalg.solve(form, -push, assume_a="pos") if push.any() else push)


def _made_up(
    system: InteractionSystem,
    segment: int,
    part: Part,
    grid: Grid,
    starts: Tensor,
    wanted: Tensor,
    step: Floats,
) -> Floats:
    """That share of a step (b,) of some of a segment's couplings which the images are best for.

    It is judged inside the grid's ends, beyond which no level makes up for anything.
    """
    couplings = system.couplings[segment, part].numpy()
    low, high = (grid.step[0] * (end - grid.zero[0]) for end in (grid.low, grid.high))
    tried = copy.deepcopy(system)

    def error(share: float) -> float:
        tried.couplings[segment, part] = torch.from_numpy(np.clip(couplings + share * step, low, high))
        return float((images_of(tried, starts) - wanted).square().sum())

    return min(SHARES, key=error) * step


def _forms(
    system: InteractionSystem, starts: Tensor, segment: int, damping: float, tiles: Tiles, mixtures: int
) -> list[Floats]:
    """H of a segment, tile by tile."""
    share = number(damping, name="damping")
    if share <= 0:
        raise InputError(f"damping must be positive, got {damping}; 0.001 is usual")
    forms = grams(system, starts, [segment], torch.ones(1, len(system.edges)), tiles, mixtures)
    for form in forms:
        # Where no coupling moves the images, H must still be a matrix to solve with.
        form.flat[:: len(form) + 1] += share * (float(np.diag(form).mean()) or 1.0)
    return forms


def _kept(
    task: Task, system: InteractionSystem, starts: Tensor, density: float, *, tile: int, mixtures: int
) -> Tensor:
    """Flags (E,) of the couplings that are fabricated."""
    wanted = couplings_kept(density, len(system.edges), name="density")
    if wanted == len(system.edges):
        return torch.ones(wanted, dtype=torch.bool)
    return torch.from_numpy(least_missed(removal_cost(task, system, starts, tile, mixtures), wanted))
