"""What the heads of the page's tables mean, a sentence each, and in what their numbers are."""

from __future__ import annotations

from ..scoring.scores import PAR_FACTOR, TARGETS

__all__ = ["MEANINGS", "UNITS"]

UNITS = {
    "#": "place",
    "excess": "ratio",
    "integral": "ratio",
    **{f"to {name} %": "seconds" for name in TARGETS},
    "PAR10": "seconds",
    "seconds": "seconds",
    "wins": "pairs",
    "inst.": "instances",
    "instances": "instances",
    "cells": "cells",
    "imputed": "cells",
    "feasible": "per cent",
    "failed": "cells",
    "drop": "the metric's own",
    "seed": "number",
    "budget": "seconds, or as named",
    "loss": "the formulation's own",
    "violation": "the capacity's own: channels, or parameters, or products",
    "metric": "its own: accuracy and agreement as shares, PSNR in dB, Fréchet distance without one",
    "bytes": "bytes",
    "Spearman's ρ": "none, from −1 to 1",
    "95 % of ρ": "none, from −1 to 1",
    "solutions": "cells",
    "timing grade": "per cent",
}
"""What the numbers under a head are counted or measured in."""

_SAID = {
    "#": "Rank; solvers whose 95 % interval overlaps their leader's share it.",
    "solver": "Solver, with what differs of its parameters and budget; below it the adapter that it took.",
    "excess": "Median normalised excess: 0 the best loss known, 1 doing nothing, above 1 worse.",
    "integral": "Primal integral: mean over the budget of the excess so far; small is good early.",
    **{
        f"to {name} %": f"Time to {name} % of excess with 99 % probability, restarts included."
        for name in TARGETS
    },
    "PAR10": f"Mean time to the 1 % target; a cell that misses it is charged {PAR_FACTOR:g} budgets.",
    "seconds": "Shifted geometric mean of the solver's own clock; of one cell, that clock.",
    "wins": "Pairs of instance and budget on which its median loss is the lowest; ties all win.",
    "inst.": "How many it entered.",
    "instances": "How many it entered, or that tell.",
    "cells": "Runs: an instance, a seed and a budget each.",
    "imputed": "Without a feasible, honest loss, scored as the baseline.",
    "feasible": "How many of its solutions keep the constraints.",
    "failed": "Ended as a failure of the solver.",
    "drop": "What the network's own metric lost on average; positive is worse.",
    "seed": "Number of the replicate.",
    "budget": "What the search was given.",
    "ending": "How the cell ended; its message stands under Failures where it gave no solution.",
    "loss": "Of its solution, recomputed from the bits; lower is better.",
    "violation": "By how much its solution breaks the constraints; 0 keeps them.",
    "metric": "The compressed network's own metric, on test data.",
    "bytes": "Size of the compressed network as our packed file; a dash in records that lack it.",
    "family": "The family of problems.",
    "instance": "What was solved; several are named together.",
    "message": "What the solver, or the harness, said.",
    "problem": "The formulation, or all of the family.",
    "Spearman's ρ": "Correlation of loss and harm to the metric; +1: a lower loss is a better network.",
    "95 % of ρ": "Bootstrap interval over instances.",
    "solutions": "Different solutions that the correlation is over.",
    "commit": "The code that measured, + where it had changes.",
    "machine": "Where it was measured.",
    "timing grade": "Cells beside which nothing else ran, so that their seconds compare.",
    "limits": "How the caps were enforced.",
    "versions": "Of Python and of what computes.",
}

MEANINGS = {head: f"{said} Unit: {UNITS[head]}." if head in UNITS else said for head, said in _SAID.items()}
"""By head: what it means and, of a number, its unit."""
