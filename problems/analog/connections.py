"""Connections: which weights of a layer are fabricated at all, fixed before anything is learned.

Evci et al. 2020 (arXiv:1911.11134) take from Mocanu et al. 2018 how a random topology shares its connections
among layers (ERK); N of every M inputs is the pattern that hardware of today knows (Mishra et al. 2021,
arXiv:2104.08378).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Floats, count, number
from ..errors import InputError

__all__ = ["TOPOLOGIES", "Mask", "connections", "erk_densities", "inputs_kept", "pattern_of"]

Mask: TypeAlias = npt.NDArray[np.bool_]

TOPOLOGIES = ("all", "random", "block", "largest", "own", "N:M")


def connections(
    weights: Mapping[str, Floats], *, topology: str, density: float = 0.5, seed: int = 0
) -> dict[str, Mask]:
    """Masks (n, f) of the connections that exist, for weights (n, f) by layer; a row is a neuron.

    Parameters:
        weights: of each layer; their values matter to "largest" and "own" alone.
        topology: "all"; "random", of one fan-in a layer, layers sharing `density` as ERK does; "block", where
            1/density blocks of neurons see a block of inputs each; "largest", the weights of each neuron that
            are largest; "own", the weights that are not 0; or "N:M", such as "2:4", N at random of every M
            inputs.
        density: share of the weights that exist, in (0, 1]; "all", "own" and "N:M" need none.
        seed: of "random" and "N:M".

    Raises:
        InputError: there is no such topology or density, N > M, or a neuron is left without connections.
    """
    _check_share(density)
    rng = np.random.default_rng(count(seed, name="topology_seed", low=0))
    _check_name(topology)
    pattern = pattern_of(topology) if ":" in topology else None
    shares = erk_densities({name: one.shape for name, one in weights.items()}, density=density)
    made = {}
    for name, matrix in weights.items():
        if pattern:
            mask = _n_of_m(matrix.shape, *pattern, rng)
        elif topology == "random":
            mask = _ranked(rng.random(matrix.shape), inputs_kept(shares[name], matrix.shape[1]))
        elif topology == "largest":
            mask = _ranked(np.abs(matrix), inputs_kept(density, matrix.shape[1]))
        elif topology == "block":
            mask = _blocks(matrix.shape, round(1 / density))
        else:
            mask = matrix != 0 if topology == "own" else np.ones(matrix.shape, dtype=np.bool_)
        made[name] = _connected(mask, name)
    return made


def erk_densities(shapes: Mapping[str, tuple[int, ...]], *, density: float) -> dict[str, float]:
    """Share of each layer's weights (n, f) that exist: ∝ (n + f)/(n·f), at most 1, `density` of all.

    A convolution counts with f inputs a filter, its kernel's places included, which is our reading of ERK.
    """
    sizes = {name: n * f for name, (n, f) in shapes.items()}
    raw = {name: (n + f) / (n * f) for name, (n, f) in shapes.items()}
    full: set[str] = set()
    while True:
        left = density * sum(sizes.values()) - sum(sizes[name] for name in full)
        rest = sum(raw[name] * sizes[name] for name in shapes if name not in full)
        scale = left / rest if rest else 0.0
        over = {name for name in shapes if name not in full and scale * raw[name] > 1}
        if not over:
            return {name: 1.0 if name in full else scale * raw[name] for name in shapes}
        full |= over


def inputs_kept(density: float, f: int) -> int:
    """Connections of a neuron with f inputs. Raises InputError outside (0, 1] or where none is left."""
    _check_share(density)
    kept = round(density * f)
    if not kept:
        raise InputError(
            f"every neuron must have a connection, got {density:.3g} of {f} inputs; raise density"
        )
    return kept


def pattern_of(text: str) -> tuple[int, int]:
    """N and M of "N:M". Raises InputError unless N lies in [1, M]."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    chosen, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= chosen <= of:
        raise InputError(f"a pattern must be N:M with N in [1, M], got {text!r}; 2:4 keeps 2 of every 4")
    return chosen, of


def _check_share(density: float) -> None:
    if not 0 < number(density, name="density") <= 1:
        raise InputError(f"density must lie in (0, 1], got {density}; 0.5 fabricates half of the connections")


def _check_name(topology: str) -> None:
    if ":" not in topology and topology not in TOPOLOGIES[:-1]:
        raise InputError(f"topology must be one of {', '.join(TOPOLOGIES)}, got {topology!r}")


def _ranked(scores: Floats, kept: int) -> Mask:
    """The `kept` highest scores of each row."""
    mask = np.zeros(scores.shape, dtype=np.bool_)
    np.put_along_axis(mask, np.argsort(-scores, axis=1, kind="stable")[:, :kept], True, axis=1)
    return mask


def _n_of_m(shape: tuple[int, ...], chosen: int, of: int, rng: np.random.Generator) -> Mask:
    """N at random of every M neighbouring inputs; a shorter last group keeps up to N as well."""
    draws = rng.random(shape)
    groups = [_ranked(draws[:, start : start + of], chosen) for start in range(0, shape[1], of)]
    return np.hstack(groups) if groups else np.zeros(shape, dtype=np.bool_)


def _blocks(shape: tuple[int, ...], blocks: int) -> Mask:
    """Neurons and inputs in as many blocks each, connected block by block."""
    rows, columns = (np.arange(size) * blocks // size for size in shape)
    return np.asarray(rows[:, None] == columns)


def _connected(mask: Mask, name: str) -> Mask:
    empty = np.flatnonzero(~mask.any(axis=1))
    if empty.size:
        raise InputError(
            f"every neuron must have a connection, got none for neuron {empty[0]} of layer {name}; "
            "raise density or choose another topology"
        )
    return mask
