"""Synthetic records for the tests of `results`: single ones, and a small but plausible benchmark."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qubopress.results import InstanceInfo, Record, Stage, Store, pack

FloatArray = NDArray[np.float64]

HOSTILE = '</script><script>alert("x")</script>&<b>%{x}'


def make_record(**changes: Any) -> Record:
    """One ordinary finished cell, with the given fields changed."""
    bits = np.array([[1, 0, 1], [0, 0, 1]])
    fields: dict[str, Any] = {
        "cell": "cell-1",
        "suite": "smoke",
        "family": "rounding",
        "problem": "adaround",
        "network": "mlp",
        "instance": "mlp int4",
        "instance_key": "key-1",
        "solver": "sa",
        "parameters": {},
        "seed": 0,
        "budget_seconds": 1.0,
        "restarts": None,
        "evaluations": None,
        "threads": 1,
        "status": "BUDGET",
        "message": "",
        "loss": 2.0,
        "energy": 2.0,
        "violation": 0.0,
        "bound": None,
        "metric": 0.86,
        "metric_name": "accuracy",
        "seconds": 1.0,
        "wall_seconds": 1.2,
        "finished_at": "2026-11-02T10:00:00+00:00",
        "commit": "0123abc",
        "machine": "lab-1",
        "adapter": "",
        "peak_bytes": 120_000_000,
        "versions": {"qubopress": "0.1.0", "numpy": "2.4.6"},
        "stages": (Stage(6, 2.0, 0.0, pack(bits), bits.shape),),
        "trace": ((0.01, 5.0), (0.4, 2.0)),
    }
    return Record(**{**fields, **changes})


def make_info(**changes: Any) -> InstanceInfo:
    """The instance of `make_record`, with the given fields changed."""
    fields: dict[str, Any] = {
        "key": "key-1",
        "name": "mlp int4",
        "family": "rounding",
        "problem": "adaround",
        "network": "mlp",
        "parameters": {"bits": 4},
        "variables": 6,
        "stage_variables": (6,),
        "stage_losses": (10.0,),
        "baseline_loss": 10.0,
        "baseline_metric": 0.80,
        "float_metric": 0.87,
        "metric_name": "accuracy",
        "higher_is_better": True,
    }
    return InstanceInfo(**{**fields, **changes})


def make_store(path: Path, cells: list[dict[str, Any]], infos: list[dict[str, Any]] | None = None) -> Path:
    """A store of cells that are each `make_record` with some fields changed; keys are made up."""
    with Store(path, write=True) as store:
        for info in infos if infos is not None else [{}]:
            store.add_instance(make_info(**info))
        for number, cell in enumerate(cells):
            store.add(make_record(**{"cell": f"cell-{number}", **cell}))
    return path


# ---- a plausible benchmark: how good each solver ends (excess), how soon it starts, how fast it falls

SOLVERS: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "round-to-nearest": ({}, 1.0, 0.002, 3.0),
    "nearest-plane": ({}, 0.05, 0.004, 3.0),
    "beam": ({"width": 64}, 0.004, 0.04, 0.4),
    "sa": ({"num_sweeps": 1000}, 0.06, 0.02, 1.2),
    "neal": ({"num_reads": 10}, 0.12, 0.3, 1.0),
    "neal ": ({"num_reads": 100}, 0.08, 2.0, 0.5),
    "tabu": ({}, 0.2, 0.1, 0.6),
    "bifurcation": ({"agents": 128}, 0.16, 0.5, 0.8),
    "tensor-train": ({"rank": 5}, 0.35, 0.8, 0.7),
    "one-flip": ({}, 0.3, 0.005, 0.5),
    "random": ({}, 6.0, 0.001, 0.5),
}


def make_benchmark(
    path: Path, *, seeds: int = 3, hostile: bool = False, budgets: tuple[float, ...] = (10.0,)
) -> Path:
    """Three families × eleven solver settings × seeds with falling traces and every kind of failure."""
    rng = np.random.default_rng(7)
    with Store(path, write=True) as store:
        for info in _instances(hostile):
            store.add_instance(info)
            for solver, behaviour in SOLVERS.items():
                for budget in budgets:
                    for seed in range(seeds):
                        store.add(_cell(info, solver.strip(), behaviour, seed, rng, hostile, budget))
    return path


def multiply(path: Path, times: int, *, instances: int = 20) -> Path:
    """Repeat every cell of a store with other seeds, over that many copies of each of its instances.

    Traces and solutions come along; losses differ a little from copy to copy.
    """
    with closing(sqlite3.connect(path)) as db, db:
        columns = {
            table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for table in ("instance", "cell", "stage", "trace")
        }
        db.execute("CREATE TEMP TABLE n(i)")
        db.executemany("INSERT INTO n VALUES (?)", [(i,) for i in range(1, times)])
        place = {"id": "id + 1000000 * i", "cell": "cell || '#' || i", "seed": "i"}
        place |= {
            "instance_key": f"instance_key || '#' || (i % {instances})",
            "loss": "loss * (1 + 1e-4 * (i % 7))",
        }
        place |= {"instance": f"instance || ' ' || (i % {instances})"}
        _copy(db, "cell", columns["cell"], place)
        for table in ("stage", "trace"):
            _copy(db, table, columns[table], {"cell": "cell + 1000000 * i"})
        names = {"key": f"key || '#' || (i % {instances})", "name": f"name || ' ' || (i % {instances})"}
        _copy(db, "instance", columns["instance"], names)
    return path


def _copy(db: sqlite3.Connection, table: str, columns: list[str], changed: dict[str, str]) -> None:
    into = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    db.execute(f"INSERT OR REPLACE INTO {table} ({into}) SELECT {values} FROM {table}, n")


def _instances(hostile: bool) -> list[InstanceInfo]:
    infos = []
    for network, size, whole in (("mlp", 784 * 128, 0.870), ("cnn", 9248, 0.893)):
        for bits, base in ((2, 0.19), (3, 0.756), (4, 0.85)):
            name = f"{network} int{bits}{HOSTILE if hostile else ''}"
            infos.append(_info("rounding", "adaround", network, name, {"bits": bits}, size, base, whole))
    for keep, base in ((0.75, 0.61), (0.5, 0.35)):
        name = f"cnn keep {keep:.0%}"
        infos.append(_info("pruning", "reconstruction", "cnn", name, {"keep": keep}, 192, base, 0.893))
    ais = _info("analog", "ais-rounding", "ais-tanh", "ais 4 bit", {"bits": 4}, 2048, 80.0, 14.1)
    infos.append(make_info(**{**_fields(ais), "metric_name": "Fréchet distance", "higher_is_better": False}))
    return infos


def _info(
    family: str,
    problem: str,
    network: str,
    name: str,
    parameters: dict[str, Any],
    size: int,
    base: float,
    whole: float,
) -> InstanceInfo:
    loss = -1.0 if family == "pruning" else 1532.0 * size / 100_352
    return make_info(
        key=f"{family}/{name}",
        name=name,
        family=family,
        problem=problem,
        network=network,
        parameters=parameters,
        variables=size,
        stage_variables=(size,),
        stage_losses=(loss,),
        baseline_loss=loss,
        baseline_metric=base,
        float_metric=whole,
    )


def _cell(
    info: InstanceInfo,
    solver: str,
    behaviour: tuple[dict[str, Any], float, float, float],
    seed: int,
    rng: np.random.Generator,
    hostile: bool,
    budget: float,
) -> Record:
    parameters, final, start, pace = behaviour
    spread = abs(info.baseline_loss) * 0.97
    excess = final * np.exp(rng.normal(0, 0.25))
    times = np.sort(start * np.exp(rng.exponential(1.2, 14)) * np.exp(rng.normal(0, 0.1)))
    times = np.minimum(times, 10.0)
    levels = excess + (max(1.3, 1.6 * excess) - excess) * np.exp(-np.arange(14) * pace)
    losses = info.baseline_loss - spread * (1 - levels)
    whole, base = info.float_metric or 0.0, info.baseline_metric or 0.0
    status, message = _ending(solver, info, seed, rng, hostile)
    gave = status in ("BUDGET", "FINISHED", "OPTIMAL", "INFEASIBLE", "LIED")
    return make_record(
        cell=f"{info.key}/{solver}/{parameters}/{seed}/{budget:g}",
        suite="paper-1",
        family=info.family,
        problem=info.problem,
        network=info.network,
        instance=info.name,
        instance_key=info.key,
        solver=solver,
        parameters=parameters,
        seed=seed,
        budget_seconds=budget,
        status=status,
        message=message,
        loss=losses[-1] if gave else None,
        violation=(2.0 if status == "INFEASIBLE" else 0.0) if gave else None,
        metric=whole + (base - whole) * min(excess**0.7, 1.4) + rng.normal(0, 0.004) if gave else None,
        metric_name=info.metric_name,
        measures=_measures(info) if gave else {},
        seconds=times[-1] if gave else None,
        trace=tuple(zip(times, losses, strict=True)) if gave else (),
        **(_work(solver, times) if gave else {}),
        finished_at=f"2026-11-02T10:{rng.integers(60):02d}:00+00:00",
    )


def _work(solver: str, times: FloatArray) -> dict[str, Any]:
    """Beside each improvement the flips, or sweeps, so far; `random` counts nothing, `beam` is older."""
    unit = {"random": "", "sa": "sweeps", "neal": "sweeps"}.get(solver, "flips")
    work = tuple(int(1e5 * seconds) for seconds in times)
    beside = {"trace_work": work, "work_unit": unit} if unit and solver != "beam" else {}
    return {"counts": {unit: work[-1] + 7} if unit else {}, **beside}


def _measures(info: InstanceInfo) -> dict[str, float]:
    """The bytes of a digital network: bits a weight, or the share of float weights that is kept."""
    bits = 32.0 * info.parameters["keep"] if "keep" in info.parameters else info.parameters["bits"]
    return {} if info.family == "analog" else {"stored bytes": 400.0 + (info.variables or 0) * bits // 8}


def _ending(
    solver: str, info: InstanceInfo, seed: int, rng: np.random.Generator, hostile: bool
) -> tuple[str, str]:
    if solver == "tensor-train" and info.variables > 50_000:
        return "SKIPPED", "tensor-train takes at most 50000 variables, the instance has 100352"
    if solver == "tabu" and rng.random() < 0.2:
        return "TIMEOUT", "killed 2.0 s after its budget of 10.0 s"
    if solver == "bifurcation" and info.family == "pruning":
        return "INFEASIBLE", "the capacity is 96, the solution keeps 94"
    if solver == "random" and seed == 2:
        return "FAILED", HOSTILE if hostile else "ValueError: bits must be 0 or 1, got 2 at index 17"
    if solver in ("round-to-nearest", "nearest-plane"):
        return "FINISHED", ""
    return "BUDGET", ""


def _fields(info: InstanceInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__dataclass_fields__}
