"""What an analog interaction system costs: area, power and energy, beside the digital network it replaces.

    area   = N a_node + E (a_0 + a_bit b M)
    power  = N p_node + E (p_0 + p_bit b)
    energy = power · T + switching + load + readout,    T = M · duration · τ

of N nodes and E couplings of b bits in M segments. It is a model on assumptions, for comparing systems of one
kind with each other. It is no measurement of any chip, and no figure here is a published one. What a digital
processor takes for the same images is in `costs`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from ..arrays import Floats, count
from ..networks.interaction import Design, InteractionSystem
from ..tasks.task import Task

__all__ = ["CONSTANTS", "SOURCES", "Hardware", "bits_of", "hardware", "measures"]

CONSTANTS: dict[str, tuple[float, str, str]] = {
    "a_node": (100.0, "µm²", "assumption of ours: an oscillator or integrator and its start switch"),
    "a_0": (2.0, "µm²", "assumption of ours: wires and the transistors of a coupling"),
    "a_bit": (0.5, "µm²", "assumption of ours: a static memory cell and its switched transistor"),
    "p_node": (10.0, "µW", "assumption of ours: a node that settles in τ"),
    "p_0": (0.05, "µW", "assumption of ours: leakage and bias of a coupling"),
    "p_bit": (0.02, "µW", "assumption of ours: a coupling's mean current for each bit of its range"),
    "tau": (10.0, "ns", "assumption of ours: unit of time of the dynamics"),
    "switch": (0.002, "pJ", "assumption of ours: a coupling's bit set at the beginning of a segment"),
    "load": (1.6, "pJ", "8 of the 64 bits that a read of an 8 kB memory delivers for 10 pJ (Horowitz 2014), "
             "plus as much again, an assumption of ours, for the converter: a node's initial state"),
    "readout": (5.0, "pJ", "assumption of ours: an 8-bit conversion of a visible node, 20 fJ a step"),
}  # fmt: skip
"""Name: value, unit and where it is from."""

SOURCES = {"Horowitz 2014": "Computing's energy problem (and what we can do about it), ISSCC, 45 nm, 0.9 V"}
"""What the table cites."""

MOST_BITS = 8
"""Width of couplings that lie on no grid of fewer bits: analog values are not held more exactly."""


@dataclass(frozen=True)
class Hardware:
    """Of one system.

    Attributes:
        couplings: E.
        bits: b.
        area: in square millimetres.
        milliwatts: power while it runs.
        nanoseconds: T.
        nanojoules: energy of an image.
    """

    couplings: int
    bits: int
    area: float
    milliwatts: float
    nanoseconds: float
    nanojoules: float


def hardware(design: Design, couplings: int, *, bits: int) -> Hardware:
    """The model's figures of a system of a design with so many couplings of so many bits."""
    N, M, E = design.nodes, design.segments, count(couplings, name="couplings", low=0)
    b = count(bits, name="bits", low=1, high=16)
    c = {name: value for name, (value, _, _) in CONSTANTS.items()}
    area = N * c["a_node"] + E * (c["a_0"] + c["a_bit"] * b * M)
    power = N * c["p_node"] + E * (c["p_0"] + c["p_bit"] * b)
    time = M * design.duration * c["tau"]
    # µW · ns is 10⁻³ pJ.
    picojoules = power * time / 1000 + E * b * M * c["switch"] + N * c["load"] + design.visible * c["readout"]
    return Hardware(E, b, area / 1e6, power / 1000, time, picojoules / 1000)


def bits_of(couplings: Floats) -> int:
    """Least width of converters whose even levels hold couplings (M, E), each segment's on a step of its own.

    At most eight, also where they lie on no such levels.
    """
    return max((_width(np.asarray(row, dtype=np.float64)) for row in couplings), default=1)


def _width(row: Floats) -> int:
    gaps = np.diff(np.unique(row))
    # Levels this close are one that rounding has split; eight bits are eight times as far apart.
    least = 1e-3 * float(np.abs(row).max(initial=0.0))
    step = functools.reduce(functools.partial(_divisor, least=least), gaps[gaps > least].tolist(), 0.0)
    if step == 0:
        return 1
    return min(MOST_BITS, math.ceil(math.log2(round(float(np.ptp(row)) / step) + 1)))


def _divisor(a: float, b: float, *, least: float) -> float:
    """Greatest common divisor of two numbers, but for rounding, or a number below `least`."""
    while b > least:
        a, b = b, abs(a - b * round(a / b))
    return a


def measures(task: Task, network: nn.Module) -> dict[str, float]:
    """Couplings, their bits, area and energy of a compressed system."""
    assert isinstance(network, InteractionSystem)
    couplings = network.couplings.detach().double().numpy()
    found = hardware(network.design, len(network.edges), bits=bits_of(couplings))
    return {
        "couplings": float(found.couplings),
        "bits of a coupling": float(found.bits),
        "area (mm²)": found.area,
        "nJ an image": found.nanojoules,
    }
