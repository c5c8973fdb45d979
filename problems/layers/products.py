"""Multiply–accumulates of a network with its parameters, counted by what runs and not by kinds of module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .samples import Inputs, forward

__all__ = ["products"]

aten = torch.ops.aten


def products(network: nn.Module, parameters: Iterable[nn.Parameter], inputs: Inputs) -> int:
    """Multiply–accumulates of matrix products and convolutions with parameters, for the first of `inputs`.

    Counted as torch.utils.flop_counter does, half a FLOP count each, an operation wherever it stands: in a
    Linear, in attention's projections, at every step of a recurrent layer, in a product with a bare
    parameter. It differs from that counter where

    - neither factor is made of parameters alone, as in attention's scores: no weight takes part, so bits do
      not change what they cost;
    - torch counts 0: a matrix times one vector, nn.Bilinear, an LSTM on processors, and attention and
      transformer layers that run as one fast kernel.

    Products number by number, as in norms and element-wise scales, are counted by neither.
    """
    constants = [one for one in network.buffers() if one.numel()]
    counter = _Counter(parameters, constants)
    with torch.no_grad(), _in_pieces(), counter:
        forward(network, inputs[:1])
    return counter.products


@contextmanager
def _in_pieces() -> Iterator[None]:
    """Attention and transformer layers run as the matrix products that they are, not as one fast kernel."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch's __init_subclass__
    """Counts products while it is on, and follows which tensors are made of parameters and constants alone.

    Storages stand for tensors, so that views, and what is written into them, are known. Those that are known
    are kept alive, so that no other takes their place.
    """

    def __init__(self, parameters: Iterable[Tensor], constants: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = 0
        self.known: dict[int | None, tuple[Any, bool]] = {}
        """By storage: the storage, and whether a parameter is part of it, not only constants."""
        for tensors, made in ((constants, False), (parameters, True)):
            for one in tensors:
                self._know(one, made)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if not isinstance(func, torch._ops.OpOverload) or func is torch.ops.prim.device.default:
            return func(*args, **named)
        if func.overloadpacket not in PRODUCTS:
            with self:
                whole = func.decompose(*args, **named)
            if whole is not NotImplemented:
                return whole
        out = func(*args, **named)
        tensors = [one for one in tree_leaves((args, named)) if isinstance(one, Tensor)]
        if (found := PRODUCTS.get(func.overloadpacket)) and any(map(self._made, tensors[found.factors])):
            self.products += found.count(args, named, out)
        self._follow(func, tensors, out)
        return out

    def _follow(self, func: Any, tensors: list[Tensor], out: Any) -> None:
        """Note what an operation put out, or wrote into, by what it was made of."""
        name = func.overloadpacket.__name__
        shapeless = name.startswith(("new_", "empty")) or name.endswith("_like")
        # Places choose among whole matrices, as of experts; a row that they choose from a table is no weight.
        stacked = any(self._made(one) and one.dim() > 2 for one in tensors)
        looked = [one for one in tensors if one.is_floating_point() or not stacked]
        known = shapeless or all(_storage(one) in self.known for one in looked)
        made = known and not shapeless and any(map(self._made, tensors))
        for one in tree_leaves(out):
            if isinstance(one, Tensor) and known:
                self._know(one, made)
            elif isinstance(one, Tensor):
                self.known.pop(_storage(one), None)

    def _know(self, tensor: Tensor, made: bool) -> None:
        if (place := _storage(tensor)) is not None:
            self.known[place] = (tensor.untyped_storage(), made)

    def _made(self, tensor: Tensor) -> bool:
        return self.known.get(_storage(tensor), (None, False))[1]


def _storage(tensor: Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # a sparse tensor has none
        return None


@dataclass(frozen=True)
class _Product:
    """An operation that multiplies and accumulates.

    Attributes:
        count: (arguments, those by keyword, result) → multiply–accumulates.
        factors: which of the tensors among its arguments it multiplies.
    """

    count: Callable[[tuple[Any, ...], dict[str, Any], Any], int]
    factors: slice


def _torchs(operation: Any, factors: slice) -> _Product:
    """An operation as torch counts it: two FLOPs are one multiply–accumulate."""
    formula = flop_registry[operation]
    return _Product(lambda args, named, out: int(formula(*args, **named, out_val=out)) // 2, factors)


def _recurrent(args: tuple[Any, ...], *_: Any) -> int:
    """A layer and direction of an LSTM: both matrices at every step of every sequence."""
    steps = args[0].shape[0] * args[0].shape[1]
    return int(steps * (args[1].numel() + args[2].numel()))


PRODUCTS = {
    **{one: _torchs(one, slice(2)) for one in (aten.mm, aten.bmm, aten._scaled_mm, aten.convolution)},
    **{one: _torchs(one, slice(1, 3)) for one in (aten.addmm, aten.baddbmm)},
    aten.mv: _Product(lambda args, *_: args[0].numel(), slice(2)),
    aten.dot: _Product(lambda args, *_: args[0].numel(), slice(2)),
    aten.addmv: _Product(lambda args, *_: args[1].numel(), slice(1, 3)),
    aten.addbmm: _Product(lambda args, *_: args[1].numel() * args[2].shape[-1], slice(1, 3)),
    aten._grouped_mm: _Product(lambda args, *_: args[0].numel() * args[1].shape[-1], slice(2)),
    aten._trilinear: _Product(
        lambda args, *_: args[1].numel() * (args[0].numel() // args[0].shape[-1]), slice(3)
    ),
    aten.mkldnn_rnn_layer: _Product(_recurrent, slice(1, 3)),
}
"""Operations that torch's matrix products and convolutions come down to."""
