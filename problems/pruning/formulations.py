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

from typing import Any

import numpy as np
import scipy.sparse as sp

from ..arrays import chosen, flag, number
from ..errors import InputError
from ..instances.capacity import of_removed
from .channels import magnitudes, statistics
from .reconstruction import WEIGHTS, errors
from .selection import Energy, Plan, pruning, separate
from .stored import measured_once

__all__ = ["hybrid", "joint_fisher", "l1", "reconstruction", "taylor"]


@pruning("taylor", version=2, normalise="global")
def taylor(plan: Plan) -> Energy:
    """Keep the channels of the largest Taylor importance: E(x) = −Σ T̃_i x_i.

    Linear, so greedy is optimal where filters are counted: the check that a solver keeps the capacity.

    References:
        Molchanov et al. 2019, arXiv:1906.10771.
    """
    return Energy(separate(-plan.normalised(statistics(plan.task, plan.groups).taylor)))


@pruning("l1", normalise="layer")
def l1(plan: Plan) -> Energy:
    """Keep the channels of the largest weights: E(x) = −Σ ‖W_i‖₁˜ x_i, W_i all weights that make channel i.

    The baseline that Orabi et al. 2026 measure against, read with an exact capacity; its penalty λ(Σx − K)²
    is what the solver `neal` makes of this instance.

    References:
        Li et al. 2017, arXiv:1608.08710; Orabi et al. 2026, arXiv:2604.05856.
    """
    return Energy(separate(-plan.normalised(magnitudes(plan.task, plan.groups))))


@pruning("hybrid", version=2, normalise="global")
def hybrid(plan: Plan, *, alpha: float = 1.0, beta: float = 0.1) -> Energy:
    """Keep channels that matter and are unlike: E(x) = −Σ I_i x_i + β Σ_{i<j} S_ij x_i x_j.

    I = α T̃ + (1 − α) F̃.

    Parameters:
        alpha: weight of Taylor against Fisher, in [0, 1].
        beta: weight of similarity, at least 0.

    References:
        Orabi et al. 2026, arXiv:2604.05856.
    """
    if not 0 <= number(alpha, name="alpha") <= 1:
        raise InputError(f"alpha must lie in [0, 1], got {alpha}")
    if number(beta, name="beta") < 0:
        raise InputError(f"beta must not be negative, got {beta}")
    found = statistics(plan.task, plan.groups)
    taylors, fishers = map(plan.normalised, (found.taylor, found.fisher))
    # Each pair stands twice in a symmetric Q, so half of β S is its share.
    importance = alpha * taylors + (1 - alpha) * fishers
    own = sp.diags_array(importance, format="csr") if sp.issparse(found.similarity) else np.diag(importance)
    return Energy(0.5 * beta * found.similarity - own)


@pruning("joint-fisher")
def joint_fisher(plan: Plan, *, gradient: bool = False) -> Energy:
    """Remove the channels that together raise the loss least: ΔL ≈ −ū·r + ½ rᵀ E[u uᵀ] r.

    The second-order change of the mean loss, its curvature read from the gradients of single samples; unlike
    an importance it knows what channels do together, across layers too. In units of the loss.

    Parameters:
        gradient: whether the first-order term counts; where training has ended it is mostly noise.

    References:
        Yu et al. 2022, arXiv:2203.04466, for single weights; of channels it is our reading.
    """
    flag(gradient, name="gradient")
    found = statistics(plan.task, plan.groups)
    slope = -found.effects.mean(axis=0) if gradient else np.zeros(plan.groups.total)
    return Energy(*of_removed(slope, 0.5 * found.interactions))


@pruning("reconstruction", version=3, refit=True)
def reconstruction(plan: Plan, *, centred: bool = True, weight: str = "balanced") -> Energy:
    """Remove the channels that their readers miss least: E = Σ_takers rᵀ C r, C_cd ∝ Σ_o w_o ⟨Y_oc, Y_od⟩.

    Y_oc is what channel c adds to output o of a layer that reads it, a taker, so that rᵀ C r is exactly the
    squared error of removing r there, all else being whole. With e the ½ Σ_o w_o ‖Y_o‖² that all channels
    add, w_o how the loss answers to it, C is over 2 (weight="loss", E being in units of the loss) or 2√e
    ("balanced"); "relative" has w = 1 and is over ‖Y‖², so that all takers count alike. Ours, after the
    rounding problem.

    Parameters:
        centred: count errors about their mean, which biases and BatchNorms then take up.
        weight: in what the takers' errors are added up, "relative", "loss" or, between them, "balanced".
        refine: least certain channels that are then chosen by the true loss, without the refit.

    Raises:
        InputError: a parameter outside its range, no channel to prune, or a taker that makes another weight
            of its own one.

    References:
        He et al. 2017, arXiv:1707.06168, for the refit; Martens & Grosse 2015, arXiv:1503.05671, for w.
    """
    flag(centred, name="centred")
    chosen(weight, WEIGHTS, name="weight")
    piece = f"errors of reconstruction, centred={centred}, weight={weight}"

    def measured() -> dict[str, Any]:
        return {"C": errors(plan.task, plan.groups, centred=centred, weight=weight)}

    C = measured_once(plan.task, piece, measured)["C"]
    Q, offset = of_removed(np.zeros(plan.groups.total), C)
    return Energy(Q, offset, biases=centred)
