"""Tiles part the couplings by the pixels that feel them; their grams are blocks of the whole one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generating import generating_task, system
from tiny import drive, one_thread, replay, stages

from qubopress import solvers
from qubopress.problems import InputError
from qubopress.problems.analog.coupling_tiles import (
    block_matrix,
    mixtures_of,
    removal_cost,
    rows_of,
    tile_grams,
    tile_of,
    tiles_of,
)
from qubopress.problems.analog.image_sensitivity import gram, joint_gram
from qubopress.problems.networks.interaction import InteractionSystem

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def starts_of(made: InteractionSystem, wanted: int) -> torch.Tensor:
    return made.starts(wanted, random=torch.Generator().manual_seed(5)).double()


@pytest.mark.parametrize("directed", [True, False])
def test_each_coupling_is_in_the_tile_of_the_node_that_feels_it(directed: bool) -> None:
    made = system(side=3, hidden=1, directed=directed)
    found = tiles_of(made, 2)
    assert len(found) == 4
    assert sorted(np.concatenate(found).tolist()) == list(range(len(made.edges)))
    for tile in found:
        pixels = made.edges[torch.from_numpy(tile), 0].numpy() % 9
        assert len({(pixel // 3 // 2, pixel % 3 // 2) for pixel in pixels.tolist()}) == 1


def test_rows_of_tiles_follow_each_other_from_the_top() -> None:
    made = system(side=3, hidden=1)
    assert rows_of(made, tiles_of(made, 2), 2) == [[0, 1], [2, 3]]
    assert rows_of(made, tiles_of(made, 0), 0) == [[0]]


@pytest.mark.parametrize("kind", ["phase", "tanh"])
@pytest.mark.parametrize("directed", [True, False])
def test_grams_of_tiles_are_blocks_of_the_whole_one(kind: str, directed: bool) -> None:
    made = system(side=3, kind=kind, directed=directed)
    starts, tiles = starts_of(made, 60), tiles_of(made, 1)
    for segment in (0, 1):
        whole = gram(made, starts, segment)
        found = tile_grams(made, starts, [segment], torch.ones(1, len(made.edges)), tiles, 0)
        for tile, part in zip(tiles, found, strict=True):
            np.testing.assert_allclose(part, whole[np.ix_(tile, tile)], rtol=1e-9, atol=1e-14)
    joint = joint_gram(made, starts, made.couplings)
    parts = tile_grams(made, starts, [0, 1], made.couplings, tiles, 0)
    matrix = block_matrix(parts, tiles).toarray()
    inside = np.zeros_like(joint, dtype=bool)
    for tile in tiles:
        inside[np.ix_(tile, tile)] = True
    np.testing.assert_allclose(matrix, np.where(inside, joint, 0.0), rtol=1e-9, atol=1e-14)


def test_mixtures_of_pixels_approach_all_pixels() -> None:
    made = system(hidden=1)
    starts, ones = starts_of(made, 10), torch.ones(1, len(made.edges))
    whole, errors = gram(made, starts, 0), []
    for mixtures in (1, 100):
        (found,) = tile_grams(made, starts, [0], ones, tiles_of(made, 0), mixtures)
        errors.append(np.linalg.norm(found - whole) / np.linalg.norm(whole))
    assert errors[1] < 0.1 < errors[0] < 1.5


def test_large_systems_come_in_tiles_and_small_ones_whole() -> None:
    large, small = system(side=28, radius=2), system(side=8)
    assert (tile_of(large, 0), mixtures_of(0, large)) == (2, 8)
    assert (tile_of(small, 0), mixtures_of(0, small)) == (0, 0)
    assert (tile_of(small, 3), mixtures_of(5, small)) == (3, 5)
    assert max(len(tile) for tile in tiles_of(large, 2)) < 100


def test_a_tile_beyond_memory_and_what_is_no_size_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="at most 8000 couplings, got 17172; lower tile"):
        tiles_of(system(side=28, radius=2), 28)
    with pytest.raises(InputError, match="tile must be an integer of at least 0, got -1"):
        tile_of(system(), -1)
    with pytest.raises(InputError, match=r"mixtures must be an integer of at least 0, got 0\.5"):
        mixtures_of(0.5, system())  # type: ignore[arg-type]


def test_one_tile_of_all_couplings_gives_the_instances_of_whole_segments() -> None:
    task = generating_task()
    for whole, tiled in zip(stages("ais-rounding", task), stages("ais-rounding", task, tile=2), strict=True):
        np.testing.assert_allclose(tiled.gram, whole.gram, rtol=1e-9)
        np.testing.assert_allclose(tiled.shift, whole.shift, rtol=1e-6, atol=1e-9)


def test_tiles_make_up_for_each_other() -> None:
    task = generating_task(system(side=3, hidden=1), samples=40)

    def error(**parameters: object) -> float:
        made = drive("ais-rounding", task, bits=3, tile=1, **parameters)
        return float((made(task.inputs) - task.targets).square().mean())

    assert len(stages("ais-rounding", task, tile=1)) == 2 * 9
    assert error() < 0.8 * error(sequential=False)


def test_a_topology_in_tiles_is_sparse_and_keeps_exactly_k() -> None:
    task = generating_task(system(side=3, hidden=1))
    found, made = replay("ais-topology", task, keep=0.5, tile=1)
    assert found[0].sparse
    assert len(made.edges) == found[0].K == round(0.5 * len(task.network.edges))
    assert solvers.solve(found[0], "greedy", restarts=1).loss < found[0].loss(found[0].baseline())


def test_density_in_tiles_takes_the_least_missed_of_the_sparse_cost() -> None:
    task = generating_task(system(side=3))
    made = drive("ais-rounding", task, density=0.5, tile=1)
    cost = removal_cost(task, task.network, task.inputs, 1, 0).toarray()
    gone = np.zeros(len(cost))
    for _ in range(len(cost) - round(0.5 * len(cost))):
        options = [
            (np.inf if g else (gone + e) @ cost @ (gone + e))
            for g, e in zip(gone, np.eye(len(cost)), strict=True)
        ]
        gone[int(np.argmin(options))] = 1.0
    assert made.edges.tolist() == task.network.edges[torch.from_numpy(gone == 0)].tolist()
