"""The integers of a rounded matrix: codes, steps and zero points, as a runtime stores and reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..arrays import Floats
from ..errors import InputError
from ..layers.uses import Place, Use, parameter_of
from .grids import Grid, group_of

__all__ = ["Codes", "attach", "coded", "codes_from", "codes_of", "key_of", "settle"]

ATTRIBUTE = "qubopress_codes"
"""Of the rounded module; plain data, so that a pickled module needs nothing of ours to be read."""

ROWS = 2**10
"""Of a matrix that are compared with their codes at a time."""

Integers = npt.NDArray[np.int8]
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Codes:
    """What a rounded matrix (n, f) is made of: float32(step)·(codes − zero), a row a neuron.

    Unsigned codes of eight bits, and their zero points, are kept minus 128, so that both are always int8.

    Attributes:
        use: which parameter it is, and how the matrix lies there.
        codes: (n, f) int8.
        step: (n, groups) float32, one for each group of a row's inputs.
        zero: (n, groups) int8.
        bits: width of a code.
        low: least code that there is: 0 of unsigned ones, −2^(bits − 1) of the others.
        group: inputs that share a step, the last of a row maybe fewer; 0 for the whole row.
    """

    use: Use
    codes: Integers
    step: Singles
    zero: Integers
    bits: int
    low: int
    group: int = 0

    @property
    def parameter(self) -> str:
        """Name of the parameter that holds the matrix."""
        return self.use.parameter

    @property
    def symmetric(self) -> bool:
        """Whether all zero points are 0 and codes have signs."""
        return self.low < 0 and not self.zero.any()

    @property
    def scale(self) -> Singles:
        """The steps, by the name that runtimes give them."""
        return self.step

    @property
    def zero_point(self) -> Integers:
        """The zero points, by the name that runtimes give them."""
        return self.zero

    @property
    def kind(self) -> str:
        """How the network uses it: "linear", "convolution", "transposed" or "embedding"."""
        return self.use.kind

    @property
    def unsigned(self) -> npt.NDArray[np.uint8]:
        """The codes (n, f) counted from the least one."""
        return (self.codes.astype(np.int16) - self.low).astype(np.uint8)

    @property
    def unsigned_zero(self) -> npt.NDArray[np.uint8]:
        """The zero points (n, groups) counted from the least code."""
        return (self.zero.astype(np.int16) - self.low).astype(np.uint8)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What belongs to groups (n, groups), for each of their inputs (n, f)."""
        return values[:, group_of(self.codes.shape[1], self.group)]

    def rows(self, chosen: slice) -> Codes:
        """The codes of some of the neurons."""
        kept = {name: getattr(self, name)[chosen] for name in ("codes", "step", "zero")}
        return replace(self, **kept)

    def matrix(self) -> Singles:
        """The weights (n, f), computed in float32 as a runtime does."""
        made = self.codes.astype(np.float32)  # in place, as a table may be most of a network
        made -= self.spread(self.zero) if self.group else self.zero
        made *= self.spread(self.step) if self.group else self.step
        return made


def coded(use: Use, grid: Grid, q: Floats, *, bits: int) -> Codes:
    """The codes of a matrix's integers q (n, f) on a grid.

    Raises:
        InputError: integers outside the grid, or a grid whose integers no eight bits hold.
    """
    if q.min(initial=grid.low) < grid.low or q.max(initial=grid.high) > grid.high:
        raise InputError(f"codes of {use.name} must lie in [{grid.low}, {grid.high}]; clip them first")
    shift = 128 if grid.high > 127 else 0
    zero = np.asarray(grid.zero) - shift
    if (zero != np.rint(zero)).any() or zero.min() < -128 or zero.max() > 127:
        raise InputError(f"zero points of {use.name} must be integers that eight bits hold, got others")
    return Codes(
        use,
        (q - shift).astype(np.int8),
        grid.step.astype(np.float32),
        zero.astype(np.int8),
        bits,
        grid.low - shift,
        grid.group,
    )


def key_of(codes: Codes, network: nn.Module) -> str:
    """The parameter's name, or the name of the part where the matrix is not all of it."""
    whole = parameter_of(network, codes.parameter).numel() == codes.codes.size
    return codes.parameter if whole else codes.use.name


def attach(network: nn.Module, codes: Codes) -> None:
    """Leave a matrix's codes on the network, as plain data beside its parameters; they say what it holds."""
    plain = {one.name: getattr(codes, one.name) for one in fields(codes)} | {"use": asdict(codes.use)}
    vars(network).setdefault(ATTRIBUTE, {})[key_of(codes, network)] = plain


def settle(network: nn.Module) -> None:
    """Take off a network the codes of an earlier compression that its weights no longer are."""
    held: dict[str, Any] = vars(network).get(ATTRIBUTE, {})
    for name in [name for name, plain in held.items() if not _holds(network, codes_from(plain))]:
        del held[name]


def codes_from(plain: Mapping[str, Any]) -> Codes:
    """Codes from what `dataclasses.asdict` made of them."""
    use = plain["use"]
    bias = use.get("bias")
    places = {"weight": Place(**use["weight"]), "bias": None if bias is None else Place(**bias)}
    return Codes(**{**plain, "use": Use(**{**use, **places})})


def codes_of(network: nn.Module) -> dict[str, Codes]:
    """The codes that a network carries, by parameter; those of the whole network, none where it has none.

    Raises:
        InputError: weights that are not what their codes say, because something changed them since.
    """
    held = {name: codes_from(plain) for name, plain in vars(network).get(ATTRIBUTE, {}).items()}
    changed = [name for name, codes in held.items() if not _holds(network, codes)]
    if changed:
        raise InputError(
            f"weights must be what their codes say, got others in {_few(changed)}; compress the network again"
        )
    return held


def _holds(network: nn.Module, codes: Codes) -> bool:
    """Whether a network's weights are what the codes say, in the type that they have now."""
    try:
        now = codes.use.tensor(network).detach().cpu()
    except (AttributeError, RuntimeError):  # it is gone, or smaller
        return False
    if tuple(now.shape) != codes.codes.shape:
        return False
    return all(
        torch.equal(now[part.start : part.stop], torch.from_numpy(codes.rows(part).matrix()).to(now.dtype))
        for part in _spans(len(now))
    )


def _spans(rows: int) -> Iterator[slice]:
    """Some rows after others: a table may be most of a network."""
    return (slice(start, start + ROWS) for start in range(0, rows, ROWS))


def _few(names: Iterable[str]) -> str:
    all_of_them = list(names)
    more = f" and {len(all_of_them) - 3} more" if len(all_of_them) > 3 else ""
    return ", ".join(all_of_them[:3]) + more
