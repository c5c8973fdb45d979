"""Tiles of couplings: how a system too large for one gram is decided, with grams from random mixtures.

Two things are approximated. Products of the images' moves are kept only between couplings whose feeling nodes
lie in one square of pixels (Gauss–Newton by blocks); and a start's pixels enter as mixtures of random signs:
the mean of (Jᵀz)(Jᵀz)ᵀ over such z is JᵀJ (Hutchinson 1990), so a gram is unbiased and as exact as mixtures
are many.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from ..arrays import Floats, count
from ..cache import cached
from ..errors import InputError
from ..networks.interaction import InteractionSystem
from ..tasks.task import Task
from .image_sensitivity import CHUNK, MOST, WHOLE, mean_square, pushes_of

__all__ = [
    "Part",
    "Tiles",
    "block_matrix",
    "cached_tiles",
    "grams",
    "mixtures_of",
    "removal_cost",
    "rows_of",
    "tile_grams",
    "tile_of",
    "tiles_of",
]

Part: TypeAlias = npt.NDArray[np.int64]
Tiles: TypeAlias = list[Part]
"""The couplings of each tile, sorted; every coupling is in one."""

USUAL = 2
"""Pixels on a tile's side where a system has more than MOST couplings and none is asked for."""

MIXTURES = 8
"""Of a start's pixels where a system has more than MOST couplings and none are asked for."""


def tile_of(system: InteractionSystem, tile: int) -> int:
    """The tile's side: that asked for; for 0 `USUAL`, or 0 where a whole segment's gram fits into memory."""
    asked = count(tile, name="tile", low=0)
    return asked or (USUAL if len(system.edges) > MOST else 0)


def mixtures_of(mixtures: int, system: InteractionSystem) -> int:
    """How many mixtures a start has: those asked for; for 0 every pixel alone, or `MIXTURES` of a system too
    large for that.
    """
    asked = count(mixtures, name="mixtures", low=0)
    return asked or (MIXTURES if len(system.edges) > MOST else 0)


def tiles_of(system: InteractionSystem, side: int) -> Tiles:
    """The couplings by the square of side² pixels that the node lies in which feels them; one tile for 0.

    Raises:
        InputError: a tile has more than MOST couplings.
    """
    if not side:
        return [np.arange(len(system.edges))]
    edge = system.design.side
    row, column = np.divmod(system.edges[:, 0].numpy() % edge**2, edge)
    number = row // side * edge + column // side
    order = np.argsort(number, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    largest = max(len(one) for one in found)
    if largest > MOST:
        raise InputError(f"a tile must have at most {MOST} couplings, got {largest}; lower tile")
    return found


def rows_of(system: InteractionSystem, tiles: Tiles, side: int) -> list[list[int]]:
    """Numbers of the tiles, a list for each row of squares of side² pixels from the top."""
    edge = system.design.side
    first = [int(system.edges[tile[0], 0]) % edge**2 // edge // (side or edge) for tile in tiles]
    return [[one for one, of in enumerate(first) if of == row] for row in dict.fromkeys(first)]


def grams(
    system: InteractionSystem,
    starts: Tensor,
    segments: list[int],
    weights: Tensor,
    tiles: Tiles,
    mixtures: int,
) -> list[Floats]:
    """The gram of each tile, of all in one pass where one tile has all; arguments of `tile_grams`."""
    if len(tiles) == 1 and not mixtures:
        return [mean_square(system, starts, segments, weights)]
    return tile_grams(system, starts, segments, weights, tiles, mixtures)


def cached_tiles(
    task: Task, piece: str, measure: Callable[[], list[Floats]], tiles: Tiles, side: int, mixtures: int
) -> list[Floats]:
    """Grams of a task's tiles, measured once. `side` and `mixtures` are those of the tiles."""
    if side or mixtures:
        piece += f", tiles of {side}, {mixtures} mixtures"
    flat = cached(task, piece, lambda: {"gram": np.concatenate([one.ravel() for one in measure()])})["gram"]
    ends = np.cumsum([len(tile) ** 2 for tile in tiles])
    parts = zip(np.split(flat, ends[:-1]), tiles, strict=True)
    return [one.reshape(len(tile), len(tile)) for one, tile in parts]


def removal_cost(task: Task, system: InteractionSystem, starts: Tensor, tile: int, mixtures: int) -> Any:
    """The cost (E, E) of leaving couplings out, of moves of all segments at once; sparse where in tiles."""
    side, mixed = tile_of(system, tile), mixtures_of(mixtures, system)
    tiles = tiles_of(system, side)
    every = list(range(system.design.segments))
    found = cached_tiles(
        task, WHOLE, lambda: grams(system, starts, every, system.couplings, tiles, mixed), tiles, side, mixed
    )
    return block_matrix(found, tiles) if side else found[0]


def block_matrix(parts: list[Floats], tiles: Tiles) -> sp.csr_array:
    """The sparse symmetric (E, E) whose entries are those inside tiles."""
    rows = np.concatenate([np.repeat(tile, len(tile)) for tile in tiles])
    columns = np.concatenate([np.tile(tile, len(tile)) for tile in tiles])
    E = sum(len(tile) for tile in tiles)
    return sp.csr_array((np.concatenate([one.ravel() for one in parts]), (rows, columns)), shape=(E, E))


def tile_grams(
    system: InteractionSystem,
    starts: Tensor,
    segments: list[int],
    weights: Tensor,
    tiles: Tiles,
    mixtures: int,
) -> list[Floats]:
    """The gram (b, b) of each tile's b couplings, as `joint_gram` has it of all.

    Parameters:
        system: in float64.
        starts: (batch, n).
        segments: that move along together.
        weights: (segments, E) by which.
        tiles: of the couplings.
        mixtures: random ones of the pixels for each start, always the same; 0 takes every pixel alone.
    """
    totals = [np.zeros((len(tile), len(tile))) for tile in tiles]
    random = torch.Generator().manual_seed(0)
    for begin in range(0, len(starts), CHUNK):
        part = starts[begin : begin + CHUNK]
        directions = _directions(system, len(part), mixtures, random)
        states, pushes = pushes_of(system, part, directions)
        here = torch.stack([state for segment in segments for state in states[segment]])
        by_rate = torch.stack([push for segment in segments for push in pushes[segment]])
        moving = weights.repeat_interleave(len(here) // len(segments), dim=0)
        for total, tile in zip(totals, tiles, strict=True):
            rows = _moves(system, here, by_rate, moving[:, tile], torch.from_numpy(tile)).numpy()
            total += rows @ rows.T
    return [total / (len(starts) * max(1, mixtures)) for total in totals]


def _directions(system: InteractionSystem, batch: int, mixtures: int, random: torch.Generator) -> Tensor:
    """(batch, r, pixels): signs at random, or every pixel alone."""
    pixels = system.design.visible
    if not mixtures:
        return torch.eye(pixels, dtype=torch.float64).expand(batch, -1, -1)
    return 2.0 * torch.randint(2, (batch, mixtures, pixels), generator=random).double() - 1.0


def _moves(
    system: InteractionSystem, states: Tensor, pushes: Tensor, weights: Tensor, tile: Tensor
) -> Tensor:
    """What a tile's couplings add to each direction of each start, (b, batch · r).

    From states (slopes, n, batch), pushes (slopes, n, batch · r) and weights (slopes, b).
    """
    felt, of = system.edges[tile].T
    found = _one_way(system, states, pushes, weights, felt, of)
    return found if system.design.directed else found + _one_way(system, states, pushes, weights, of, felt)


def _one_way(
    system: InteractionSystem, states: Tensor, pushes: Tensor, weights: Tensor, felt: Tensor, of: Tensor
) -> Tensor:
    slopes, _, batch = states.shape
    tanh = system.design.kind == "tanh"
    pull = torch.tanh(states[:, of]) if tanh else torch.sin(states[:, of] - states[:, felt])
    pull = (pull * weights[:, :, None])[..., None]
    by_rate = pushes.reshape(slopes, pushes.shape[1], batch, -1)[:, felt]
    return (by_rate * pull).sum(dim=0).flatten(1)
