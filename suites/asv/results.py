"""Ten thousand cells in a store: what it takes to load them and to rank them."""

from __future__ import annotations

import qubopress.results as results

VERSION = "1"
"""Raise this when the store that `setup_cache` writes changes."""

SOLVERS, INSTANCES, SEEDS = 10, 20, 50


def instance(number: int) -> results.InstanceInfo:
    """An instance whose baseline has loss 10."""
    return results.InstanceInfo(
        key=f"key-{number}",
        name=f"mlp int{number}",
        family="rounding",
        problem="adaround",
        network="mlp",
        parameters={"bits": number},
        variables=6,
        stage_variables=(6,),
        stage_losses=(10.0,),
        baseline_loss=10.0,
        baseline_metric=0.8,
        float_metric=0.9,
        metric_name="accuracy",
        higher_is_better=True,
    )


def cell(solver: int, number: int, seed: int) -> results.Record:
    """A cell in which solver 0 ends best and each later one a little worse."""
    loss = 1.0 + solver / 10 + seed / 1000
    return results.Record(
        cell=f"{solver}-{number}-{seed}",
        suite="smoke",
        family="rounding",
        problem="adaround",
        network="mlp",
        instance=f"mlp int{number}",
        instance_key=f"key-{number}",
        solver=f"solver-{solver}",
        parameters={},
        seed=seed,
        budget_seconds=1.0,
        restarts=None,
        evaluations=None,
        threads=1,
        status="BUDGET",
        message="",
        loss=loss,
        energy=loss,
        violation=0.0,
        bound=None,
        metric=0.85,
        metric_name="accuracy",
        seconds=1.0,
        wall_seconds=1.2,
        finished_at="2026-11-02T10:00:00+00:00",
        commit="0123abc",
        machine="lab",
        adapter="",
        peak_bytes=120_000_000,
        versions={"qubopress": "0.1.0"},
        stages=(results.Stage(6, loss, 0.0, None, (2, 3)),),
        trace=((0.01, 5.0), (0.4, loss)),
    )


class Ranked:
    """A store of solvers × instances × seeds, written once for all benchmarks."""

    timeout = 300
    version = VERSION

    def setup_cache(self) -> str:
        with results.Store("cells.db", write=True) as store:
            for number in range(INSTANCES):
                store.add_instance(instance(number))
            store.add_all(
                cell(solver, number, seed)
                for solver in range(SOLVERS)
                for number in range(INSTANCES)
                for seed in range(SEEDS)
            )
        return "cells.db"

    def time_load(self, path: str) -> None:
        results.load(path)

    def time_leaderboard(self, path: str) -> None:
        results.leaderboard(path)

    def peakmem_leaderboard(self, path: str) -> None:
        results.leaderboard(path)
