#!/usr/bin/env bash
# ortools 9.15.6755 (CP-SAT) and pyscipopt 6.3.0. A linearised QUBO of 60 bits, a complete and feasible start,
# and no time: SCIP answers with the start, its value and "timelimit" (as HiGHS does too). CP-SAT, told by
# add_hint of every variable, answers UNKNOWN and has no solution at all. The same with any limit that ends
# before its search begins (hundredths of a second here; more where the model is larger): a hint guides the
# search and is not looked at before. A run that continues another solver's incumbent can thus end with less
# than it was given; keep it yourself.
# Guess before: a complete feasible start is a solution in hand, whatever the time limit. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 ortools==9.15.6755 pyscipopt==6.3.0 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools
import numpy as np, ortools, pyscipopt
from ortools.sat.python import cp_model

n, rng = 60, np.random.default_rng(0)
matrix = np.triu(rng.integers(-9, 10, (n, n)))
pairs = list(itertools.combinations(range(n), 2))
first = rng.integers(0, 2, n)
cost = float(first @ matrix @ first)


def cp_sat(seconds):
    model = cp_model.CpModel()
    x = [model.new_bool_var("") for _ in range(n)]
    terms = [int(matrix[i, i]) * x[i] for i in range(n)]
    for i, j in pairs:
        both = model.new_bool_var("")
        model.add_multiplication_equality(both, [x[i], x[j]])
        model.add_hint(both, int(first[i] * first[j]))
        terms.append(int(matrix[i, j]) * both)
    for i in range(n):
        model.add_hint(x[i], int(first[i]))
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.max_time_in_seconds = 1, seconds
    status = solver.status_name(solver.solve(model))
    return status, None if status == "UNKNOWN" else solver.objective_value


def scip(seconds):
    model = pyscipopt.Model()
    model.hideOutput()
    x, energy = [model.addVar(vtype="B") for _ in range(n)], model.addVar(lb=None)
    both = pyscipopt.quicksum(float(matrix[i, j]) * x[i] * x[j] for i in range(n) for j in range(i, n))
    model.addCons(energy >= both)
    model.setObjective(energy)
    start = model.createSol()
    for one, value in zip((*x, energy), (*first, cost)):
        model.setSolVal(start, one, float(value))
    model.addSol(start)
    model.setParam("limits/time", seconds)
    model.optimize()
    return model.getStatus(), model.getObjVal() if model.getNSols() else None


print("ortools", ortools.__version__, "pyscipopt", pyscipopt.__version__, "start", cost)
found = {solve.__name__: solve(0.0) for solve in (cp_sat, scip)}
for name, (status, value) in found.items():
    print(f"{name:6} no time: {status}, value {value}")
for seconds in (0.001, 1.0):
    print("cp_sat", seconds, "s:", *cp_sat(seconds))
kept = found["scip"][1] is not None and found["scip"][1] <= cost + 1e-6
raise SystemExit(0 if kept and found["cp_sat"] == ("UNKNOWN", None) else 1)
PY
