"""lanes: what two moves do to the distances of a row, and which of each half of it is furthest off by then.

One loop over both halves, in vectors that are said outright. Over a few hundred inputs a compiler's loop over
numbers spends as long on its ends, and on whether its arrays overlap, as on the numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .planes import Singles

__all__ = ["furthest", "lanes", "width_of"]

LANES = 16
"""Numbers of a vector, as many as the widest registers hold; on narrower ones it takes several."""

code: Any = cgutils
"""Of which numba says no types."""

SINGLE, WHOLE, LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
SINGLES, WHOLES = ir.VectorType(SINGLE, LANES), ir.VectorType(WHOLE, LANES)


def width_of(f: int) -> int:
    """Columns of a row of f numbers and zeros, so many that each half is whole vectors."""
    return max(1, -(-f // (2 * LANES))) * 2 * LANES


def lanes(n: int, f: int) -> Singles:
    """Zeros (n, `width_of` f); a vector of theirs that lay across two lines of a cache would take twice."""
    width = width_of(f)
    spare = np.zeros(n * width + LANES, dtype=np.float32)
    begin = -(spare.ctypes.data // spare.itemsize) % LANES
    return spare[begin : begin + n * width].reshape(n, width)


def _furthest(
    _: Any,
    off: Any,
    one: Any,
    other: Any,
    first: Any,
    second: Any,
    low: Any,
    high: Any,
    scales: Any,
    places: Any,
) -> Any:
    """Bring `off` up to date after two moves; a key of the furthest that may move of either half.

    A key is the bits of a distance without its sign, which are in the order of the numbers, and in its lowest
    bits the place, so that finding it needs no second loop.

    Parameters:
        off: (width,) distances.
        one, other: (width,) what a move by 1 of either coordinate does to them.
        first, second: how far they move.
        low, high: (width,) between which distances count.
        scales: (width,) of each distance; None where all have the same.
        places: bits of a key that are its place.
    """
    arrays = off, one, other, types.float32, types.float32, low, high
    kinds: Any = types
    return kinds.UniTuple(types.int32, 2)(*arrays, scales, types.int32), _pass


furthest: Any = intrinsic(_furthest)


def _pass(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """The code of `furthest`."""
    arrays = {
        k: context.make_array(kind)(context, builder, values[k])
        for k, kind in enumerate(signature.args)
        if isinstance(kind, types.Array)
    }
    first, second = _spread(builder, values[3]), _spread(builder, values[4])
    keep = _spread(builder, builder.xor(values[8], WHOLE(0x7FFFFFFF)))  # a distance, without its sign
    half = builder.lshr(builder.extract_value(arrays[0].shape, 0), LONG(1))
    keys = [code.alloca_once_value(builder, ir.Constant(WHOLES, None)) for _ in range(2)]
    with code.for_range_slice(builder, LONG(0), half, LONG(LANES), LONG) as (column, _):
        for key, begin in zip(keys, (column, builder.add(column, half)), strict=True):
            at = {k: _vector(builder, array, begin) for k, array in arrays.items()}
            moved = _load(builder, at[0])
            for share, change in ((at[1], first), (at[2], second)):
                added = builder.fmul(_load(builder, share), change, flags=("fast",))
                moved = builder.fadd(moved, added, flags=("fast",))
            builder.store(moved, at[0], align=4)
            seen = _bounded(builder, moved, _load(builder, at[5]), _load(builder, at[6]))
            if 7 in at:
                seen = builder.fmul(seen, _load(builder, at[7]), flags=("fast",))
            place = builder.add(
                _spread(builder, builder.trunc(begin, WHOLE)), ir.Constant(WHOLES, list(range(LANES)))
            )
            found = builder.or_(builder.and_(builder.bitcast(seen, WHOLES), keep), place)
            best = builder.load(key)
            builder.store(builder.select(builder.icmp_signed(">", found, best), found, best), key)
    kind = ir.FunctionType(WHOLE, [WHOLES])
    highest = code.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.smax.v{LANES}i32")
    found = [builder.call(highest, [builder.load(key)]) for key in keys]
    return context.make_tuple(builder, signature.return_type, found)


def _spread(builder: Any, number: Any) -> Any:
    """A vector of one number."""
    kind = ir.VectorType(number.type, LANES)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, WHOLE(0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(WHOLES, None))


def _vector(builder: Any, array: Any, begin: Any) -> Any:
    """Where the vector of an array lies that begins at a column."""
    return builder.bitcast(builder.gep(array.data, [begin]), SINGLES.as_pointer())


def _load(builder: Any, place: Any) -> Any:
    """A vector, wherever it begins."""
    return builder.load(place, align=4)


def _bounded(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """A vector's numbers, none below `low` nor above `high`."""
    for sign, end in ((">", low), ("<", high)):
        value = builder.select(builder.fcmp_ordered(sign, value, end, flags=("fast",)), value, end)
    return value
