"""Ising: the same instances over spins s = 2x − 1, derived in one place.

A Qubo xᵀCx + l·x + offset, C without its diagonal l, becomes with x = (1 + s)/2

    energy(s) = −½ sᵀJs − h·s + offset',   J = −C/2,   h = −(l + C·1)/2,   offset' = offset + Σl/2 + ΣC/4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ..arrays import Bits, Floats
from .qubo import Qubo
from .rounding import Rounding, bit_places

__all__ = ["Ising", "Neurons", "bits_of", "ising", "neurons", "spins_of"]


@dataclass(frozen=True, eq=False)
class Ising:
    """energy(s) = −½ sᵀJs − h·s + offset over spins s of ±1; low energy is a low loss.

    Attributes:
        J: (n, n) symmetric, no diagonal, dense or CSR.
        h: (n,) field on each spin.
        offset: energy that no spin changes.
    """

    J: Any
    h: Floats
    offset: float

    @property
    def n(self) -> int:
        """Number of spins."""
        return len(self.h)

    def energies(self, spins: Any) -> Floats:
        """Energies (k,) of k configurations (k, n)."""
        s = np.asarray(spins, dtype=np.float64)
        return np.asarray(-0.5 * np.einsum("ki,ki->k", (self.J @ s.T).T, s) - s @ self.h + self.offset)


@dataclass(frozen=True, eq=False)
class Neurons:
    """A layer's neurons as Ising instances over bits that share J; for scale 1, and without offsets.

    Neuron l's loss is scale_l² (−½ sᵀJs − h_l·s) and a constant. Bit b of a neuron adds weights_b to its
    coordinate columns_b.

    Attributes:
        J: (m, m) for m bits a neuron.
        h: (n, m).
        held: (n, m) spin of a bit that is fixed, 0 where it is free.
        columns: (m,) coordinate of each bit.
        weights: (m,) power of two.
    """

    J: Floats
    h: Floats
    held: Bits
    columns: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]

    def decode(self, x: Bits) -> Bits:
        """Integers (n, f) from bits (n, m)."""
        f = int(self.columns.max(initial=-1)) + 1
        whole = np.zeros((len(x), f), dtype=np.int64)
        np.add.at(whole.T, self.columns, (x * self.weights).T)
        return whole.astype(np.int8)


def spins_of(x: Any) -> Bits:
    """Spins −1 and 1 of bits 0 and 1."""
    return (2 * np.asarray(x, dtype=np.int8) - 1).astype(np.int8)


def bits_of(spins: Any) -> Bits:
    """Bits of spins; whatever is not positive is 0."""
    return (np.asarray(spins) > 0).astype(np.int8)


def ising(qubo: Qubo) -> Ising:
    """The Ising instance whose energies are the losses of a Qubo."""
    C, linear = qubo.couplings, qubo.linear
    rows = np.asarray(C.sum(axis=1)).ravel()
    J = sp.csr_array(C * -0.5) if qubo.sparse else np.asarray(C * -0.5)
    return Ising(J, -0.5 * (linear + rows), float(qubo.offset + 0.5 * linear.sum() + 0.25 * rows.sum()))


def neurons(rounding: Rounding) -> Neurons:
    """The neurons of a layer over one J.

    With integers Bx, B the weights of the bits, the error Bx − shift is (Bs + u)/2 for u = B·1 − 2 shift, and
    (Bs + u)ᵀG(Bs + u)/4 has J = −½ BᵀGB less its diagonal and h = −½ BᵀGu.

    Raises:
        InputError: levels that are no powers of two.
    """
    columns, weights, _ = bit_places(np.arange(rounding.f), rounding.levels)
    G = rounding.gram[:, columns] * weights
    J = -0.5 * G[columns] * weights[:, None]
    np.fill_diagonal(J, 0.0)
    u = rounding.levels - 1 - 2.0 * rounding.shift
    fixed = rounding.fixed[:, columns]
    held = np.where(fixed < 0, 0, spins_of(fixed // weights % 2)).astype(np.int8)
    return Neurons(J, -0.5 * (u @ G), held, columns, weights)
