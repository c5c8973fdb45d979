"""Peers: our generic solvers beside other packages', on the same instances in one run. Ratios carry over.

`qubopress experiment peers` needs the extra `peers`. Every instance is built once, each contestant has one
thread, and they take turns, so that a slow spell of the machine meets all of them. A peer's conversion of the
model is not charged to it, while ours is to us; a peer that cannot stop in time is given the time it takes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import dimod
import numpy as np
import pandas as pd
import torch

from ... import problems, solvers
from ...problems import InputError, Qubo
from ...problems.arrays import Bits
from ..spec import InstanceSpec
from .rivals.mqlib import HEURISTICS, best_found

__all__ = ["PEERS", "equal_time", "instances", "run", "sweep_rates", "times_to_mean"]

Found = TypeVar("Found", bound=problems.Instance)

SEED = 20261122
"""Of every draw; another than those that any default was chosen on."""

OURS = ("sa", "tabu", "tempering", "bifurcation")

FEW = 1000
"""Sweeps of the shorter of two calls whose difference tells the rate."""

Peer: TypeAlias = Callable[[Qubo, float, int], Bits]
"""Best bits that a package finds in an instance within the seconds, from a seed."""


@dataclass(frozen=True)
class Contest:
    """An instance that contestants meet."""

    name: str
    dense: bool
    qubo: Qubo


def instances(*, quick: bool = False) -> Iterator[Contest]:
    """One-neuron rounding of the trained networks, dense Gaussian and sparse ±1; small ones where `quick`."""
    for network, layer in [("digits-mlp", 0)] if quick else _fashion():
        parameters = {"layer": layer, "neuron": 7, "per": "tensor", "calibration": 500}
        spec = InstanceSpec.of("adaround-neuron", network=network, **parameters)
        rounding = _first(spec, problems.Rounding)
        yield Contest(f"{network} layer {layer}", dense=True, qubo=rounding.row(0).qubo)
    for kind, sizes in {"gaussian": (100, 500, 1000, 2000), "sparse": (1000, 10_000)}.items():
        for n in sizes[:1] if quick else sizes:
            qubo = _first(InstanceSpec.of("random-qubo", kind=kind, n=n, seed=SEED), Qubo)
            yield Contest(f"{kind} {n}", dense=kind == "gaussian", qubo=qubo)


def _fashion() -> list[tuple[str, int]]:
    """The layers of the Fashion-MNIST network, or of the digits one where its data is missing."""
    try:
        problems.classification_task("fashion-mlp", calibration=500)
    except problems.MissingDataError:
        return [("digits-mlp", 0), ("digits-mlp", 1)]
    return [("fashion-mlp", layer) for layer in (2, 1, 0)]


def _first(spec: InstanceSpec, shape: type[Found]) -> Found:
    """The first instance of a formulation, which is of that shape."""
    found = next(problems.get(spec.problem).generate(spec.task(), **spec.parameters))
    assert isinstance(found, shape)
    return found


def _best(qubo: Qubo, samples: Any) -> Bits:
    points = np.atleast_2d(np.asarray(samples)).astype(np.int8)
    return np.asarray(points[np.argmin(qubo.losses(points))])


def _filled(call: Callable[[int], Bits], qubo: Qubo, seconds: float) -> Bits:
    """The best of as many reads as fit into the seconds, what a call takes without any not counted."""
    found = [call(1)]  # the first one imports
    setup, best = _timed(call, 1)
    found.append(best)
    reads, spent = 1, 0.0
    while spent < seconds / 4:
        reads *= 4
        took, best = _timed(call, reads)
        found.append(best)
        spent = took - setup
    found.append(call(max(1, int(reads * seconds / spent))))
    return _best(qubo, found)


def _timed(call: Callable[[int], Bits], reads: int) -> tuple[float, Bits]:
    begun = time.monotonic()
    best = call(reads)
    return time.monotonic() - begun, best


def _samples(found: dimod.SampleSet, qubo: Qubo) -> Bits:
    order = np.argsort(np.asarray(found.variables, dtype=np.int64))
    return _best(qubo, found.record.sample[:, order])


def _neal_sampler() -> Any:
    from dwave.samplers import SimulatedAnnealingSampler

    return SimulatedAnnealingSampler()  # type: ignore[no-untyped-call]


def neal(qubo: Qubo, seconds: float, seed: int) -> Bits:
    """dwave-samplers' simulated annealing, its default 1,000 sweeps a read."""
    bqm, sampler = qubo.to_bqm(), _neal_sampler()
    return _filled(
        lambda reads: _samples(sampler.sample(bqm, num_reads=reads, seed=seed), qubo), qubo, seconds
    )


def dwave_tabu(qubo: Qubo, seconds: float, seed: int) -> Bits:
    """dwave-samplers' tabu search; its timeout is in milliseconds."""
    from dwave.samplers import TabuSampler

    sampler: Any = TabuSampler()  # type: ignore[no-untyped-call]
    found = sampler.sample(qubo.to_bqm(), timeout=int(1000 * seconds), seed=seed, num_restarts=10**9)
    return _samples(found, qubo)


def openjij(qubo: Qubo, seconds: float, seed: int) -> Bits:
    """OpenJij's simulated annealing, its default 1,000 sweeps a read.

    Without the seed: given one, OpenJij 0.12 makes all reads the same anneal, and more of them say no more.
    """
    from openjij import SASampler

    bqm, sampler, sparse = qubo.to_bqm(), SASampler(), qubo.sparse

    def call(reads: int) -> Bits:
        return _samples(sampler.sample(bqm, num_reads=reads, sparse=sparse), qubo)

    return _filled(call, qubo, seconds)


def simulated_bifurcation(qubo: Qubo, seconds: float, seed: int) -> Bits:
    """The package of that name, ballistic, 128 agents; called again until the time is used."""
    from simulated_bifurcation import minimize

    torch.manual_seed(seed)
    Q = torch.tensor(qubo.Q.toarray() if qubo.sparse else np.array(qubo.Q), dtype=torch.float32)
    found: list[Bits] = []
    begun = time.monotonic()
    while not found or time.monotonic() - begun < seconds:
        left = max(seconds - (time.monotonic() - begun), 1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no agent converged is a result like others
            x, _ = minimize(Q, domain="binary", agents=128, timeout=left, verbose=False)
        found.append(x.numpy().astype(np.int8))
    return _best(qubo, found)


PEERS: dict[str, Peer] = {
    "neal": neal,
    "dwave-tabu": dwave_tabu,
    "openjij": openjij,
    "simulated-bifurcation": simulated_bifurcation,
}


def ours(name: str) -> Peer:
    """A registered solver as a contestant."""

    def search(qubo: Qubo, seconds: float, seed: int) -> Bits:
        x = solvers.solve(qubo, name, seconds=seconds, seed=seed).x
        assert x is not None
        return np.asarray(x)

    return search


def equal_time(
    contests: Iterable[Contest],
    *,
    seconds: float = 1.0,
    seeds: int = 3,
    names: Iterable[str] = OURS,
    peers: Mapping[str, Peer] | None = None,
) -> pd.DataFrame:
    """Mean loss of every contestant given the same seconds: one row an instance, a contestant a column.

    Losses are float64, from the bits. `ahead` is the best of all, or "tie" of the best of either side. Those
    of `peers` are met, PEERS if not given.
    """
    contestants = {name: ours(name) for name in names} | dict(PEERS if peers is None else peers)
    rows = []
    for contest in contests:
        losses: dict[str, list[float]] = {name: [] for name in contestants}
        for seed in range(seeds):
            for name, search in contestants.items():
                losses[name].append(contest.qubo.loss(search(contest.qubo, seconds, seed)))
        means = {_label(name, names): float(np.mean(values)) for name, values in losses.items()}
        rows.append({"instance": contest.name, "n": contest.qubo.n, **means, **_winners(means)})
    return pd.DataFrame(rows)


def _label(name: str, names: Iterable[str]) -> str:
    return f"our {name}" if name in names else name


def _winners(means: dict[str, float]) -> dict[str, str]:
    mine = {name: loss for name, loss in means.items() if name.startswith("our ")}
    theirs = {name: loss for name, loss in means.items() if name not in mine}
    best_mine, best_theirs = min(mine, key=mine.__getitem__), min(theirs, key=theirs.__getitem__)
    lead = mine[best_mine] - theirs[best_theirs]
    # Losses that agree to float64's noise of a sum are the same solution.
    tied = abs(lead) <= 1e-9 * max(abs(theirs[best_theirs]), 1e-9)
    return {"ahead": "tie" if tied else best_mine if lead < 0 else best_theirs}


def sweep_rates(qubo: Qubo, *, repeats: int = 5) -> pd.DataFrame:
    """Metropolis sweeps per second on one thread, set-up left out, and ours as a multiple of each.

    A rate is the difference of two calls' times over the difference of their sweeps, of which the longer has
    enough to take twice the shorter's time; the median of `repeats` turns.
    """
    calls: dict[str, Callable[[int], object]] = {
        "our sa": lambda sweeps: solvers.solve(qubo, "sa", restarts=1, num_reads=1, num_sweeps=sweeps),
        "neal": _neal_sweeps(qubo),
        "openjij": _openjij_sweeps(qubo),
    }
    sweeps = {name: _enough_sweeps(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(_seconds_per_sweep(call, sweeps[name]))
    rates = {name: 1 / float(np.median(values)) for name, values in times.items()}
    rows = [
        {"solver": name, "sweeps per second": rate, "ours as a multiple": rates["our sa"] / rate}
        for name, rate in rates.items()
    ]
    return pd.DataFrame(rows)


def _enough_sweeps(call: Callable[[int], object]) -> int:
    """Sweeps with which a call takes twice as long as with FEW, lest they drown in what none would take."""
    call(FEW)  # what is loaded and compiled once is no part of any later call
    begin, many = _took(call, FEW), 4 * FEW
    while _took(call, many) < 2 * begin:
        many *= 4
    return many


def _seconds_per_sweep(call: Callable[[int], object], many: int) -> float:
    few = _took(call, FEW)
    return (_took(call, many) - few) / (many - FEW)


def _took(call: Callable[[int], object], sweeps: int) -> float:
    begun = time.perf_counter()
    call(sweeps)
    return time.perf_counter() - begun


def _neal_sweeps(qubo: Qubo) -> Callable[[int], object]:
    bqm, sampler = qubo.to_bqm(), _neal_sampler()
    return lambda sweeps: sampler.sample(bqm, num_reads=1, num_sweeps=sweeps, seed=SEED)


def _openjij_sweeps(qubo: Qubo) -> Callable[[int], object]:
    from openjij import SASampler

    bqm, sampler = qubo.to_bqm(), SASampler()
    return lambda sweeps: sampler.sample(bqm, num_reads=1, num_sweeps=sweeps, seed=SEED, sparse=qubo.sparse)


def times_to_mean(qubo: Qubo, *, reads: int = 5, limit: float = 10.0) -> pd.DataFrame:
    """Seconds of a neal read (1,000 sweeps, its model built already), and of ours to its mean energy.

    Ours are wall-clock from the call on, model and all; a run that misses the mean counts at `limit`.
    """
    bqm, sampler = qubo.to_bqm(), _neal_sampler()
    energies, theirs = [], []
    for seed in range(reads):
        begun = time.perf_counter()
        found = sampler.sample(bqm, num_reads=1, num_sweeps=1000, seed=seed)
        theirs.append(time.perf_counter() - begun)
        energies.append(qubo.loss(_samples(found, qubo)))
    target = float(np.mean(energies))
    rows = [{"solver": "neal", "seconds": float(np.median(theirs)), "target": target, "reached": reads}]
    for name in ("sa", "tempering", "tabu"):
        runs = [
            solvers.solve(qubo, name, seconds=limit, seed=SEED + seed, target=target) for seed in range(reads)
        ]
        reached = [run.loss is not None and run.loss <= target for run in runs]
        times = [run.seconds if hit else limit for run, hit in zip(runs, reached, strict=True)]
        rows.append(
            {
                "solver": f"our {name}",
                "seconds": float(np.median(times)),
                "target": target,
                "reached": sum(reached),
            }
        )
    table = pd.DataFrame(rows)
    return table.assign(ratio=table["seconds"] / table["seconds"][0])


CURVE = ("nearest-plane", "random-nearest-plane", "coordinate-descent", "sa", "beam", "sphere")
"""Solvers of whole layers whose loss is drawn over time."""


def layer_curve(*, budgets: Iterable[float] = (0.3, 1.0, 3.0, 10.0, 30.0), threads: int = 2) -> pd.DataFrame:
    """Loss of the whole first Fashion-MNIST layer against time, int4 min–max, 1,000 calibration images.

    A row a solver and budget: seconds used, loss, and loss in units of round to nearest's. The first rows of
    `beam` are single passes of fixed work, by width.
    """
    layer = _first_layer()
    nearest = layer.loss(layer.nearest())
    rows = [{"solver": "round-to-nearest", "setting": "", "seconds": 0.0, "loss": nearest}]
    for name in CURVE:
        solvers.warm(name, problems.Rounding)
        settings: list[dict[str, Any]] = [{"seconds": budget} for budget in budgets]
        if name == "beam":
            settings = [{"restarts": 1, "width": width} for width in (1, 4, 16, 64, 256, 1024)] + settings
        for setting in settings:
            found = solvers.solve(layer, name, threads=threads, **setting)
            told = ", ".join(f"{key} {value:g}" for key, value in setting.items())
            loss = float("nan") if found.loss is None else found.loss
            rows.append({"solver": name, "setting": told, "seconds": found.seconds, "loss": loss})
    table = pd.DataFrame(rows)
    return table.assign(ratio=table["loss"] / nearest)


def _first_layer() -> problems.Rounding:
    """The first Fashion-MNIST layer, int4 min–max, 1,000 calibration images."""
    spec = InstanceSpec.of("adaround", network="fashion-mlp", per="tensor", calibration=1000)
    return _first(spec, problems.Rounding)


def neurons(*, count: int = 8, seconds: float = 5.0) -> pd.DataFrame:
    """Mean loss and seconds on neurons of the first Fashion-MNIST layer, int4 min–max, 1,000 images.

    The neurons are drawn by SEED. neal makes 10 reads of 1,000 sweeps, the peers get `seconds` a neuron, and
    ours do a run of fixed work; the last column is the loss in units of round to nearest's.
    """
    layer = _first_layer()
    drawn = np.random.default_rng(SEED).choice(layer.n, count, replace=False)
    ones = [layer.neuron(int(i)) for i in drawn]
    rows = [_searched(name, ones) for name in ("round-to-nearest", "nearest-plane", "beam", "sphere")]
    rows.append(_turns("neal 10 × 1,000", ones, lambda qubo, seed: _neal_reads(qubo, 10, seed)))
    for name, peer in PEERS.items():
        rows.append(_turns(f"{name}, {seconds:g} s", ones, _with_seconds(peer, seconds)))
    table = pd.DataFrame(rows)
    return table.assign(ratio=table["loss"] / table["loss"][0])


def _searched(name: str, ones: list[problems.Rounding]) -> dict[str, Any]:
    """A rounding solver of ours, one run of fixed work, but for the exact one, which has 5 s."""
    solvers.warm(name, problems.Rounding)
    budget: dict[str, Any] = {"seconds": 5.0} if solvers.get(name).exact else {"restarts": 1}
    found = [solvers.solve(one, name, **budget) for one in ones]
    losses, times = zip(*((one.loss, one.seconds) for one in found), strict=True)
    return {"solver": f"our {name}", "loss": float(np.mean(losses)), "seconds": float(np.mean(times))}


def _turns(name: str, ones: list[problems.Rounding], search: Callable[[Qubo, int], Bits]) -> dict[str, Any]:
    losses, times = [], []
    for seed, one in enumerate(ones):
        row = one.row(0)
        begun = time.perf_counter()
        x = search(row.qubo, seed)
        times.append(time.perf_counter() - begun)
        losses.append(row.qubo.loss(x))
    return {"solver": name, "loss": float(np.mean(losses)), "seconds": float(np.mean(times))}


def _with_seconds(peer: Peer, seconds: float) -> Callable[[Qubo, int], Bits]:
    return lambda qubo, seed: peer(qubo, seconds, seed)


def _neal_reads(qubo: Qubo, reads: int, seed: int) -> Bits:
    found = _neal_sampler().sample(qubo.to_bqm(), num_reads=reads, num_sweeps=1000, seed=seed)
    return _samples(found, qubo)


def run(
    *,
    out: Path,
    seconds: float,
    seeds: int,
    neurons: bool = True,
    generic: bool = True,
    quick: bool = False,
    mqlib: Path | None = None,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Write and yield the tables, each as soon as it is known.

    Parameters:
        out: folder of the CSV files.
        seconds, seeds: of every contestant in the table of equal times.
        neurons: the tables of whole neurons and of a whole layer too, where Fashion-MNIST is here.
        generic: the tables of generic solvers on QUBOs.
        quick: small instances, to see that it works.
        mqlib: MQLib's executable, for a table of its heuristics beside ours.

    Raises:
        InputError: a peer is not installed.
    """
    _check_installed()
    torch.set_num_threads(1)
    out.mkdir(exist_ok=True)
    contests = list(instances(quick=quick)) if generic or mqlib is not None else []
    tables = _generic_tables(contests, seconds, seeds) if generic else {}
    if mqlib is not None:
        tables |= _mqlib_table(mqlib, contests, seconds, seeds)
    if neurons and _fashion()[0][0] == "fashion-mlp":
        tables |= NEURONS
    for file, (title, make) in tables.items():
        table = make()
        table.to_csv(out / f"{file}.csv", index=False)
        yield title, table


Tables: TypeAlias = dict[str, tuple[str, Callable[[], pd.DataFrame]]]
"""Titles and what makes the tables, by file."""

NEURONS: Tables = {
    "neurons": ("eight neurons of 785 bits, fashion-mlp layer 0, int4", neurons),
    "layer": ("the whole layer of 128 neurons against time, two threads", layer_curve),
}


def _generic_tables(contests: list[Contest], seconds: float, seeds: int) -> Tables:
    """The tables of generic solvers on QUBOs."""
    widest = max((one for one in contests if "layer" in one.name), key=lambda one: one.qubo.n)
    sparsest = max((one for one in contests if not one.dense), key=lambda one: one.qubo.n)
    for contest in (widest, sparsest):
        for name in OURS:
            solvers.warm(name, Qubo, sparse=contest.qubo.sparse)
    return {
        "sweeps": (
            f"sweeps per second, {widest.name}, {widest.qubo.n} bits",
            lambda: sweep_rates(widest.qubo),
        ),
        "time-to-mean": (
            f"time to neal's mean energy, {sparsest.name}",
            lambda: times_to_mean(sparsest.qubo),
        ),
        "equal-time": (
            f"mean loss at {seconds:g} s",
            lambda: equal_time(contests, seconds=seconds, seeds=seeds),
        ),
    }


def _mqlib_table(program: Path, contests: list[Contest], seconds: float, seeds: int) -> Tables:
    """Heuristics of MQLib beside ours."""
    found: dict[str, Peer] = {name: partial(best_found, program, name) for name in HEURISTICS}
    table = partial(equal_time, contests, seconds=seconds, seeds=seeds, peers=found)
    return {"mqlib": (f"mean loss at {seconds:g} s beside MQLib", table)}


def _check_installed() -> None:
    try:
        import openjij as _openjij
        import simulated_bifurcation as _sb
    except ImportError as error:
        raise InputError(f"peers need {error.name}; install them: pip install 'qubopress[peers]'") from None
    del _openjij, _sb
