"""Validation of what comes in: finite float64 arrays that nobody can change, and bits of the right shape."""

from __future__ import annotations

import mmap
import reprlib
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import InputError

__all__ = [
    "Bits",
    "Floats",
    "bits",
    "chosen",
    "count",
    "flag",
    "frozen",
    "integer",
    "number",
    "plain_array",
    "real",
]

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int8]
Scalar = TypeVar("Scalar", bound=np.generic)


def frozen(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The same values, contiguous, in memory that nobody can write to; a copy if they do not lie there."""
    if array.flags.c_contiguous and _unwritable(array):
        return array
    # A cleared write flag can be set again by whoever owns the array; bytes cannot be written at all.
    return np.ndarray(array.shape, array.dtype, buffer=array.tobytes())


def _unwritable(array: npt.NDArray[Any]) -> bool:
    """Whether the memory under an array is bytes, or a file mapped for reading only."""
    base: object = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, bytes) or (isinstance(base, mmap.mmap) and memoryview(base).readonly)


def real(value: Any, *, name: str, ndim: int) -> Floats:
    """`value` as a finite frozen float64 array of `ndim` dimensions.

    Raises:
        InputError: it is ragged or sparse, has another number of dimensions, is not real, or holds NaN or
            infinity.
    """
    array = plain_array(value, name=name)
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension(s), got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold real numbers, got dtype {array.dtype}; convert it to float64")
    with np.errstate(over="ignore"):  # what is too large for float64 becomes infinite and is refused as such
        array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite, got {_culprit(array)}; remove NaN and infinity first")
    return frozen(array)


def number(value: Any, *, name: str) -> float:
    """`value` as a finite float.

    Raises:
        InputError: it is an array, not a number, or not finite.
    """
    try:
        return float(real(value, name=name, ndim=0))
    except InputError:
        raise InputError(f"{name} must be a finite number, got {_short(value)}") from None


def count(value: Any, *, name: str, low: int, high: int | None = None) -> int:
    """`value` as an integer in [low, high]; True and 2.5 are refused.

    Raises:
        InputError: it is no integer, or lies outside.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        span = f"an integer in [{low}, {high}]" if high is not None else f"an integer of at least {low}"
        raise InputError(f"{name} must be {span}, got {_short(value)}")
    return int(value)


def integer(value: Any, *, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """`value` broadcast to `shape` as frozen int64; fractions are refused, and bools, which look like a mask.

    Raises:
        InputError: it holds something else than integers, or does not fit the shape.
    """
    array = plain_array(value, name=name)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold integers, got dtype {array.dtype}")
    good = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) < 2**31)
    if not good.all():
        raise InputError(f"{name} must hold integers, got {array[~good].flat[0]}")
    try:
        return frozen(np.broadcast_to(array, shape).astype(np.int64))
    except ValueError:
        raise InputError(f"{name} must have shape {shape}, got {array.shape}") from None


def bits(x: Any, *, shape: tuple[int, ...], levels: npt.NDArray[np.int64] | int = 2) -> Bits:
    """`x` as int8 of `shape` with integer values in [0, levels).

    Raises:
        InputError: another shape, a fraction, NaN, or a value outside the levels.
    """
    array = plain_array(x, name="bits")
    if array.shape != shape:
        raise InputError(f"bits must have shape {shape}, got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"bits must be numbers, got dtype {array.dtype}")
    good = (array >= 0) & (array < levels) & (array == np.floor(array))
    if not good.all():
        top = np.broadcast_to(levels, shape)[~good].flat[0] - 1
        raise InputError(f"bits must be integers in [0, {top}], got {array[~good].flat[0]}")
    return array.astype(np.int8)


def plain_array(value: Any, *, name: str) -> npt.NDArray[Any]:
    """`value` as a dense array of any kind.

    Raises:
        InputError: it is sparse, ragged, an array that hides some of its values, or a tensor without values.
    """
    from scipy.sparse import issparse  # a quarter of a second that names and counts need not

    if issparse(value):
        raise InputError(f"{name} must be a dense array, got a sparse one; pass its toarray()")
    if np.ma.is_masked(value):
        raise InputError(f"{name} must hold every value, got an array that masks some; pass its filled(...)")
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors that ask for a gradient
        kind = type(value).__name__
        raise InputError(
            f"{name} must be an array with rows of one length, got a {kind} that is none"
        ) from None


def _culprit(array: Floats) -> str:
    place = np.argwhere(~np.isfinite(array))[0]
    return f"{array[tuple(place)]} at index {tuple(int(i) for i in place)}"


def _short(value: Any) -> str:
    """A value in one line."""
    return " ".join(reprlib.repr(value).split())


def chosen(value: str, among: tuple[str, ...], *, name: str) -> None:
    """InputError unless the value is one of a few words."""
    if value not in among:
        raise InputError(f"{name} must be one of {', '.join(among)}, got {value!r}")


def flag(value: bool, *, name: str) -> None:
    """InputError unless the value is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be True or False, got {value!r}")
