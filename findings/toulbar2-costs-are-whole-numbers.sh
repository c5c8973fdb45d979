#!/usr/bin/env bash
# pytoulbar2 1.4.0.1: the resolution of a CFN, "decimal digits of costs", is 0 unless given, and every cost of
# AddFunction is rounded to a whole number on its way in: 0.4 is 0, -1.6 is -2. Solve() then returns the value of
# the rounded model as if it were the given one's: -2.0 where its own point costs -1.6 and the minimum is -1.65. A QUBO
# with coefficients below 0.5, as a layer's are, is 0 everywhere, and x = 0 is proven optimal for it. No message;
# resolution=6 moves the edge to 5e-7.
# Guess before: costs are doubles, or a cost that is not whole is refused. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet pytoulbar2==1.4.0.1 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools

import pytoulbar2

Q = {(0, 0): 0.4, (1, 1): -1.6, (2, 2): -0.3, (0, 1): 0.5, (1, 2): 0.25}


def energy(x):
    return sum(v * x[i] * x[j] for (i, j), v in Q.items())


best = min(map(energy, itertools.product((0, 1), repeat=3)))


def told(scale, **options):
    """What Solve says and what its point costs, both over the scale."""
    network = pytoulbar2.CFN(1e3, **options)
    for name in "abc":
        network.AddVariable(name, range(2))
    for (i, j), value in Q.items():
        scope, costs = (["abc"[i]], [0, scale * value]) if i == j else (["abc"[i], "abc"[j]], [0, 0, 0, scale * value])
        network.AddFunction(scope, costs)
    x, value, _ = network.Solve()
    print(f"scale {scale:g}, {options or 'default'}: says {value / scale:.4g}, its point {x} costs", end=" ")
    print(f"{energy(x):.4g}, the minimum is {best:.4g}")
    return round(value / scale, 9), round(energy(x), 9)


seen = told(1, verbose=-1), told(1e-3), told(1, resolution=6), told(1e-3, resolution=6), told(1e-7, resolution=6)
best = round(best, 9)
raise SystemExit(0 if seen == ((-2.0, -1.6), (0.0, 0.0), (best, best), (best, best), (0.0, 0.0)) else 1)
PY
