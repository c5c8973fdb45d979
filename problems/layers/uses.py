"""Which parameters a network multiplies by, and what flows into each: seen in torch's own kernels as it runs.

One dispatch mode hears every matrix product and convolution below the modules, so that a projection packed
into one parameter, a subclass that pads its input itself or a bare parameter in a forward is read like a
Linear. A weight is recognised by where its numbers lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.modules.rnn import RNNBase
from torch.utils._python_dispatch import TorchDispatchMode

from ..arrays import Floats
from .inputs import BATCH, run
from .patches import Kind, Window, flipped, unflipped
from .samples import Inputs, pieces

__all__ = ["Heard", "Key", "Place", "Use", "Uses", "listening", "parameter_of", "uses_of"]

aten = torch.ops.aten


def parameter_of(network: nn.Module, name: str) -> Tensor:
    """A parameter by its name; scripted modules have no `get_parameter`."""
    found: Any = reduce(getattr, name.split("."), network)
    return cast(Tensor, found)


@dataclass(frozen=True)
class Place:
    """Where the numbers of a view of a parameter lie, counted from the parameter's first one."""

    parameter: str
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    def of(self, network: nn.Module) -> Tensor:
        """The view, of that network's parameter; what is written into it is written into the parameter."""
        whole = parameter_of(network, self.parameter).data
        return whole.as_strided(self.size, self.stride, whole.storage_offset() + self.offset)

    @property
    def numel(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.size)


Key: TypeAlias = tuple[Place, Kind, int, int]
"""Weight, kind, groups and axes of a `Use`."""


@dataclass(frozen=True)
class Use:
    """A matrix (n, f) that a network multiplies by, a row a neuron.

    Attributes:
        name: of the parameter without ".weight", and which part of it where it is no whole one.
        weight: where it is, as the function took it.
        kind: of the function.
        groups: that see inputs of their own, of n / groups neurons each.
        bias: what is added to its outputs and to no other's, None where there is none.
        axes: of a linear one's view, the last, that are a neuron's inputs: several where a copy joined them.
    """

    name: str
    weight: Place
    kind: Kind
    groups: int = 1
    bias: Place | None = None
    axes: int = 1

    @property
    def key(self) -> Key:
        """What it has in common with the products that it stands for."""
        return self.weight, self.kind, self.groups, self.axes

    @property
    def parameter(self) -> str:
        """The name of the parameter."""
        return self.weight.parameter

    def tensor(self, network: nn.Module) -> Tensor:
        """The matrix (n, f) in the parameter's type."""
        view = self.weight.of(network)
        if self.kind == "linear":
            return view.reshape(-1, math.prod(view.shape[-self.axes :]))
        return (flipped(view, self.groups) if self.kind == "transposed" else view).flatten(1)

    def matrix(self, network: nn.Module) -> Floats:
        """The matrix (n, f) in float64."""
        return np.asarray(self.tensor(network).double().numpy())

    def put(self, network: nn.Module, weights: npt.NDArray[Any]) -> None:
        """Write a matrix (n, f) into the network's parameter."""
        view, made = self.weight.of(network), torch.from_numpy(weights)
        if self.kind == "transposed":
            plain = (view.shape[1] * self.groups, view.shape[0] // self.groups, *view.shape[2:])
            made = unflipped(made.reshape(plain), self.groups)
        view.copy_(made.reshape(view.shape))


@dataclass(frozen=True, eq=False)
class Heard:
    """One product that a network computed with a weight of its own.

    Attributes:
        weight, kind, groups: of a `Use`.
        x: what the function received.
        window: of a convolution.
        axes: of a `Use`.
    """

    weight: Place
    kind: Kind
    groups: int
    x: Tensor
    window: Window = field(default_factory=Window)
    axes: int = 1

    @property
    def key(self) -> Key:
        """What it has in common with the other products that are the same use."""
        return self.weight, self.kind, self.groups, self.axes


Ear: TypeAlias = Callable[[Heard], None]


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch's own __init_subclass__
    """Hears what torch computes with a network's parameters."""

    def __init__(self, network: nn.Module, ear: Ear) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.ear = ear
        self.biases: dict[Key, list[Place | None]] = {}
        self.others: dict[str, str] = {}  # what else takes a parameter
        self.last: tuple[int, int, Key] | None = None
        self.parameters: dict[int, list[_Span]] = {}
        self.copies: dict[int, tuple[StorageWeakRef, _Span]] = {}
        for name, one in network.named_parameters():
            if one.numel() and not isinstance(one, nn.UninitializedParameter):
                span = _Span(name, int(one.storage_offset()), one.numel(), one.dtype)
                self.parameters.setdefault(_storage(one), []).append(span)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch asks; True would load its compiler, seconds in every process that rounds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled():  # there composite functions arrive whole
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        out = func(*args, **(kwargs or {}))
        touched = [one for one in _tensors(args) if self._spans(one)]
        if touched and not self._copied(func.overloadpacket, touched[0], out):
            self._hear(func.overloadpacket, args, out, touched)
        return out

    def _hear(self, packet: Any, args: Any, out: Any, touched: list[Tensor]) -> None:
        for weight, bias, heard in _READERS.get(packet, _nothing)(args):
            place = self._place(weight, several=heard.kind == "linear")
            if place is None:
                continue
            made = replace(heard, weight=place, axes=_joined(place, weight.shape[-1]) or 1)
            found = None if bias is None else self._place(bias.reshape(-1) if bias.dim() > 1 else bias)
            self.biases.setdefault(made.key, []).append(found)
            self.last = _storage(out), weight.shape[-2], made.key
            self.ear(made)
            if packet is not aten._grouped_mm:
                return
            touched = []
        if packet in (aten.add, aten.add_) and self._added(args):
            return
        made_of = {_storage(one) for one in _tensors([out])}
        for one in touched:
            if _storage(one) not in made_of:  # a view is no use yet
                for span in self._spans(one):
                    self.others.setdefault(span.name, packet.__name__)

    def _added(self, args: Any) -> bool:
        """A bias that is added to the product just made, on its own."""
        if self.last is None:
            return False
        source, neurons, key = self.last
        for product, bias in (args[:2], args[1::-1]):
            both = isinstance(product, Tensor) and isinstance(bias, Tensor)
            if both and _storage(product) == source and bias.shape == (neurons,) == product.shape[-1:]:
                self.biases[key][-1] = self._place(bias)
                return True
        return False

    def _spans(self, tensor: Tensor) -> list[_Span]:
        """The parameters whose numbers a tensor's memory holds."""
        at = _storage(tensor)
        if at in self.copies and _gone(self.copies[at][0]):  # the memory is another tensor's by now
            del self.copies[at]
        return [self.copies[at][1]] if at in self.copies else self.parameters.get(at, [])

    def _copied(self, packet: Any, source: Tensor, out: Any) -> bool:
        """Whether this copies a parameter, into another type or order; the copy stands for it."""
        if packet not in (aten.clone, aten._to_copy):
            return False
        place = self._place(source)
        if place is None:
            return False
        span = _Span(place.parameter, int(out.storage_offset()), out.numel(), out.dtype, _axes(out, place))
        span = replace(span, offset=place.offset)
        held = StorageWeakRef(out.untyped_storage())  # type: ignore[no-untyped-call]  # of torch
        self.copies[_storage(out)] = held, span
        return True

    def _place(self, view: Tensor, *, several: bool = False) -> Place | None:
        """Where a view lies in a parameter, None where it is none or repeats numbers.

        Of `several`, an axis may be several of the parameter's, which a copy made one.
        """
        steps = [step if size > 1 else 1 for size, step in zip(view.shape, view.stride(), strict=True)]
        reach = sum((size - 1) * step for size, step in zip(view.shape, steps, strict=True))
        for span in self._spans(view):
            offset = int(view.storage_offset()) - span.first
            inside = offset >= 0 and offset + reach < span.numel and view.numel() <= span.numel
            if inside and view.dtype == span.dtype and 0 not in steps:
                found = span.place(tuple(view.shape), steps, offset)
                if found is None:
                    continue
                if len(found.size) == view.dim() or (several and _joined(found, view.shape[-1])):
                    return found
        return None


def _joined(place: Place, inputs: int) -> int:
    """How many axes at the end of a place hold so many inputs, 0 where none do."""
    sizes = [math.prod(place.size[-axes:]) for axes in range(1, len(place.size) + 1)]
    return sizes.index(inputs) + 1 if inputs in sizes else 0


class _Axis(NamedTuple):
    """An axis of a copy: how many there are, and how far apart in the copy and in the parameter."""

    size: int
    step: int
    source: int


def _axes(copy: Tensor, place: Place) -> tuple[_Axis, ...]:
    """The axes of a copy of a view, the widest steps first."""
    axes = zip(copy.shape, copy.stride(), place.stride, strict=True)
    return tuple(sorted((_Axis(*one) for one in axes if one[0] > 1), key=lambda one: -one.step))


@dataclass(frozen=True)
class _Span:
    """Where a parameter's numbers lie in a memory.

    Attributes:
        name: of the parameter.
        first: place of the first number.
        numel: how many there are.
        dtype: of the memory.
        axes: of a copy of a part of it; none of the parameter itself.
        offset: of the copy's first number in the parameter.
    """

    name: str
    first: int
    numel: int
    dtype: torch.dtype
    axes: tuple[_Axis, ...] = ()
    offset: int = 0

    def place(self, size: tuple[int, ...], steps: list[int], offset: int) -> Place | None:
        """Where a view of the memory lies in the parameter; None where it is no view of that."""
        if not self.axes:
            return Place(self.name, size, tuple(steps), offset + self.offset)
        parts: list[tuple[int, int]] = []
        used = dict.fromkeys(self.axes, 0)
        for many, step in zip(size, steps, strict=True):
            found = self._split(many, step, used) if many > 1 else [(1, 1)]
            parts += found
            if not found:
                return None
        start = self.offset
        for axis in self.axes:
            digit, offset = divmod(offset, axis.step)
            start += digit * axis.source
            if digit + used[axis] >= axis.size:
                return None
        sizes, strides = zip(*parts, strict=True) if parts else ((), ())
        return Place(self.name, sizes, strides, start)

    def _split(self, many: int, step: int, used: dict[_Axis, int]) -> list[tuple[int, int]]:
        """An axis of a view as axes of the parameter; nothing where it is no run through these."""
        parts: list[tuple[int, int]] = []
        while many > 1:
            axis = next((one for one in self.axes if one.step <= step), None)
            if axis is None or step % axis.step:
                return []
            times = step // axis.step
            here = many if (many - 1) * times < axis.size else axis.size
            if many % here or (here < many and times > 1):
                return []
            parts.insert(0, (here, times * axis.source))
            used[axis] += (here - 1) * times
            many, step = many // here, axis.step * axis.size
        return parts


def _gone(memory: StorageWeakRef) -> bool:
    return bool(memory.expired())  # type: ignore[no-untyped-call]  # of torch


def _storage(tensor: Any) -> int:
    """Where a tensor's memory begins; 0 of none."""
    try:
        return int(tensor.untyped_storage().data_ptr())
    except (AttributeError, RuntimeError, NotImplementedError):
        return 0


def _tensors(args: Any) -> Iterator[Tensor]:
    for one in args:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, tuple | list):
            yield from _tensors(one)


_Reading: TypeAlias = Iterator[tuple[Tensor, Tensor | None, Heard]]
_SOMEWHERE = Place("", (), (), 0)


def _nothing(args: Any) -> _Reading:
    return iter(())


def _linear(weight: Tensor, bias: Tensor | None, x: Tensor) -> _Reading:
    """Weights (n, f) or (groups, n, f) on x of as many dimensions; a batch of one weight is that weight."""
    if weight.dim() == 3 and (len(weight) == 1 or weight.stride(0) == 0):
        weight, x = weight[0], x.flatten(0, 1)
    if 0 not in weight.shape:
        groups = len(weight) if weight.dim() == 3 else 1
        yield weight, bias, Heard(_SOMEWHERE, "linear", groups, x)


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> _Reading:
    """The second factor is the weight of a Linear; the first may be one as well."""
    yield from _linear(b.mT, bias, a)
    yield from _linear(a, None, b.mT)


def _vector(matrix: Tensor, vector: Tensor) -> _Reading:
    yield from _linear(matrix, None, vector[None])


def _convolution(args: Any) -> _Reading:
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args[:9]
    spaces = weight.dim() - 2

    def each(values: Any) -> tuple[int, ...]:
        return tuple(values) * (spaces if len(values) == 1 else 1)

    window = Window(
        tuple(weight.shape[2:]), each(stride), each(padding), each(dilation), each(output_padding)
    )
    kind: Kind = "transposed" if transposed else "convolution"
    yield weight, bias, Heard(_SOMEWHERE, kind, groups, x, window)


def _embedding(table: Tensor, places: Any) -> _Reading:
    if table.dim() == 2 and isinstance(places, Tensor) and not places.is_floating_point():
        yield table, None, Heard(_SOMEWHERE, "embedding", 1, places)


def _experts(args: Any) -> _Reading:
    """Rows of x that belong to one expert after another; each has a weight of its own."""
    x, weights, ends = args[:3]
    if x.dim() != 2 or weights.dim() != 3 or ends is None:
        return
    start = 0
    for weight, end in zip(weights, ends.tolist(), strict=True):
        yield from _linear(weight.mT, None, x[start:end])
        start = end


def _bilinear(args: Any) -> _Reading:
    """Weights (n, f, g) on x (rows, f) and y (rows, g): a Linear on the products of their numbers."""
    x, weight, y, *axes = args
    if list(map(list, axes[:4])) == [[1, 3], [0], [1, 2], [2, 3]]:
        yield from _linear(weight.flatten(1), None, (x[:, :, None] * y[:, None]).flatten(1))


_READERS: dict[Any, Callable[[Any], _Reading]] = {
    aten.mm: lambda args: _product(*args[:2]),
    aten.bmm: lambda args: _product(*args[:2]),
    aten.addmm: lambda args: _product(args[1], args[2], args[0]),
    aten.baddbmm: lambda args: _product(args[1], args[2]),
    aten.mv: lambda args: _vector(*args[:2]),
    aten.addmv: lambda args: _vector(*args[1:3]),
    aten.convolution: _convolution,
    aten._grouped_mm: _experts,
    aten._trilinear: _bilinear,
    aten.embedding: lambda args: _embedding(*args[:2]),
    aten._embedding_bag: lambda args: _embedding(*args[:2]),
    aten._embedding_bag_forward_only: lambda args: _embedding(*args[:2]),
    aten.index: lambda args: _embedding(args[0], args[1][0] if len(args[1]) == 1 else None),
    aten.index_select: lambda args: _embedding(args[0], None if args[1] else args[2]),
}


@contextmanager
def listening(network: nn.Module, ear: Ear) -> Iterator[_Watch]:
    """Hear every product of a network's parameters for a while.

    Kernels that do a whole block at once are off meanwhile: their products could not be told apart.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    blocks = any(isinstance(part, RNNBase) for part in network.modules())
    kernels = _whole_blocks(False) if blocks else True
    try:
        with _Watch(network, ear) as watch:
            yield watch
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        if blocks:
            _whole_blocks(kernels)


def _whole_blocks(on: bool) -> bool:
    """Switch oneDNN, whose LSTM is one kernel; whether it was on."""
    before = torch.backends.mkldnn.set_flags(on, _fp32_precision=None)  # type: ignore[no-untyped-call]  # of torch
    return bool(before[0])


@dataclass(frozen=True, eq=False)
class Uses:
    """What a network multiplies by.

    Attributes:
        matrices: in the order in which they first run; no number is in two of them.
        reasons: why a parameter, or a part of one, is in none of them.
    """

    matrices: list[Use]
    reasons: dict[str, str] = field(default_factory=dict)


def uses_of(network: nn.Module, inputs: Inputs) -> Uses:
    """The matrices that a network in eval mode multiplies by on its inputs.

    The first sample tells most of it; the rest is run where that leaves a parameter of several dimensions
    unheard, such as an expert's. A parameter used in several places is one matrix; where these disagree on
    its rows, products come before look-ups and the first of them counts.

    Raises:
        InputError: there is no input, or the network does not run on it.
    """
    heard: dict[Key, Heard] = {}

    def ear(one: Heard) -> None:
        if one.x.numel():
            heard.setdefault(one.key, replace(one, x=torch.empty(0)))  # activations are not kept

    biases: dict[Key, list[Place | None]] = {}
    others: dict[str, str] = {}
    for piece in (inputs[:1], *pieces(inputs, BATCH)) if len(inputs) else (inputs,):
        with listening(network, ear) as watch:
            run(network, piece)
        for key, found in watch.biases.items():
            biases.setdefault(key, []).extend(found)
        others |= watch.others
        chosen = _chosen(network, heard)
        if all(chosen.covered(name) or name in others for name in chosen.shares):
            break
    return _named(network, chosen, biases, others)


class _Chosen:
    """Products no two of which share a number, and how much of each parameter they hold."""

    def __init__(self, network: nn.Module) -> None:
        self.heard: list[Heard] = []
        self.reasons: dict[str, str] = {}
        self.shares: dict[str, Tensor] = {}
        for name, one in network.named_parameters():
            if one.dim() > 1 and one.numel():
                self.shares[name] = torch.zeros(one.numel(), dtype=torch.bool)

    def add(self, one: Heard) -> None:
        place = one.weight
        share = self.shares.get(place.parameter)
        if share is None:
            return
        own = share.as_strided(place.size, place.stride, place.offset)
        if not own.any():
            own.fill_(True)
            self.heard.append(one)
        elif one.kind != "embedding":
            self.reasons[place.parameter] = "used in two ways that disagree; the first counts"

    def covered(self, name: str) -> bool:
        return bool(self.shares[name].all())


def _chosen(network: nn.Module, heard: dict[Key, Heard]) -> _Chosen:
    chosen = _Chosen(network)
    for lookups in (False, True):
        for one in heard.values():
            if (one.kind == "embedding") == lookups:
                chosen.add(one)
    return chosen


def _named(
    network: nn.Module,
    chosen: _Chosen,
    biases: dict[Key, list[Place | None]],
    others: dict[str, str],
) -> Uses:
    """The products with names and biases, and why the rest is in none of them."""
    matrices = []
    shared = [bias for found in biases.values() for bias in {*found} if bias is not None]
    for one in chosen.heard:
        found = {*biases[one.key]}
        bias = found.pop() if len(found) == 1 else None
        alone = bias is not None and shared.count(bias) == 1 and _fits(one, bias)
        name = _label(one.weight, parameter_of(network, one.weight.parameter))
        matrices.append(Use(name, one.weight, one.kind, one.groups, bias if alone else None, one.axes))
    reasons = dict(chosen.reasons)
    for name, share in chosen.shares.items():
        if not share.all():
            part = f"{share.numel() - int(share.sum())} of its numbers: " if share.any() else ""
            taken = f"only {others[name]} takes it, no product" if name in others else "nothing reached it"
            reasons[name] = part + taken
    return Uses(matrices, reasons)


def _fits(one: Heard, bias: Place) -> bool:
    """Whether a bias has one number for each neuron."""
    size = one.weight.size
    rows = math.prod(size[: -one.axes])
    neurons = {"linear": rows, "transposed": size[1] * one.groups}.get(one.kind, size[0])
    return bias.numel == neurons


def _label(place: Place, whole: Tensor) -> str:
    """The parameter's name without ".weight", and which of its rows where it is no whole one."""
    name = place.parameter
    short = "" if name == "weight" else name.removesuffix(".weight")
    if place.numel == whole.numel():
        return short
    start, rows = divmod(place.offset, whole.numel() // len(whole))
    count = place.numel * len(whole) // whole.numel()
    if rows or place.numel * len(whole) % whole.numel():
        return f"{short}[{place.offset}:]"
    return f"{short}[{start}]" if count == 1 else f"{short}[{start}:{start + count}]"
