"""Pruning: which channels of a trained network stay when a capacity allows a fraction of them.

x_i = 1 keeps channel i and r = 1 − x marks the removed ones; layers whose outputs are added have their
channels in common (`groups`). Importances T (Taylor) and F (Fisher), effects u and the similarity S are
defined in `channels`. A tilde divides an importance by its mean over the channels of its group
(normalise="layer") or over all (normalise="global"), which is our reading of Orabi et al. 2026.

The capacity is part of the instance, so no penalty distorts what is minimised: Σ x = K where filters are
counted, else Σ c·x ≤ K with each channel's share c of the parameters or products (`groups.shares`). A
weight between two channels counts half to each and goes with either, so the smaller network may come out
smaller than asked, never larger. In each group the `least` channels that the energy's own linear part
favours most are kept and are no variables.

All end the same way: the network of the kept channels alone, the weights that read them refitted where
`refit` says so (`reconstruction`), its BatchNorms re-estimated on the calibration samples, then trained on
them for `finetune` epochs. `refine` adds a second stage before that: that many of
the channels nearest to the border are chosen by the true loss on held-out samples, BatchNorms re-estimated
for each mask.

docs/pruning.md compares the formulations and says how the defaults were chosen.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from torch import nn

from ..arrays import Bits, chosen, flag, number
from ..cache import cached
from ..errors import InputError
from ..instances.capacity import of_removed
from ..instances.instance import Instance
from ..registry import problem
from ..tasks.task import Task
from .channels import magnitudes, statistics
from .reconstruction import WEIGHTS, errors
from .selection import NORMALISATIONS, normalised, plan, select
from .surgery import measures

__all__ = ["hybrid", "joint_fisher", "l1", "reconstruction", "taylor"]


@problem("taylor", family="pruning", version=2, measures=measures, later={"refit": False})
def taylor(
    task: Task,
    *,
    keep: float = 0.64,
    capacity: str = "filters",
    least: int = 1,
    normalise: str = "global",
    refine: int = 0,
    refit: bool = False,
    finetune: int = 0,
) -> Generator[Instance, Bits, nn.Module]:
    """Keep the channels of the largest Taylor importance: E(x) = −Σ T̃_i x_i.

    Linear, so greedy is optimal where filters are counted: the check that a solver keeps the capacity.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1.
        normalise: mean that importances are divided by, of the "layer" or "global".
        refine: least certain channels that are then chosen by the true loss.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end.

    Raises:
        InputError: a parameter outside its range, or no channel to prune.

    References:
        Molchanov et al. 2019, arXiv:1906.10771.
    """
    chosen(normalise, NORMALISATIONS, name="normalise")
    made = plan(
        task, keep=keep, capacity=capacity, least=least, refine=refine, finetune=finetune, refit=refit
    )
    importance = normalised(statistics(task, made.groups).taylor, made.groups, normalise)
    return (yield from select(made, np.diag(-importance)))


@problem("l1", family="pruning", measures=measures, later={"refit": False})
def l1(
    task: Task,
    *,
    keep: float = 0.64,
    capacity: str = "filters",
    least: int = 1,
    normalise: str = "layer",
    refine: int = 0,
    refit: bool = False,
    finetune: int = 0,
) -> Generator[Instance, Bits, nn.Module]:
    """Keep the channels of the largest weights: E(x) = −Σ ‖W_i‖₁˜ x_i, W_i all weights that make channel i.

    The baseline that Orabi et al. 2026 measure against, read with an exact capacity; its penalty λ(Σx − K)²
    is what the solver `neal` makes of this instance.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1.
        normalise: mean that importances are divided by, of the "layer" or "global".
        refine: least certain channels that are then chosen by the true loss.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end.

    Raises:
        InputError: a parameter outside its range, or no channel to prune.

    References:
        Li et al. 2017, arXiv:1608.08710; Orabi et al. 2026, arXiv:2604.05856.
    """
    chosen(normalise, NORMALISATIONS, name="normalise")
    made = plan(
        task, keep=keep, capacity=capacity, least=least, refine=refine, finetune=finetune, refit=refit
    )
    importance = normalised(magnitudes(task, made.groups), made.groups, normalise)
    return (yield from select(made, np.diag(-importance)))


@problem("hybrid", family="pruning", version=2, measures=measures, later={"refit": False})
def hybrid(
    task: Task,
    *,
    keep: float = 0.64,
    alpha: float = 1.0,
    beta: float = 0.1,
    capacity: str = "filters",
    least: int = 1,
    normalise: str = "global",
    refine: int = 0,
    refit: bool = False,
    finetune: int = 0,
) -> Generator[Instance, Bits, nn.Module]:
    """Keep channels that matter and are unlike: E(x) = −Σ I_i x_i + β Σ_{i<j} S_ij x_i x_j.

    I = α T̃ + (1 − α) F̃.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        alpha: weight of Taylor against Fisher, in [0, 1].
        beta: weight of similarity, at least 0.
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1.
        normalise: mean that importances are divided by, of the "layer" or "global".
        refine: least certain channels that are then chosen by the true loss.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end.

    Raises:
        InputError: a parameter outside its range, or no channel to prune.

    References:
        Orabi et al. 2026, arXiv:2604.05856.
    """
    if not 0 <= number(alpha, name="alpha") <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")
    if number(beta, name="beta") < 0:
        raise InputError(f"beta must not be negative, got {beta}")
    chosen(normalise, NORMALISATIONS, name="normalise")
    made = plan(
        task, keep=keep, capacity=capacity, least=least, refine=refine, finetune=finetune, refit=refit
    )
    found = statistics(task, made.groups)
    taylors, fishers = (normalised(one, made.groups, normalise) for one in (found.taylor, found.fisher))
    # Each pair stands twice in a symmetric Q, so half of β S is its share.
    Q = 0.5 * beta * found.similarity - np.diag(alpha * taylors + (1 - alpha) * fishers)
    return (yield from select(made, Q))


@problem("joint-fisher", family="pruning", measures=measures, later={"refit": False})
def joint_fisher(
    task: Task,
    *,
    keep: float = 0.64,
    gradient: bool = False,
    capacity: str = "filters",
    least: int = 1,
    refine: int = 0,
    refit: bool = False,
    finetune: int = 0,
) -> Generator[Instance, Bits, nn.Module]:
    """Remove the channels that together raise the loss least: ΔL ≈ −ū·r + ½ rᵀ E[u uᵀ] r.

    The second-order change of the mean loss, its curvature read from the gradients of single samples; unlike
    an importance it knows what channels do together, across layers too. In units of the loss.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        gradient: whether the first-order term counts; where training has ended it is mostly noise.
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1.
        refine: least certain channels that are then chosen by the true loss.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end.

    Raises:
        InputError: a parameter outside its range, or no channel to prune.

    References:
        Yu et al. 2022, arXiv:2203.04466, for single weights; of channels it is our reading.
    """
    flag(gradient, name="gradient")
    made = plan(
        task, keep=keep, capacity=capacity, least=least, refine=refine, finetune=finetune, refit=refit
    )
    found = statistics(task, made.groups)
    slope = -found.effects.mean(axis=0) if gradient else np.zeros(made.groups.total)
    Q, offset = of_removed(slope, 0.5 * found.interactions)
    return (yield from select(made, Q, offset=offset))


@problem("reconstruction", family="pruning", version=3, measures=measures)
def reconstruction(
    task: Task,
    *,
    keep: float = 0.64,
    centred: bool = True,
    weight: str = "balanced",
    capacity: str = "filters",
    least: int = 1,
    refine: int = 0,
    refit: bool = True,
    finetune: int = 0,
) -> Generator[Instance, Bits, nn.Module]:
    """Remove the channels that their readers miss least: E = Σ_takers rᵀ C r, C_cd ∝ Σ_o w_o ⟨Y_oc, Y_od⟩.

    Y_oc is what channel c adds to output o of a layer that reads it, a taker, so that rᵀ C r is exactly the
    squared error of removing r there, all else being whole. With e the ½ Σ_o w_o ‖Y_o‖² that all channels
    add, w_o how the loss answers to it, C is over 2 (weight="loss", E being in units of the loss) or 2√e
    ("balanced"); "relative" has w = 1 and is over ‖Y‖², so that all takers count alike. Ours, after the
    rounding problem.

    Parameters:
        task: the network, and the samples that calibrate it.
        keep: fraction of the capacity kept, in (0, 1].
        centred: count errors about their mean, which biases and BatchNorms then take up.
        weight: in what the takers' errors are added up, "relative", "loss" or, between them, "balanced".
        capacity: what is counted, "filters", "parameters" or "products".
        least: channels that every group keeps, at least 1.
        refine: least certain channels that are then chosen by the true loss, without the refit.
        refit: refit the weights that read kept channels, by least squares, once the choice is made.
        finetune: epochs of training at the end.

    Raises:
        InputError: a parameter outside its range, no channel to prune, or a taker that is neither Linear nor
            Conv2d with zero padding.

    References:
        He et al. 2017, arXiv:1707.06168, for the refit; Martens & Grosse 2015, arXiv:1503.05671, for w.
    """
    flag(centred, name="centred")
    chosen(weight, WEIGHTS, name="weight")
    made = plan(
        task, keep=keep, capacity=capacity, least=least, refine=refine, finetune=finetune, refit=refit
    )
    piece = f"errors of reconstruction, centred={centred}, weight={weight}"
    C = cached(task, piece, lambda: {"C": errors(task, made.groups, centred=centred, weight=weight)})["C"]
    Q, offset = of_removed(np.zeros(len(C)), C)
    return (yield from select(made, Q, offset=offset, biases=centred))
