"""What the heads of the page's tables mean, a sentence each."""

from __future__ import annotations

from ..scoring.scores import PAR_FACTOR, TARGETS

__all__ = ["MEANINGS"]

MEANINGS = {
    "#": "Rank; solvers whose 95 % interval overlaps their leader's share it.",
    "solver": "Solver, with what differs of its parameters and budget; below it the adapter that it took.",
    "excess": "Median normalised excess: 0 the best loss known, 1 doing nothing, above 1 worse.",
    "95 %": "Bootstrap interval of the median excess over instances and seeds.",
    "integral": "Primal integral: mean over the budget of the excess so far; small is good early.",
    **{
        f"to {name} %": f"Seconds to {name} % of excess with 99 % probability, restarts included."
        for name in TARGETS
    },
    "PAR10": f"Mean seconds to the 1 % target; a cell that misses it is charged {PAR_FACTOR:g} budgets.",
    "seconds": "Shifted geometric mean of the solver's own clock, in seconds.",
    "wins": "Pairs of instance and budget on which its median loss is the lowest; ties all win.",
    "inst.": "Instances that it entered.",
    "instances": "Instances that it entered.",
    "cells": "Runs: an instance, a seed and a budget each.",
    "imputed": "Cells without a feasible, honest loss, scored as the baseline.",
    "feasible": "Share of its solutions that keep the constraints.",
    "failed": "Cells that ended as a failure of the solver.",
    "drop": "What the network's own metric lost on average, in its own unit; positive is worse.",
    "seed": "Number of the replicate.",
    "budget": "What the search was given.",
    "ending": "How the cell ended; its message stands under Failures where it gave no solution.",
    "loss": "Of its solution, recomputed from the bits; lower is better.",
    "violation": "By how much its solution breaks the constraints; 0 keeps them.",
    "metric": "The compressed network's own metric, on test data.",
    "bytes": "Size of the compressed network as our packed file; a dash in records that lack it.",
    "memory": "Most resident memory of a cell.",
    "ρ": "Spearman's correlation of loss and harm to the metric; +1: a lower loss is a better network.",
}
