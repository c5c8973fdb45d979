#!/usr/bin/env bash
# dwave-preprocessing 0.6.11 with dimod 0.12.23: roof_duality of a model whose labels are 0 to n - 1 in another
# order than that gives the values of other variables. The labels are taken for positions: the value of the variable
# that comes third goes to the one labelled 2. Such models are what BQM.from_qubo makes of a dict with holes, as
# variables come in the order in which couplings name them. The lower bound is right, the fixings are not, though
# each is said to hold in all optima, and FixVariablesComposite over an exact solver then returns a point that is
# not optimal. With letters for labels, or numbers from 1, or numbers in order, the same models are right.
# Guess before: a label is a label, whatever it is, as in the rest of dimod; or sorting makes no difference.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 dimod==0.12.23 dwave-preprocessing==0.6.11 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import dimod, numpy as np
from dwave.preprocessing import FixVariablesComposite, roof_duality

MODELS, N = 60, 6


def drawn(seed):
    """A sparse QUBO as the dict that a loop over the upper triangle writes."""
    rng = np.random.default_rng(seed)
    Q = {}
    for i in range(N):
        for j in range(i, N):
            value = rng.normal() * (1.5 if i == j else 1.0)
            if i == j or rng.random() < 0.4:
                Q[i, j] = value
    return Q


def right(label, in_order):
    """Bounds that hold, fixings that the only optimum has, and optima that the composite finds, of all models."""
    counts = np.zeros(3, int)
    for seed in range(MODELS):
        bqm = dimod.BQM("BINARY")
        if in_order:
            for i in range(N):
                bqm.add_variable(label(i))
        bqm.update(dimod.BQM.from_qubo({(label(i), label(j)): v for (i, j), v in drawn(seed).items()}))
        best = dimod.ExactSolver().sample(bqm).first
        bound, fixed = roof_duality(bqm)
        found = FixVariablesComposite(dimod.ExactSolver(), algorithm="roof_duality").sample(bqm).first
        counts += (
            bound <= best.energy + 1e-9,
            all(best.sample[v] == value for v, value in fixed.items()),
            bqm.energy(found.sample) <= best.energy + 1e-9,
        )
    return tuple(map(int, counts))


print(f"of {MODELS} models: bounds that hold, fixings of the optimum, optima behind FixVariablesComposite")
seen = {
    "0 .. n-1, as from_qubo orders them": right(int, False),
    "0 .. n-1, added in order": right(int, True),
    "letters, as from_qubo orders them": right("abcdef".__getitem__, False),
    "1 .. n, as from_qubo orders them": right(lambda i: i + 1, False),
}
for name, counts in seen.items():
    print(f"{name}: {counts}")
(bounds, fixings, optima), *others = seen.values()
held = bounds == MODELS and fixings < MODELS / 2 and optima < MODELS / 2
raise SystemExit(0 if held and all(one == (MODELS,) * 3 for one in others) else 1)
PY
