"""What rounding writes: weights into the network, and what became of each parameter into the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from ..arrays import Floats, count
from ..layers.inputs import BATCH, run
from ..layers.samples import pieces
from ..layers.sums import let_go
from ..layers.uses import Heard, Use, listening, parameter_of
from ..memory import give_back
from ..tasks.ledger import Fate
from .codes import Codes, attach, coded
from .eight_bit import QuantizedInput, quantize_input
from .grids import Grid, grid_for
from .weight_layers import WeightLayer, WeightLayers
from .wishes import Answer, Wishes, group_for

__all__ = ["Book", "Tables", "modules_of", "tables_of", "write"]

BIAS_BITS = 32

ROWS = 2**10
"""Of a table that are rounded at a time."""


@dataclass(frozen=True, eq=False)
class Book:
    """The ledger of a task while its matrices are rounded.

    Attributes:
        layers: of the task.
    """

    layers: WeightLayers
    _fates: dict[str, Fate] = field(default_factory=dict)

    def rounded(
        self,
        one: WeightLayer,
        answers: list[Answer],
        nearest: list[Answer],
        *,
        bits: int,
        guard: bool,
    ) -> None:
        """Write the answers of a matrix's groups into the network, and note their losses.

        Where `guard`, the nearest values are written if those lose less on the samples held out.
        """
        # A suite judges its networks by their metric, and must not pay for a second run over other data.
        held = one.held if guard or not one.layers.task.kept else None
        losses = _losses(one, answers, nearest, held)
        worse = guard and (losses["held_loss"] or 0.0) > (losses["held_nearest_loss"] or 0.0)
        if worse:
            answers, losses = nearest, _losses(one, nearest, nearest, held)
        write(one, answers, bits=bits)
        why = "nearest: the answer is worse on samples held out" if worse else ""
        self._note(one.use, bits, why, losses)
        if one.use.bias is not None and answers[0].layer.bias(answers[0].x) is not None:
            self._note_bias(one.use.bias.parameter)

    def embedding(self, use: Use, bits: int) -> None:
        """Note a table whose rows were rounded to nearest."""
        self._note(use, bits, "", {})

    def quantize_input(self, one: WeightLayer, owners: Mapping[str, str]) -> None:
        """Round what flows into a matrix that was rounded to eight bits, where a module takes it alone."""
        known = self._fates.get(one.use.parameter)
        if known is None:
            return
        if one.name in owners:
            quantize_input(self.layers.network, owners[one.name], QuantizedInput(*one.inputs["span"]))
        else:
            why = "; ".join(filter(None, [known.why, "its input stays float: no module takes it alone"]))
            self._fates[one.use.parameter] = replace(known, why=why)

    def close(self) -> None:
        """Hand the fates over, those of the parameters left among them."""
        task, network = self.layers.task, self.layers.network
        by_rule = {use.parameter: task.rules.leaves(use.name) for use in self.layers.uses.matrices}
        for name, one in network.named_parameters():
            why = self.layers.uses.reasons.get(name, "")
            if name in self._fates:
                fate = self._fates[name]
                task.ledger.note(replace(fate, why="; ".join(filter(None, [fate.why, why]))))
                continue
            shape = "a vector" if one.dim() < 2 else "nothing reached it" if one.numel() else "no numbers"
            task.ledger.note(Fate(name, "float", one.numel(), why or by_rule.get(name) or shape))

    def leave(self, use: Use, why: str) -> None:
        """Note why a matrix stays float."""
        self.layers.uses.reasons.setdefault(use.parameter, why)

    def _note(self, use: Use, bits: int, why: str, losses: dict[str, Any]) -> None:
        """Note a matrix; losses of several of one parameter add up."""
        known = self._fates.get(use.parameter)
        if known is not None:
            losses = {name: _sum(getattr(known, name), value) for name, value in losses.items()}
            bits, why = max(bits, known.bits or 0), why or known.why
        numel = parameter_of(self.layers.network, use.parameter).numel()
        self._fates[use.parameter] = Fate(use.parameter, "rounded", numel, why, bits, **losses)

    def _note_bias(self, name: str) -> None:
        numel = parameter_of(self.layers.network, name).numel()
        self._fates[name] = Fate(name, "rounded", numel, bits=BIAS_BITS)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _losses(
    one: WeightLayer, answers: list[Answer], nearest: list[Answer], held: Floats | None
) -> dict[str, float | None]:
    """Of the answers and of the nearest values, on calibration data and on samples held out."""
    found: dict[str, float | None] = {}
    for name, gram in (("", one.inputs["gram"]), ("held_", held)):
        for what, given in (("loss", answers), ("nearest_loss", nearest)):
            found[f"{name}{what}"] = None if gram is None else _loss(given, gram)
        if gram is not None:
            let_go(gram)
    return found


def _loss(answers: list[Answer], grams: Floats) -> float:
    """Of the answers of all groups (groups, f + 1, f + 1)."""
    return sum(answer.layer.loss_on(gram, answer.x) for answer, gram in zip(answers, grams, strict=True))


def write(one: WeightLayer, answers: list[Answer], *, bits: int) -> None:
    """Put rounded rows into the matrix that they belong to, and its codes beside it where all are rounded."""
    weights = np.array(one.weights)
    bias = None if one.bias is None else np.array(one.bias)
    for layer, x in ((answer.layer, answer.x) for answer in answers):
        weights[layer.rows] = layer.stored(x)
        rounded = layer.bias(x)
        if bias is not None and rounded is not None:
            bias[layer.rows] = rounded
    one.put(weights, bias)
    codes = [answer.layer.integers(answer.x) for answer in answers]
    if sum(map(len, codes)) == len(weights):
        grid = _joined([answer.layer.grid for answer in answers])
        attach(one.layers.network, coded(one.use, grid, np.concatenate(codes), bits=bits))


def _joined(grids: list[Grid]) -> Grid:
    """The grid of all rows of a matrix, from those of its groups."""
    step, zero = (np.concatenate([getattr(one, name) for one in grids]) for name in ("step", "zero"))
    return replace(grids[0], step=step, zero=zero)


@dataclass(frozen=True)
class Tables:
    """The tables of a network that rows are looked up in, and what is wished of each: its bits and group."""

    layers: WeightLayers
    wished: list[tuple[Use, int, int]]

    def round(self, book: Book) -> None:
        """Round every row to the nearest values of its own grid, or of one for each group."""
        give_back()
        for use, bits, group in self.wished:
            if not bits:
                book.leave(use, "embeddings=0 leaves it")
                continue
            self.layers.own(use.parameter)
            codes = _rounded_table(use, self.layers.network, bits=bits, group=group)
            attach(self.layers.network, codes)
            book.embedding(use, bits)
            give_back(codes.codes.nbytes)


def tables_of(layers: WeightLayers, *, bits: int, group: int | None) -> Tables:
    """The tables to round to so many bits, 0 for none, but for those of which the task's rules say else.

    Raises:
        InputError: bits that there are not.
    """
    width = count(bits, name="embeddings", low=0, high=8)
    rules, wished = layers.task.rules, list[tuple[Use, int, int]]()
    for use in layers.uses.matrices:
        if use.kind == "embedding" and not rules.leaves(use.name):
            own = rules.settings(use.name, {**_OTHERS, "bits": width, "group": group})
            wide, columns = count(own["bits"], name="bits", low=0, high=8), use.weight.size[-1]
            size = group_for(own["group"], use, columns, bits=wide)
            wished.append((use, wide, count(size, name="group", low=0)))
    return Tables(layers, wished)


def _rounded_table(use: Use, network: nn.Module, *, bits: int, group: int) -> Codes:
    """Round a table in place, some rows at a time as it may be most of a network; its codes."""
    table, made = use.tensor(network), np.empty(tuple(use.tensor(network).shape), dtype=np.int8)
    parts = []
    for start in range(0, len(table), ROWS):
        weights = table[start : start + ROWS].double().numpy()
        grid = grid_for(weights, bits=bits, grid="minmax", per="channel", group=group)
        part = coded(use, grid, grid.integers(weights), bits=bits)
        table[start : start + ROWS].copy_(torch.from_numpy(part.matrix()))
        made[start : start + ROWS] = part.codes
        parts.append(replace(part, codes=part.codes[:0]))
    step, zero = (np.concatenate([getattr(one, name) for one in parts]) for name in ("step", "zero"))
    return replace(parts[0], codes=made, step=step, zero=zero)


_OTHERS = dict.fromkeys(one.name for one in fields(Wishes))
"""What a layer may set besides, which says nothing of a table."""


_NOBODY = "no module"


def modules_of(layers: WeightLayers) -> dict[str, str]:
    """The module whose first argument is what flows into each of the matrices, where one has it alone."""
    network = layers.network
    wanted = {use.key: use for use in layers.chosen}
    holders = _holders(network)
    running: dict[str, Any] = {}
    found: dict[str, set[str]] = {}

    def ear(heard: Heard) -> None:
        use = wanted.get(heard.key)
        if use is not None:
            taken = [
                name
                for name, module in holders[use.parameter].items()
                if name in running and _takes(module, running[name], heard.x)
            ]
            found.setdefault(use.name, set()).update(taken or [_NOBODY])

    with ExitStack() as stack:
        for name, module in {name: one for held in holders.values() for name, one in held.items()}.items():
            begin, end = partial(_begin, running, name), partial(_end, running, name)
            stack.callback(module.register_forward_pre_hook(begin).remove)
            stack.callback(module.register_forward_hook(end).remove)
        with listening(network, ear):
            run(network, next(iter(pieces(layers.task.inputs, BATCH))))
    takers = [name for names in found.values() for name in names]
    return {
        use: next(iter(names))
        for use, names in found.items()
        if len(names) == 1 and _NOBODY not in names and takers.count(next(iter(names))) == 1
    }


def _holders(network: nn.Module) -> dict[str, dict[str, nn.Module]]:
    """The modules that hold each parameter as their `weight`, by the parameter's first name and their own.

    What has its matrices under other names, such as attention, takes several things at once.
    """
    names = {one: name for name, one in network.named_parameters()}
    found: dict[str, dict[str, nn.Module]] = {name: {} for name in names.values()}
    for name, module in network.named_modules():
        for own, one in module.named_parameters(recurse=False):
            if own == "weight":
                found[names[one]][name] = module
    return found


def _begin(running: dict[str, Any], name: str, module: nn.Module, arguments: tuple[Any, ...]) -> None:
    running[name] = arguments[0] if arguments else None


def _end(running: dict[str, Any], name: str, module: nn.Module, arguments: Any, output: Any) -> None:
    running.pop(name, None)


def _takes(module: nn.Module, argument: Any, x: torch.Tensor) -> bool:
    """Whether a module's own argument is what meets its weights, but for zeros around it."""
    if not isinstance(argument, torch.Tensor):
        return False
    plain = type(module).forward is nn.Linear.forward or isinstance(module, _ConvNd)
    return plain or argument.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
