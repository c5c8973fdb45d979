"""Interaction systems: analog nodes on a grid whose couplings, piecewise constant in time, make images.

Visible nodes lie on the grid of the image's pixels, hidden ones in layers behind them. A system starts at a
random state, runs through M segments of time, each with its own parameters, and is read out at the end. That
it is trained as a generator is from the analog generators of 2026 that METHODS names; the exact equations are
our reading.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..arrays import count, number
from ..errors import InputError
from .coupling_products import Places, places
from .dynamics import Slope, drift, heun, rk4, saturating_drift
from .trajectories import Plan, final_states

__all__ = ["KINDS", "Design", "InteractionSystem", "neighbours"]

Edges: TypeAlias = npt.NDArray[np.int64]

KINDS = ("phase", "tanh")
"""Oscillators read out as sin φ, and saturating nodes read out as tanh x."""

STEPPERS: dict[str, Callable[[Slope, Tensor, float], Tensor]] = {"heun": heun, "rk4": rk4}


@dataclass(frozen=True)
class Design:
    """What is fixed when a system is fabricated.

    Attributes:
        kind: of KINDS.
        side: pixels along an edge of the image; side² nodes are visible.
        hidden: layers of side² hidden nodes behind them.
        radius: nodes whose places are at most so many columns and rows apart are coupled, whatever their
            layers.
        long_range: further random couplings, as many as this for each node on average.
        directed: whether the two directions between a pair are two couplings or one.
        segments: M, spans of time with couplings of their own.
        steps: integration steps of a segment.
        duration: of a segment, in units of a node's time constant.
        spread: initial states are uniform in ±spread (radians, or units of x).
        method: "heun" or "rk4".
        seed: of the random couplings' places.
    """

    kind: str = "tanh"
    side: int = 8
    hidden: int = 1
    radius: int = 2
    long_range: float = 0.0
    directed: bool = True
    segments: int = 4
    steps: int = 5
    duration: float = 1.0
    spread: float = 0.5
    method: str = "heun"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, among in (("kind", KINDS), ("method", tuple(STEPPERS))):
            if getattr(self, name) not in among:
                raise InputError(f"{name} must be one of {', '.join(among)}, got {getattr(self, name)!r}")
        for name, low in (("side", 1), ("hidden", 0), ("radius", 0), ("segments", 1), ("steps", 1)):
            count(getattr(self, name), name=name, low=low)
        for name in ("duration", "spread"):
            if number(getattr(self, name), name=name) <= 0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= number(self.long_range, name="long_range") <= self.nodes - 1:
            raise InputError(f"long_range must lie in [0, {self.nodes - 1}], got {self.long_range}")
        if not len(self.edges()):
            raise InputError(
                "a system must have couplings, got radius 0 and one layer; raise radius or hidden"
            )

    @property
    def visible(self) -> int:
        """Visible nodes; they come first."""
        return self.side**2

    @property
    def nodes(self) -> int:
        """n, all nodes."""
        return self.side**2 * (1 + self.hidden)

    def edges(self) -> Edges:
        """Couplings (E, 2): the node that feels one, and the node that it feels; sorted.

        Where the two directions are one, only the pair with the lesser node first is there.
        """
        near = neighbours(self.side, 1 + self.hidden, self.radius)
        pairs = {tuple(pair) for pair in near.tolist() if self.directed or pair[0] < pair[1]}
        wanted = len(pairs) + round(self.long_range * self.nodes / (1 if self.directed else 2))
        most = self.nodes * (self.nodes - 1) // (1 if self.directed else 2)
        rng = np.random.default_rng(self.seed)
        while len(pairs) < min(wanted, most):
            i, j = (int(node) for node in rng.integers(self.nodes, size=2))
            if i != j:
                pairs.add((i, j) if self.directed or i < j else (j, i))
        return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def neighbours(side: int, layers: int, radius: int) -> Edges:
    """Ordered pairs (E, 2) of different nodes at most `radius` columns and rows apart, in any layers."""
    places = np.array(list(itertools.product(range(layers), range(side), range(side))))
    apart = np.abs(places[:, None, 1:] - places[None, :, 1:]).max(axis=2)
    return np.argwhere((apart <= radius) & ~np.eye(len(places), dtype=bool))


class InteractionSystem(nn.Module):
    """A system of analog nodes, from initial states (batch, n) to images (batch, 1, side, side) in [0, 1].

    Attributes:
        design: what is fixed.
        edges: (E, 2) couplings there are; fewer than the design's where some were left out.
        couplings: (M, E) strength of each in each segment.
        bias: (M, n) natural frequencies of oscillators, in radians per unit time, or inputs of other nodes.
        lock: (M, n) second harmonics of oscillators; none where the nodes saturate.
    """

    edges: Tensor

    def __init__(self, design: Design, *, edges: Edges | None = None) -> None:
        super().__init__()
        self.design = design
        found = design.edges() if edges is None else edges
        self.register_buffer("edges", torch.tensor(found, dtype=torch.int64))
        # A node feels about this many others; the sum of their random pulls shall not depend on it.
        degree = max(1.0, len(found) * (1 if design.directed else 2) / design.nodes)
        scale = 0.3 / math.sqrt(degree)
        self.couplings = nn.Parameter(scale * torch.randn(design.segments, len(found)))
        self.bias = nn.Parameter(torch.zeros(design.segments, design.nodes))
        locks = design.nodes if design.kind == "phase" else 0
        self.lock = nn.Parameter(torch.zeros(design.segments, locks))
        self._found: tuple[Edges, Places] | None = None

    def starts(self, wanted: int, *, random: torch.Generator) -> Tensor:
        """Initial states (wanted, n), uniform in ±spread."""
        return self.design.spread * (2.0 * torch.rand(wanted, self.design.nodes, generator=random) - 1.0)

    def forward(self, starts: Tensor) -> Tensor:
        """Images (batch, 1, side, side) that initial states (batch, n) settle into."""
        return self.shown(self.run(starts))

    def shown(self, final: Tensor) -> Tensor:
        """Images (batch, 1, side, side) that final states (batch, n) are read out as."""
        side, visible = self.design.side, final[:, : self.design.visible]
        shown = torch.sin(visible) if self.design.kind == "phase" else torch.tanh(visible)
        return 0.5 * (1.0 + shown).reshape(-1, 1, side, side)

    def run(self, starts: Tensor) -> Tensor:
        """Final states (batch, n) of all nodes."""
        if not self._exact(starts):
            return self.stepwise(starts)
        return final_states(self.plan(), starts.T, self.couplings, self.bias, self.lock).T

    def _exact(self, starts: Tensor) -> bool:
        """Whether the sparse products take these starts: on the processor, of the parameters' own type."""
        kinds = {starts.dtype, self.couplings.dtype, self.bias.dtype}
        return starts.device.type == "cpu" and kinds in ({torch.float32}, {torch.float64})

    def plan(self) -> Plan:
        """What `trajectories` needs to know of a run."""
        design = self.design
        dt = design.duration / design.steps
        return Plan(design.kind, design.method, design.segments, design.steps, dt, self._places())

    def _places(self) -> Places:
        """Where the couplings lie, found anew when the edges are others."""
        edges = self.edges.numpy()
        if self._found is None or not np.array_equal(self._found[0], edges):
            found = places(edges, self.design.nodes, directed=self.design.directed)
            self._found = (edges.copy(), found)
        return self._found[1]

    def stepwise(self, starts: Tensor) -> Tensor:
        """The same by dense matrices and torch's own gradients, on any device: the reference of `run`."""
        state, dt = starts.T, self.design.duration / self.design.steps
        step = STEPPERS[self.design.method]
        for segment in range(self.design.segments):
            slope = self.slope(segment)
            for _ in range(self.design.steps):
                state = step(slope, state, dt)
        return state.T

    def slope(self, segment: int) -> Slope:
        """Rate of change of states (n, batch) in a segment."""
        J, bias = self.matrix(segment), self.bias[segment][:, None]
        if self.design.kind == "tanh":
            return lambda state: saturating_drift(state, J, h=bias)
        lock = self.lock[segment][:, None]
        return lambda state: drift(state, J, lock=lock, omega=bias)

    def matrix(self, segment: int) -> Tensor:
        """Couplings of a segment as a matrix (n, n), row i what node i feels."""
        n, (felt, of) = self.design.nodes, self.edges.T
        J = self.couplings.new_zeros(n, n).index_put((felt, of), self.couplings[segment])
        return J if self.design.directed else J + J.T

    def without(self, kept: Tensor) -> InteractionSystem:
        """A copy that has only some of the couplings, `kept` (E,) being true, fabricated no more than those.

        Raises:
            InputError: none is kept, or not as many flags as couplings.
        """
        if kept.shape != self.edges.shape[:1] or kept.dtype != torch.bool or not kept.any():
            raise InputError(
                f"kept must be {len(self.edges)} flags, one of them true, got {tuple(kept.shape)}"
            )
        smaller = copy.deepcopy(self)
        smaller.edges = self.edges[kept]
        chosen, trained = self.couplings.detach()[:, kept], self.couplings.requires_grad
        smaller.couplings = nn.Parameter(chosen, requires_grad=trained)
        return smaller
