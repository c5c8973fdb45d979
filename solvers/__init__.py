"""Instances become solutions: the registry of solvers, the run, and solve."""

from .adapters import reaches

# Importing a solver's file registers it.
from .black_box import bayesian_swap, cross_refine, greedy_swap, protes, random_swap  # noqa: F401
from .capacity import field_search, greedy, layer_dp, swap  # noqa: F401
from .dimod_bridge import from_dimod, sampler
from .exact import branch_and_bound, cp_sat, exhaustive, mip  # noqa: F401
from .qubo import (  # noqa: F401
    bifurcation,
    dwave_tabu,
    neal,
    neal_penalty,
    one_flip,
    oscillator,
    random_sampling,
    sa,
    tabu,
    tempering,
    tensor_cross,
    tensor_train,
)
from .registry import Choice, Entry, Parameter, Range, get, names, solver
from .rounding import (  # noqa: F401
    beam,
    coordinate_descent,
    ldlq,
    level_tabu,
    nearest_plane,
    obq,
    random_nearest_plane,
    relaxation,
    round_to_nearest,
    sphere,
    stochastic_rounding,
)
from .run import OfferError, Run
from .solution import Solution
from .solving import solve, warm
from .status import Status

__all__ = [
    "Choice",
    "Entry",
    "OfferError",
    "Parameter",
    "Range",
    "Run",
    "Solution",
    "Status",
    "from_dimod",
    "get",
    "names",
    "reaches",
    "sampler",
    "solve",
    "solver",
    "warm",
]
