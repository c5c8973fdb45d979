#!/usr/bin/env bash
# ortools 9.15.6755, CP-SAT. A linearised QUBO of 10 bits with float coefficients, minimize(sum of float *
# variable): scaled by 1 or 1e6 it is solved. Scaled by 1e-6, 1e-9 or 1e-12 it is OPTIMAL at x = 0, which is
# not the minimum: the floats are made integers to a precision that is absolute, not relative to the largest,
# so little or nothing of the objective is left. At 1e-6 the best_objective_bound is three times as low as the
# true minimum beside a status that says the gap is closed. Neither an error nor a warning; scale the
# coefficients, better to integers of one's own.
# Guess before: a solver of integers refuses what it cannot scale, or scales relative to the coefficients.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 ortools==9.15.6755 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools
import numpy as np, ortools
from ortools.sat.python import cp_model

n = 10
matrix = np.triu(np.random.default_rng(0).standard_normal((n, n)))
truth = min(float(np.array(x) @ matrix @ np.array(x)) for x in itertools.product((0, 1), repeat=n))


def solve(scale):
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(n)]
    terms = [scale * matrix[i, i] * x[i] for i in range(n)]
    for i, j in itertools.combinations(range(n), 2):
        both = model.new_bool_var("")
        model.add_multiplication_equality(both, [x[i], x[j]])
        terms.append(scale * matrix[i, j] * both)
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.status_name(solver.solve(model))
    point = np.array([solver.value(one) for one in x])
    return status, float(point @ matrix @ point), solver.best_objective_bound / scale


print("ortools", ortools.__version__, f"minimum / scale {truth:.4f}")
found = {scale: solve(scale) for scale in (1.0, 1e6, 1e-6, 1e-9, 1e-12)}
for scale, (status, value, bound) in found.items():
    print(f"scale {scale:.0e}: {status}, value of x / scale {value:.4f}, bound / scale {bound:.4f}")
right = all(found[scale][0] == "OPTIMAL" and abs(found[scale][1] - truth) < 1e-9 for scale in (1.0, 1e6))
wrong = all(found[scale][0] == "OPTIMAL" and found[scale][1] > truth + 1 for scale in (1e-6, 1e-9, 1e-12))
raise SystemExit(0 if right and wrong else 1)
PY
