"""Gram matrices of what flows into several matrices, from one run over the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..threads import blas_as_torch
from .inputs import BATCH, run
from .patches import rows_of
from .samples import Inputs, Samples, pieces
from .sums import Room, Sums
from .uses import Heard, Key, Use, listening

__all__ = ["gram_bytes", "sums_of", "windows"]


def gram_bytes(use: Use, network: nn.Module) -> int:
    """Size of a matrix's Gram matrices."""
    columns = use.tensor(network).shape[1] + 1
    return 8 * use.groups * columns**2


def windows(uses: Iterable[Use], network: nn.Module, *, most: int) -> Iterator[list[Use]]:
    """Neighbours whose Gram matrices fit into `most` bytes together; one that is too large is alone."""
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
    room: Room | None = None,
) -> dict[str, Sums]:
    """Σ x̃ x̃ᵀ over all rows x̃ = (x, 1) that reach each of the matrices, by name, from one run.

    Rows of tokens that an attention mask leaves out do not count.

    Parameters:
        network: in eval mode.
        inputs: of the network.
        uses: of the network, but for embeddings.
        through: what the inputs of a matrix pass first, by name.
        room: where the sums lie.

    Raises:
        InputError: the network does not run on the inputs, or there is no room.
    """
    wanted = {use.key: use for use in uses}
    names = [use.name for use in wanted.values()]
    room, apart = room or Room(), set[str]()
    while True:
        shared = _Shared({name: Sums(room) for name in names}, apart)
        with blas_as_torch():
            _add_up(network, inputs, wanted, through or {}, shared)
        if not shared.parted:
            return shared.sums
        apart |= shared.parted


def _add_up(
    network: nn.Module,
    inputs: Inputs,
    wanted: Mapping[Key, Use],
    through: Mapping[str, Callable[[Tensor], Tensor]],
    shared: _Shared,
) -> None:
    """Run the network, until matrices part that share sums."""
    tokens = _Tokens()

    def ear(one: Heard) -> None:
        use = wanted.get(one.key)
        if use is None or not one.x.numel():
            return
        change = through.get(use.name)

        def add(sums: Sums) -> None:
            if one.kind == "linear":
                x = one.x if one.x.dim() == 3 else one.x[None]
                sums.add(x, places=tokens.kept(one.x), through=change)
                return
            for rows in rows_of(one.x, one.kind, one.groups, one.window):
                sums.add(rows, through=change)

        if change is None and one.kind == "linear":
            shared.add(use.name, one.x, add)
        else:
            add(shared.sums[use.name])

    with listening(network, ear):  # once, as it looks at every module and parameter
        for piece in pieces(inputs, BATCH):
            with tokens.of(piece):
                run(network, piece)
            shared.forget()
            if shared.parted:
                return


class _Shared:
    """Sums by name, of which those are one that the same tensors flow into: queries, keys and values.

    That those which share once always do is trusted, for a copy of the sums a batch would cost more than the
    few networks whose matrices part: these run again.

    Attributes:
        apart: names that are known to part.
        parted: names that shared sums, and then something flowed into some of them alone.
    """

    def __init__(self, sums: dict[str, Sums], apart: Set[str]) -> None:
        self.sums, self.apart = sums, apart
        self.parted: set[str] = set()
        self.x: Tensor | None = None
        self.seen: tuple[Any, ...] = ()
        self.fresh = False
        self.now: Sums | None = None
        self.takers: set[str] = set()

    def add(self, name: str, x: Tensor, add: Callable[[Sums], None]) -> None:
        """Add x to the sums of a name by `add`, unless it was added to them for another name just now."""
        version = object() if x.is_inference() else x._version  # of the former nothing tells of changes
        seen = (x.data_ptr(), x.shape, x.stride(), x.dtype, version)
        own = self.sums[name]
        if self.x is None or seen != self.seen or name in self.takers:
            self.forget()
            self.fresh, self.now = not own.rows, own
            self.x, self.seen = x, seen  # x stays alive: its place is not reused
            add(own)
        elif own is self.now:
            pass
        elif self.now is not None and self.fresh and not own.rows and not self.apart & {name, *self.takers}:
            self.sums[name] = self.now
        else:
            add(own)
        self.takers.add(name)

    def forget(self) -> None:
        """Let go of the last tensor."""
        sharing = {name for name, one in self.sums.items() if one is self.now}
        if self.takers and not sharing <= self.takers:
            self.parted |= sharing
        self.takers = set()
        self.x = self.now = None


class _Tokens:
    """Which rows are tokens that count, as the attention mask of the batch at hand says."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None
        self.shape: tuple[int, ...] = ()
        self.turned = False
        self.places: dict[bool, Tensor] = {}

    @contextmanager
    def of(self, piece: Inputs) -> Iterator[None]:
        """Listen to the order of tokens while a batch runs."""
        self.mask, self.places = _mask(piece), {}
        if self.mask is None:
            yield
            return
        with _Shapes(self):
            yield
        self.mask = None

    def kept(self, x: Tensor) -> Tensor | None:
        """Places of the rows of x (rows, f) that are tokens that count; None where rows are no tokens."""
        if self.mask is None or x.dim() != 2 or len(x) != self.mask.numel():
            return None
        straight = tuple(self.mask.shape)
        turned = self.turned or (self.shape[:2] == straight[::-1] and self.shape[:2] != straight)
        if turned not in self.places:
            mask = self.mask.T if turned else self.mask
            self.places[turned] = mask.flatten().nonzero()[:, 0]
        return self.places[turned]


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
