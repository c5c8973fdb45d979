"""Instances become solutions: the registry of solvers, the run, and solve."""

# Importing a solver's file registers it.
from . import (  # noqa: F401
    bayesian_swap,
    beam,
    bifurcation,
    branch_and_bound,
    coordinate_descent,
    cp_sat,
    cross_refine,
    dwave_tabu,
    exhaustive,
    field_search,
    greedy,
    greedy_swap,
    layer_dp,
    ldlq,
    mip,
    neal,
    nearest_plane,
    obq,
    one_flip,
    oscillator,
    penalty,
    protes,
    random_nearest_plane,
    random_sampling,
    random_swap,
    relaxation,
    round_to_nearest,
    sa,
    sphere,
    stochastic_rounding,
    swap,
    tabu,
    tempering,
    tensor_cross,
    tensor_train,
)
from .adapters import reaches
from .dimod_bridge import from_dimod, sampler
from .registry import Choice, Entry, Parameter, Range, get, names, solver
from .run import OfferError, Run
from .solution import Solution
from .solve import solve, warm
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
