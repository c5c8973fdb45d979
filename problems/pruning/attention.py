"""Attention heads as channels: modules whose heads can go one by one, and where each head lies.

A head is a block of rows of the query, key and value projections and of columns of the output projection.
What packs projections into one matrix is taken apart first, into Linears that compute the same.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..arrays import frozen
from ..errors import InputError
from ..layers.agreement import same_outputs
from ..layers.inputs import Call
from ..tasks.task import Task
from .coupling import Count, Group, Part
from .trial import few

__all__ = ["Attention", "Fused", "heads", "unpacked"]

PROJECTIONS = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("to_q", "to_k", "to_v"),
    ("q", "k", "v"),
)
"""What modules call their three projections."""

HEAD_SIZES = ("head_dim", "attention_head_size", "key_value_proj_dim", "head_size", "dim_per_head")

HEAD_NUMBERS = ("num_heads", "num_attention_heads", "n_heads", "num_key_value_heads", "heads")

WIDTHS = ("all_head_size", "inner_dim", "split_size", "attn_dim")
"""Attributes that hold how many features all heads have together."""

FUSED = ("c_attn", "qkv")
"""What modules call a projection to queries, keys and values side by side."""


def unpacked(task: Task) -> Task:
    """The task with a network whose packed projections and transposed Linears are Linears, if it has any."""
    if not any(_packed(name, part) for name, part in task.network.named_modules()):
        return task
    network = copy.deepcopy(task.network)
    for name, part in list(network.named_modules()):
        if _packed(name, part):
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, _apart(own, part).train(part.training))
    return replace(task, network=network) if _same(task, network) else task


def _same(task: Task, network: nn.Module) -> bool:
    """Whether a network puts out what the task's does; what reads a weight of a module it knows may not."""
    try:
        return same_outputs(task.copy(), copy.deepcopy(network), few(task.inputs))
    except InputError:  # it counts on what was taken apart
        return False


def _packed(name: str, part: nn.Module) -> bool:
    """Whether a module is to be taken apart; those that do more than project and attend stay."""
    if part._forward_hooks or part._forward_pre_hooks:
        return False
    if type(part) is nn.MultiheadAttention:
        extra = part.bias_k is not None or part.add_zero_attn
        return bool(name) and part._qkv_same_embed_dim and not extra
    linear = _transposed(part) or type(part) is nn.Linear
    own = name.rpartition(".")[2]
    return bool(name) and (_transposed(part) or (linear and own in FUSED and _outputs(part) % 3 == 0))


def _transposed(part: nn.Module) -> bool:
    """Whether a module is the Linear of GPT-2, whose weight has its inputs in front."""
    kind = type(part)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"


def _outputs(part: nn.Module) -> int:
    return part.get_parameter("weight").shape[1 if _transposed(part) else 0]


def _apart(own: str, part: nn.Module) -> nn.Module:
    if isinstance(part, nn.MultiheadAttention):
        return Attention(part)
    weight = part.get_parameter("weight").detach()
    weight = weight.T if _transposed(part) else weight
    asks = part.get_parameter("weight").requires_grad
    bias = None if getattr(part, "bias", None) is None else part.get_parameter("bias").detach()
    return Fused(weight, bias, asks=asks) if own in FUSED else linear_of(weight, bias, asks=asks)


def linear_of(weight: Tensor, bias: Tensor | None, *, asks: bool) -> nn.Linear:
    """A Linear of these values; nothing is drawn for it."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    made.weight = nn.Parameter(weight.clone(memory_format=torch.contiguous_format), requires_grad=asks)
    if bias is not None:
        made.bias = nn.Parameter(bias.clone(), requires_grad=asks)
    return made


def _thirds(weight: Tensor, bias: Tensor | None, *, asks: bool) -> Iterator[nn.Linear]:
    """Three Linears whose outputs side by side are those of one."""
    rows = weight.chunk(3)
    own: tuple[Tensor | None, ...] = (None, None, None) if bias is None else bias.chunk(3)
    return (linear_of(one, two, asks=asks) for one, two in zip(rows, own, strict=True))


class Fused(nn.Module):
    """Queries, keys and values side by side, of three Linears."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, asks: bool) -> None:
        super().__init__()
        self.q, self.k, self.v = _thirds(weight, bias, asks=asks)

    def forward(self, x: Tensor) -> Tensor:
        """(..., queries + keys + values)."""
        return torch.stack([self.q(x), self.k(x), self.v(x)], dim=-2).flatten(-2)


class Attention(nn.Module):
    """`nn.MultiheadAttention` as it is called, with a head size that any number of heads leaves as it is."""

    _qkv_same_embed_dim = False  # tells nn.TransformerEncoderLayer not to read packed weights
    in_proj_bias = None

    def __init__(self, packed: nn.MultiheadAttention) -> None:
        super().__init__()
        weight, out = packed.get_parameter("in_proj_weight"), packed.out_proj
        bias = None if packed.in_proj_bias is None else packed.in_proj_bias.detach()
        self.q, self.k, self.v = _thirds(weight.detach(), bias, asks=weight.requires_grad)
        out_bias = None if out.bias is None else out.bias.detach()
        self.out_proj = linear_of(out.weight.detach(), out_bias, asks=out.weight.requires_grad)
        self.embed_dim, self.num_heads, self.head_dim = packed.embed_dim, packed.num_heads, packed.head_dim
        self.batch_first, self.dropout = packed.batch_first, packed.dropout

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """What is attended to, and with what weights where they are asked for."""
        single, first = query.dim() == 2, self.batch_first or query.dim() == 2
        parts = [one.unsqueeze(0) if single else one for one in (query, key, value)]
        parts = parts if first else [one.transpose(0, 1) for one in parts]
        layers = (self.q, self.k, self.v)
        q, k, v = (
            layer(one).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for layer, one in zip(layers, parts, strict=True)
        )
        scores = q @ k.transpose(-2, -1) * self.head_dim**-0.5
        if key_padding_mask is not None:
            scores = scores + _added(key_padding_mask, scores).view(-1, 1, 1, scores.shape[-1])
        if attn_mask is not None:
            if attn_mask.dim() == 3:
                raise InputError(
                    "attn_mask must be the same for all heads once they are pruned, got one a head"
                )
            scores = scores + _added(attn_mask, scores)
        weights = scores.softmax(dim=-1)
        dropped = functional.dropout(weights, self.dropout, training=self.training)
        made = self.out_proj((dropped @ v).transpose(1, 2).flatten(2))
        told = weights.mean(dim=1) if average_attn_weights else weights
        made = made if first else made.transpose(0, 1)
        answer = (made[0], told[0]) if single else (made, told)
        return answer if need_weights else (answer[0], None)


def _added(mask: Tensor, scores: Tensor) -> Tensor:
    """A mask as what is added to scores; True forbids."""
    if mask.dtype != torch.bool:
        return mask.to(scores.dtype)
    return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, -torch.inf)


# ---- where the heads lie


def heads(network: nn.Module, made: list[Call]) -> list[Group]:
    """A group for each attention module: a channel is a head, or all heads that share a key and a value."""
    order = [call.name for call in made]
    found: list[Group] = []
    for name, part in network.named_modules():
        projections = _projections(name, part)
        if projections and all(order.count(one) == 1 for one in projections):
            owner = network.get_submodule(name.rpartition(".")[0]) if isinstance(part, Fused) else part
            owner_name = name.rpartition(".")[0] if isinstance(part, Fused) else name
            found += _group(network, order, projections, owner, owner_name)
    return sorted(_joined(network, found), key=lambda group: order.index(group.name))


def _joined(network: nn.Module, found: list[Group]) -> list[Group]:
    """The groups, those in one where layers hand on a bias for each head, as T5's stacks do."""
    stacks: dict[str, list[Group]] = {}
    for group in found:
        owner = group.name.rpartition(".")[0]
        shares = hasattr(network.get_submodule(owner), "has_relative_attention_bias")
        stacks.setdefault(re.sub(r"\d+", "*", owner) if shares else owner, []).append(group)
    return [_one(network, stack) for stack in stacks.values()]


def _one(network: nn.Module, stack: list[Group]) -> Group:
    """One group of several that have as many heads, and the biases that belong to them."""
    first = stack[0]
    names = [group.name.rpartition(".")[0] for group in stack]
    tables = [
        _part(f"{name}.{own}", first.width, first.width)
        for name in names
        for own, part in network.get_submodule(name).named_children()
        if isinstance(part, nn.Embedding) and part.embedding_dim == first.width
    ]
    if len({group.width for group in stack}) > 1:
        return first
    return replace(
        first,
        chains=tuple(chain for group in stack for chain in group.chains),
        takers=tuple(part for group in stack for part in group.takers),
        holders=(*(part for group in stack for part in group.holders), *tables),
        counts=tuple(one for group in stack for one in group.counts),
    )


def _projections(name: str, part: nn.Module) -> tuple[str, ...]:
    """Full names of a module's projections; none where it has no three Linears of such names."""
    for names in PROJECTIONS:
        if all(isinstance(getattr(part, one, None), nn.Linear) for one in names):
            return tuple(f"{name}.{one}" if name else one for one in names)
    return ()


def _group(
    network: nn.Module, order: list[str], names: tuple[str, ...], owner: nn.Module, owner_name: str
) -> list[Group]:
    """The heads of one module; none where its sizes do not add up, which it may have reasons for."""
    outputs = [network.get_submodule(name).get_parameter("weight").shape[0] for name in names]
    size = _head_size(owner, outputs[0])
    after = max(order.index(name) for name in names) + 1
    out = next((name for name in order[after:] if _reads(network, name, outputs[0])), None)
    if out is None or not size or any(one % size for one in outputs) or outputs[1] != outputs[2]:
        return []
    width = outputs[2] // size
    if width < 2 or outputs[0] % outputs[2]:
        return []
    holders = tuple(_part(name, width, number) for name, number in zip(names, outputs, strict=True))
    counts = _counts(owner, owner_name, width, heads=outputs[0] // size, features=outputs[0])
    takers = (_part(out, width, outputs[0]),)
    return [Group(names[2], width, ((names[2],),), takers, holders, counts)]


def _head_size(owner: nn.Module, features: int) -> int:
    """Features of one head, 0 where the module does not say."""
    sizes = [getattr(owner, name, None) for name in HEAD_SIZES]
    numbers = [getattr(owner, name, None) for name in HEAD_NUMBERS if name != "num_key_value_heads"]
    fitting = (number for number in numbers if isinstance(number, int) and number > 0)
    sizes += [features // number for number in fitting if features % number == 0]
    return next((size for size in sizes if isinstance(size, int) and size > 0), 0)


def _reads(network: nn.Module, name: str, features: int) -> bool:
    layer = network.get_submodule(name)
    return isinstance(layer, nn.Linear) and layer.in_features == features


def _part(name: str, width: int, number: int) -> Part:
    return Part(name, frozen(np.arange(number).reshape(width, -1)), number)


def _counts(owner: nn.Module, name: str, width: int, *, heads: int, features: int) -> tuple[Count, ...]:
    """Attributes of the module that count heads or their features, where they say what is there now."""
    wanted = dict.fromkeys(HEAD_NUMBERS, (heads, width)) | dict.fromkeys(WIDTHS, (features,))
    held = {one: vars(owner).get(one) for one in wanted}
    return tuple(
        Count(name, one, value // width)
        for one, value in held.items()
        if isinstance(value, int) and value in wanted[one]
    )
