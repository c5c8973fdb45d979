"""Gram matrices of what flows into several matrices, from one run over the data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..arrays import Floats
from .inputs import BATCH, Sums, run
from .patches import rows_of
from .samples import Inputs, Samples, pieces
from .uses import Heard, Use, listening

__all__ = ["GRAM_BYTES", "gram_bytes", "sums_of", "windows"]

GRAM_BYTES = 2**30
"""Of the Gram matrices that one run over the data adds up; more matrices take more runs."""

BLOCK = 192
"""Columns of a Gram matrix that are computed at a time."""


def gram_bytes(use: Use, network: nn.Module) -> int:
    """Size of a matrix's Gram matrices."""
    columns = use.tensor(network).shape[1] + 1
    return 8 * use.groups * columns**2


def windows(uses: Iterable[Use], network: nn.Module, *, most: int = GRAM_BYTES) -> Iterator[list[Use]]:
    """Neighbours whose Gram matrices fit into memory together; one that is too large is alone."""
    held: list[Use] = []
    size = 0
    for use in uses:
        size += gram_bytes(use, network)
        if held and size > most:
            yield held
            held, size = [], gram_bytes(use, network)
        held.append(use)
    if held:
        yield held


def sums_of(
    network: nn.Module,
    inputs: Inputs,
    uses: Iterable[Use],
    *,
    through: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    exact: bool = False,
) -> dict[str, Sums]:
    """Σ x̃ x̃ᵀ over all rows x̃ = (x, 1) that reach each of the matrices, by name, from one run.

    Rows of tokens that an attention mask leaves out do not count.

    Parameters:
        network: in eval mode.
        inputs: of the network.
        uses: of the network, but for embeddings.
        through: what the inputs of a matrix pass first, by name.
        exact: whether every bit must be as `gram_of_inputs` has it, at twice the time.

    Raises:
        InputError: the network does not run on the inputs.
    """
    wanted = {(use.weight, use.kind, use.groups): use for use in uses}
    shared = _Shared({use.name: Sums() if exact or use.groups > 1 else _Upper() for use in wanted.values()})
    tokens = _Tokens()

    def ear(one: Heard) -> None:
        use = wanted.get(one.key)
        if use is None:
            return
        change = (through or {}).get(use.name)

        def add(sums: Sums) -> None:
            x = tokens.kept(one.x) if one.kind == "linear" else one.x
            for rows in rows_of(x, one.kind, one.groups, one.window) if x.numel() else ():
                sums.add(rows if change is None else change(rows))

        if change is None and one.kind == "linear":
            shared.add(use.name, one.x, add)
        else:
            add(shared.sums[use.name])

    for piece in pieces(inputs, BATCH):
        with tokens.of(piece), listening(network, ear):
            run(network, piece)
        shared.forget()
    return shared.sums


class _Upper(Sums):
    """Sums of which only the upper triangle is computed, block by block: half the products of a wide one.

    In float64: in float32 a matrix of fewer rows than inputs comes out with eigenvalues below 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self._mean: Floats | None = None

    def square(self, rows: Tensor) -> None:
        """Add the products of rows x̃ (1, rows, f + 1) in and above the blocks of the diagonal."""
        flat, size = rows[0], rows.shape[2]
        if isinstance(self.gram, float):
            self.gram = torch.zeros(size, size, dtype=torch.float64)
        for start in range(0, size, BLOCK):
            block = slice(start, start + BLOCK)
            self.gram[block, start:].addmm_(flat[:, block].T, flat[:, start:])

    def mean(self) -> Floats:
        """The Gram matrix (1, f + 1, f + 1); those that share sums share it."""
        if self._mean is None:
            gram, self.gram = self.gram / self.rows, 0.0
            self._mean = np.asarray(_mirrored(gram)[None].numpy())
        return self._mean


def _mirrored(gram: Tensor) -> Tensor:
    """The matrix itself, its lower triangle made the upper one's."""
    for start in range(0, len(gram), BLOCK):
        block, rest = slice(start, start + BLOCK), slice(start + BLOCK, None)
        corner = torch.triu(gram[block, block])
        gram[block, block] = corner + torch.triu(corner, 1).T
        gram[rest, block] = gram[block, rest].T
    return gram


class _Shared:
    """Sums by name, of which those are one that the same tensors flow into: queries, keys and values."""

    def __init__(self, sums: dict[str, Sums]) -> None:
        self.sums = sums
        self.before: Sums | None = None
        self.now = Sums()
        self.x: Tensor | None = None
        self.seen: tuple[Any, ...] = ()
        self.fresh = False
        self.takers: set[str] = set()

    def add(self, name: str, x: Tensor, add: Callable[[Sums], None]) -> None:
        """Add x to the sums of a name by `add`, unless it was added to them for another name just now."""
        version = object() if x.is_inference() else x._version  # of the former nothing tells of changes
        seen = (x.data_ptr(), x.shape, x.stride(), x.dtype, version)
        own = self.sums[name]
        if self.x is None or seen != self.seen or name in self.takers:
            self._part()
            sharing = sum(one is own for one in self.sums.values()) > 1
            self.before, self.fresh = copy.deepcopy(own) if sharing else None, not own.rows
            self.x, self.seen, self.now = x, seen, own  # x stays alive: its place is not reused
            add(own)
        elif own is not self.now and self.fresh and not own.rows:
            self.sums[name] = self.now
        elif own is not self.now:
            self.sums[name] = copy.deepcopy(own)
            add(self.sums[name])
        self.takers.add(name)

    def _part(self) -> None:
        """Give those their own sums back that share the last ones and did not take what was added."""
        if self.before is not None:
            left = [name for name, one in self.sums.items() if one is self.now and name not in self.takers]
            self.sums.update(dict.fromkeys(left, self.before))
        self.takers = set()

    def forget(self) -> None:
        """Let go of the last tensor."""
        self._part()
        self.before = self.x = None


class _Tokens:
    """Which rows are tokens that count, as the attention mask of the batch at hand says."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None
        self.shape: tuple[int, ...] = ()
        self.turned = False

    @contextmanager
    def of(self, piece: Inputs) -> Iterator[None]:
        """Listen to the order of tokens while a batch runs."""
        self.mask = _mask(piece)
        if self.mask is None:
            yield
            return
        with _Shapes(self):
            yield
        self.mask = None

    def kept(self, x: Tensor) -> Tensor:
        """The rows of x (rows, f) of tokens that count; all where rows are no tokens."""
        if self.mask is None or x.dim() != 2 or len(x) != self.mask.numel():
            return x
        straight = tuple(self.mask.shape)
        turned = self.turned or (self.shape[:2] == straight[::-1] and self.shape[:2] != straight)
        return x[(self.mask.T if turned else self.mask).flatten()]


class _Shapes(TorchFunctionMode):
    """Notes the shape of what the function at hand received, before kernels flatten it to rows."""

    def __init__(self, tokens: _Tokens) -> None:
        super().__init__()
        self.tokens = tokens

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [*args[:1], *(kwargs or {}).values()][:1]
        shape = tuple(given[0].shape) if given and isinstance(given[0], Tensor) else ()
        self.tokens.shape = shape
        # With as many tokens as samples only the function tells which come first.
        self.tokens.turned = func is functional.multi_head_attention_forward and len(shape) == 3
        return func(*args, **(kwargs or {}))


def _mask(piece: Inputs) -> Tensor | None:
    """Flags (N, tokens) of the tokens of a batch that are no padding, None where nothing tells."""
    if not isinstance(piece, Samples):
        return None
    for name, mask in piece.batches[0].kwargs.items():
        if isinstance(mask, Tensor) and mask.dim() == 2 and not mask.is_floating_point():
            if name == "attention_mask":
                return mask.bool()
            if name.endswith("key_padding_mask"):
                return ~mask.bool()
    return None
