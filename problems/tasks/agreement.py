"""How far a compressed network agrees with the network it was made of: embeddings, neighbours, classes."""

from __future__ import annotations

import weakref

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Floats
from ..datasets.dataset import Dataset
from ..layers.running import evaluating
from ..layers.samples import Batch, Inputs, Samples, forward, pieces
from ..networks.weights import weights_checksum

__all__ = [
    "NEIGHBOURS",
    "mean_cosine",
    "neighbours_kept",
    "outputs_for",
    "rank_correlation",
    "same_class",
    "token_samples",
]

NEIGHBOURS = 10

BATCH = 32
"""Samples in one call; sentences of like length are padded together."""

DIGITS = 9
"""Decimals of a metric: beyond, a network differs from itself under another number of threads."""


def mean_cosine(module: nn.Module, data: Dataset) -> float:
    """Mean cosine between what a network puts out and what the original did, on the test samples."""
    found, original = _compared(module, data)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(original, axis=1)
    return _rounded(float(np.mean((found * original).sum(axis=1) / np.maximum(lengths, 1e-300))))


def rank_correlation(module: nn.Module, data: Dataset) -> float:
    """Spearman's correlation between the cosines of all pairs of test samples, now and originally."""
    from scipy.stats import spearmanr  # takes a second

    now, before = (_likeness(outputs) for outputs in _compared(module, data))
    pairs = np.triu_indices(len(now), k=1)
    if np.ptp(now[pairs]) == 0.0:  # ranks of equal numbers say nothing
        return 0.0
    return _rounded(float(spearmanr(now[pairs], before[pairs]).statistic))


def neighbours_kept(module: nn.Module, data: Dataset) -> float:
    """Share of the ten nearest test samples of each test sample that were so originally."""
    now, before = (_nearest(_likeness(outputs)) for outputs in _compared(module, data))
    kept = [len(np.intersect1d(one, other)) for one, other in zip(now, before, strict=True)]
    return _rounded(float(np.mean(kept)) / now.shape[1])


def same_class(module: nn.Module, data: Dataset) -> float:
    """Share of the test samples whose largest output is the one that it was originally."""
    found, original = _compared(module, data)
    return _rounded(float(np.mean(found.argmax(axis=1) == original.argmax(axis=1))))


def outputs_for(module: nn.Module, inputs: Inputs) -> Tensor:
    """What a network puts out for samples (N, ...), in eval mode; every mode is as it was afterwards."""
    with evaluating(module), torch.no_grad():
        return torch.cat([forward(module, piece) for piece in pieces(inputs, BATCH)])


def token_samples(ids: Tensor) -> Samples:
    """Sentences of token numbers (N, tokens), 0 where one has ended, as a tokenizer puts them out."""
    batches = []
    for rows in torch.split(ids, BATCH):
        mask = (rows != 0).long()
        longest = int(mask.sum(dim=1).max())
        named = {"input_ids": rows, "attention_mask": mask, "token_type_ids": torch.zeros_like(rows)}
        batches.append(Batch((), {name: one[:, :longest] for name, one in named.items()}, len(rows)))
    return Samples(batches)


_last: list[tuple[weakref.ref[nn.Module], str, Floats]] = []
"""Outputs of the network judged last: several metrics ask for them one after another."""


def _compared(module: nn.Module, data: Dataset) -> tuple[Floats, Floats]:
    """Outputs of a network on the test samples, and those that the data holds, in float64."""
    state = f"{module}\n{weights_checksum(module)}\n{data.checksum}"
    if not _last or _last[0][0]() is not module or _last[0][1] != state:
        inputs = torch.tensor(data.test_inputs)
        found = outputs_for(module, inputs if inputs.is_floating_point() else token_samples(inputs))
        _last[:] = [(weakref.ref(module), state, np.asarray(found.double().numpy()))]
    return np.nan_to_num(_last[0][2]), data.test_targets.astype(np.float64)


def _likeness(outputs: Floats) -> Floats:
    """Cosines of all pairs of rows."""
    lengths = np.linalg.norm(outputs, axis=1, keepdims=True)
    unit = outputs / np.maximum(lengths, 1e-300)
    return np.asarray(unit @ unit.T)


def _nearest(likeness: Floats) -> np.ndarray:
    """Places of the ten largest other entries of each row."""
    others = likeness - 4.0 * np.eye(len(likeness))
    return np.argsort(-others, axis=1, kind="stable")[:, :NEIGHBOURS]


def _rounded(value: float) -> float:
    return round(value, DIGITS)
