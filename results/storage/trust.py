"""What is checked of each field of a row, and what is taken on trust: docs/scoring.md shows this table."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KINDS", "OF_INSTANCES", "OF_RECORDS", "Trust", "on_trust"]

KINDS = ("recomputed", "cross-checked", "plausible", "on trust")
"""From the bits; against other fields, the registries or the cell's key; possible at all; not at all."""


class Trust(NamedTuple):
    """How a field is checked, and against what."""

    kind: str
    how: str


_KEY = "against the cell's key, where the code and its libraries are the ones here"

OF_RECORDS = {
    "cell": Trust("cross-checked", "the key of suite, instance, solver, parameters, seed, budget and code"),
    "suite": Trust("cross-checked", f"{_KEY}; it may be a folder's name"),
    "family": Trust("cross-checked", "against the instance's description"),
    "problem": Trust("cross-checked", "against the instance's description"),
    "network": Trust("cross-checked", "against the instance's description"),
    "instance": Trust("cross-checked", "against the instance's description"),
    "instance_key": Trust("cross-checked", "the key of formulation, parameters, weights and data"),
    "solver": Trust("cross-checked", f"{_KEY}; it is known here"),
    "parameters": Trust("cross-checked", f"{_KEY}; the solver takes them"),
    "seed": Trust("cross-checked", f"{_KEY}; at least 0"),
    "budget_seconds": Trust("cross-checked", f"{_KEY}; positive and finite"),
    "restarts": Trust("cross-checked", f"{_KEY}; at least 1"),
    "evaluations": Trust("cross-checked", f"{_KEY}; at least 1"),
    "threads": Trust("cross-checked", f"{_KEY}; at least 1"),
    "status": Trust("plausible", "no other field contradicts it; OPTIMAL only by solvers that can prove"),
    "message": Trust("on trust", ""),
    "loss": Trust("recomputed", "to 10 resolutions, and 1e-6 of it without its constant behind a network"),
    "energy": Trust("cross-checked", "the loss, but for penalties"),
    "violation": Trust("recomputed", "to 1e-9"),
    "bound": Trust("plausible", "at most the loss; the loss where it ended OPTIMAL"),
    "metric": Trust("recomputed", "to 0.004, a sample or two"),
    "metric_name": Trust("cross-checked", "against the instance's description"),
    "seconds": Trust("plausible", "between the trace's last improvement and wall_seconds"),
    "wall_seconds": Trust("plausible", "finite and at least seconds"),
    "finished_at": Trust("plausible", "from 2025 to tomorrow"),
    "commit": Trust("plausible", "a hash or version of ours; submit-check looks it up"),
    "machine": Trust("on trust", "named"),
    "adapter": Trust("on trust", 'but for "no free variable"'),
    "peak_bytes": Trust("plausible", "positive, below 1 PiB"),
    "versions": Trust("on trust", "submit-check asks for all that compute"),
    "stages": Trust("recomputed", "bits, their shape, free variables, losses and violations of each"),
    "trace": Trust("plausible", "at most 10,000 improvements, in order of time, that fall to the loss"),
    "timing_grade": Trust("on trust", ""),
    "anytime": Trust("plausible", "never of a solver whose path depends on the budget"),
    "counts": Trust("plausible", "at least 0"),
    "limits": Trust("on trust", ""),
    "measures": Trust("recomputed", "to 2 % and 0.004; rows of before may lack stored bytes"),
    "trace_work": Trust(
        "plausible", "a count beside each improvement, up from 0 to that of the whole; or none"
    ),
    "work_unit": Trust("plausible", "the name of one of its counts; none without counts beside the trace"),
}
"""The fields of a record."""

OF_INSTANCES = {
    "key": Trust("recomputed", "formulation, parameters, weights and data"),
    "name": Trust("recomputed", "from the parameters"),
    "family": Trust("recomputed", "the formulation's"),
    "problem": Trust("cross-checked", "against the key"),
    "network": Trust("cross-checked", "against the key"),
    "parameters": Trust("cross-checked", "against the key"),
    "variables": Trust("recomputed", "exactly"),
    "stage_variables": Trust("recomputed", "exactly"),
    "stage_losses": Trust("recomputed", "as a loss is"),
    "baseline_loss": Trust("recomputed", "as a loss is"),
    "baseline_metric": Trust("recomputed", "to 0.004"),
    "float_metric": Trust("recomputed", "to 0.004"),
    "metric_name": Trust("recomputed", "exactly"),
    "higher_is_better": Trust("recomputed", "exactly"),
}
"""The fields of an instance's description."""


def on_trust() -> list[str]:
    """Fields of a record that nobody can check."""
    return [name for name, (kind, _) in OF_RECORDS.items() if kind == "on trust"]
