#!/usr/bin/env bash
# pulp 3.3.2. A constant in the objective is in no file: writeLP, writeMPS and toJson leave it out without a word,
# so the optimum that any solver finds in the file is off by it, while value(objective) in memory has it. Costs
# have twelve digits in LP and thirteen in MPS, and come back as other numbers. Gurobi, HiGHS, SCIP, dimod, OMMX
# and Pyomo all have a way to write a constant.
# Guess before: written in one of the ways of others, or refused; and all digits. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet pulp==3.3.2 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import pulp

COSTS = (1 / 3, -3.0, 1e-7 / 3)
problem = pulp.LpProblem("p", pulp.LpMinimize)
x = [pulp.LpVariable(f"x{i}", cat="Binary") for i in range(3)]
problem += pulp.lpDot(COSTS, x) + 7.5
problem += pulp.lpSum(x) <= 2
problem.writeLP("p.lp")
problem.writeMPS("p.mps")
problem.toJson("p.json")
text = open("p.lp").read() + open("p.mps").read()
mps, json = pulp.LpProblem.fromMPS("p.mps")[1], pulp.LpProblem.fromJson("p.json")[1]
print("pulp", pulp.__version__)
print("the problem:", problem.objective)
objective = open("p.lp").read().split("Subject")[0].splitlines()[-1]
print("as LP:      ", objective)
print("MPS, read:  ", mps.objective, "constant", mps.objective.constant)
print("JSON, read: ", json.objective, "constant", json.objective.constant)
lost = "7.5" not in text and mps.objective.constant == json.objective.constant == 0
third = next(value for variable, value in mps.objective.items() if variable.name == "x0")
short = third != 1 / 3 and "0.333333333333 x0" in objective
raise SystemExit(0 if lost and short else 1)
PY
