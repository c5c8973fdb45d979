"""Sums of the products of what flows into matrices: float64, by half, in memory or in temporary files."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg.blas import dsyrk
from torch import Tensor

from ..arrays import Floats
from ..errors import InputError

__all__ = ["MEMORY", "WAITING", "Room", "Sums", "let_go"]

MEMORY = 2**28
"""Bytes of sums that are held in memory unless told otherwise; others lie in temporary files."""

WAITING = 2**26
"""Bytes of Gram matrices that are in memory until their layers' turn comes; more of them wait in files."""

ON_DISK = 2**34
"""Most bytes of Gram matrices that one run over the data leaves in temporary files."""

ROWS = 512
"""Rows that are multiplied at a time: they stay in a cache, and are enough for BLAS."""

SMALL = 96
"""Columns up to which groups are multiplied all at once and in full."""

BATCHED = 2**21
"""Numbers of such groups that are multiplied at a time."""

BLOCK = 192
"""Columns that are mirrored, or rows that are written to a file, at a time."""


class Room:
    """Where sums lie: in memory up to a bound, beyond it each in a temporary file without a name.

    Such a file is gone with the sums, however the process ends. Freed memory is given out again.

    Parameters:
        memory: bytes.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = self.left = memory
        self._scratch = torch.empty(0, dtype=torch.float64)

    @property
    def most(self) -> int:
        """Bytes that one run over the data may fill: half of what is free on the disk is left to others."""
        return self.memory + min(ON_DISK, shutil.disk_usage(tempfile.gettempdir()).free // 2)

    def zeros(self, *shape: int) -> Held:
        """Numbers that are 0, in memory or in a file.

        Raises:
            InputError: the disk is full.
        """
        size = 8 * math.prod(shape)
        if size > self.left:
            return _on_disk(shape, size)
        self.left -= size
        found = Held(np.zeros(shape))
        weakref.finalize(found.array, self._give_back, size)
        return found

    def _give_back(self, size: int) -> None:
        self.left += size

    def scratch(self, *shape: int) -> Tensor:
        """Memory (...) for numbers that nobody needs once the next ask."""
        size = math.prod(shape)
        if len(self._scratch) < size:
            self._scratch = torch.empty(size, dtype=torch.float64)
        return self._scratch[:size].view(shape)


class _File(mmap.mmap):
    """The map of a temporary file, all of whose numbers are in the file."""


@dataclass(frozen=True, eq=False)
class Held:
    """Numbers, and the map of the file that they lie in, None of those in memory."""

    array: Floats
    file: _File | None = None

    def rest(self) -> None:
        """Let memory go that the file's numbers take up while they are at work."""
        if self.file is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.file.madvise(mmap.MADV_DONTNEED)


def let_go(array: Floats) -> None:
    """Let memory go that numbers take up which lie in a file of ours; they come back when they are read."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    file = base.obj if isinstance(base, memoryview) else base
    if isinstance(file, _File):
        Held(array, file).rest()


def _on_disk(shape: tuple[int, ...], size: int) -> Held:
    try:
        with tempfile.TemporaryFile(prefix="qubopress-") as file:
            os.truncate(file.fileno(), size)
            if hasattr(os, "posix_fallocate"):  # else a full disk would end the process by a signal
                os.posix_fallocate(file.fileno(), 0, size)
            held = _File(file.fileno(), size)
    except OSError as error:
        raise InputError(
            f"the folder for temporary files must have room for {size} bytes more of Gram matrices, got "
            f"{error.strerror} in {tempfile.gettempdir()}; set TMPDIR to another folder, or raise memory"
        ) from error
    return Held(np.frombuffer(held, dtype=np.float64).reshape(shape), held)


class Sums:
    """Running Σ x̃ x̃ᵀ over rows x̃ = (x, 1) of each group, how many there were, and the range of x.

    Only upper triangles count. In float64: in float32 a matrix of fewer rows than inputs comes out with
    eigenvalues below 0.
    """

    def __init__(self, room: Room | None = None) -> None:
        self.room = room or Room()
        self.rows, self.low, self.high = 0, np.inf, -np.inf
        self._held: Held | None = None
        self._mean: Floats | None = None

    def add(
        self,
        x: Tensor,
        *,
        places: Tensor | None = None,
        through: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Add rows x (groups, rows, f), of these those at `places` alone, after they passed `through`."""
        groups, rows, f = x.shape
        if self._held is None:
            self._held = self.room.zeros(groups, f + 1, f + 1)
        step = ROWS if groups == 1 or f >= SMALL else max(1, BATCHED // (groups * (f + 1)))
        for start in range(0, rows if places is None else len(places), step):
            here = slice(start, start + step)
            piece = x[:, here] if places is None else x.index_select(1, places[here])
            self._take(piece if through is None else through(piece))
        self._held.rest()

    def _take(self, x: Tensor) -> None:
        assert self._held is not None
        least, most = torch.aminmax(x)
        self.low, self.high = min(self.low, float(least)), max(self.high, float(most))
        self.rows += x.shape[1]
        if len(x) == 1 or x.shape[2] >= SMALL:
            for group, gram in zip(x, self._held.array, strict=True):
                _square(self._ones(group[None])[0], gram)
        else:
            rows = self._ones(x)
            torch.from_numpy(self._held.array).baddbmm_(rows.transpose(1, 2), rows)

    def _ones(self, x: Tensor) -> Tensor:
        """Rows x̃ (groups, rows, f + 1) in float64."""
        rows = self.room.scratch(*x.shape[:2], x.shape[2] + 1)
        rows[..., :-1] = x
        rows[..., -1] = 1.0
        return rows

    def joined(self, other: Sums | None) -> Sums:
        """These sums with what others of the same kind have added up."""
        if other is not None and other._held is not None and self._held is not None:
            self._held.array[:] += other._held.array
            self.rows += other.rows
            self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        return self

    def mean(self) -> Floats:
        """The Gram matrices (groups, f + 1, f + 1), where the sums were; those that share sums share it."""
        if self._mean is None:
            assert self._held is not None
            self._mean = self._held.array
            self._mean /= self.rows
            for gram in self._mean:
                _mirror(gram)
            self._held.rest()
        return self._mean

    def laid_by(self) -> Floats:
        """The Gram matrices, in a file from now on."""
        gram = self.mean()
        if self._held is not None and self._held.file is None:
            self._held = _on_disk(gram.shape, gram.nbytes)
            for start in range(0, gram.shape[1], BLOCK):  # never in memory twice
                rows = slice(start, start + BLOCK)
                self._held.array[:, rows] = gram[:, rows]
                self._held.rest()
            self._mean = self._held.array
        return self.mean()

    @property
    def size(self) -> int:
        """Bytes."""
        return 0 if self._held is None else self._held.array.nbytes


def _square(rows: Tensor, gram: Floats) -> None:
    """Add the products of rows x̃ (rows, f + 1) to the upper triangle of a C-contiguous matrix."""
    # What BLAS holds as columns are these rows, so that its lower triangle is the upper one here.
    dsyrk(1.0, rows.numpy().T, beta=1.0, c=gram.T, lower=1, overwrite_c=1)


def _mirror(gram: Floats) -> None:
    """Make the lower triangle the upper one's."""
    for start in range(0, len(gram), BLOCK):
        block, rest = slice(start, start + BLOCK), slice(start + BLOCK, None)
        corner = np.triu(gram[block, block])
        gram[block, block] = corner + np.triu(corner, 1).T
        gram[rest, block] = gram[block, rest].T
