#!/usr/bin/env bash
# pyomo 6.10.1. One model of six bits, x[0] to x[5], has another order of variables in each format. In LP they come as
# declared, but are called x2, x6, x3, x4, x7, x5 unless symbolic_solver_labels is set: the numbers follow the terms,
# linear ones first, and x6 is x[1]. In NL those with products come first: x[1], x[4], x[0], ... In MPS the section
# COLUMNS has x[0], x[2], x[3], x[5] alone: a variable that has products and no linear term is in BOUNDS and QUADOBJ
# but is no column: gurobipy 13.0.3 refuses such a file, HiGHS (highspy 1.16.0) puts the missing ones last. Bits by
# position, or by the number in a name, are another solution.
# Guess before: the order of declaration in all three, and numbers that rise with it. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet pyomo==6.10.1 highspy==1.16.0 gurobipy==13.0.3 packaging==26.4 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import re

import gurobipy
import highspy
import pyomo.environ as pyo

model = pyo.ConcreteModel()
model.x = pyo.Var(range(6), domain=pyo.Binary)
model.loss = pyo.Objective(expr=5 * model.x[4] * model.x[1] + sum((i + 1) * model.x[i] for i in (3, 0, 5, 2)))


def indices(text):
    return [int(i) for i in re.findall(r"^ *x[(\[](\d)[)\]]", text, re.M)]


named = {"symbolic_solver_labels": True}
orders = {}
for end in ("lp", "mps", "nl"):
    model.write(f"model.{end}", io_options=named)
orders["LP, binary"] = indices(open("model.lp").read().split("binary")[1])
columns, rest = open("model.mps").read().split("COLUMNS")[1].split("RHS")
orders["MPS, COLUMNS"], products = indices(columns), rest.split("QUADOBJ")[1]
orders["NL, .col"] = indices(open("model.col").read())
for name, order in orders.items():
    print(f"{name:12}", *order)
print("QUADOBJ:", *products.split()[:3])
solver = highspy.Highs()
solver.setOptionValue("output_flag", False)
solver.readModel("model.mps")
orders["MPS in HiGHS"] = [int(name[2]) for name in solver.getLp().col_names_]
print("MPS in HiGHS", *orders["MPS in HiGHS"])
try:
    gurobipy.read("model.mps", gurobipy.Env(params={"OutputFlag": 0}))
    refused = False
except gurobipy.GurobiError as error:
    refused = True
    print("Gurobi:", str(error).split("\n")[0])
_, key = model.write("model.lp", io_options={"symbolic_solver_labels": False})
symbols = model.solutions.symbol_map[key]
labels = re.findall(r"^ +(x\d+)$", open("model.lp").read().split("binary")[1], re.M)
meant = {label: symbols.getObject(label).index() for label in labels}
print("LP without names:", *(f"{label} is x[{index}]" for label, index in meant.items()))
held = orders["LP, binary"] == list(range(6)) and orders["NL, .col"][:2] == [1, 4]
held = held and orders["MPS, COLUMNS"] == [0, 2, 3, 5] and "x(1) x(4)" in products and refused
held = held and orders["MPS in HiGHS"] == [0, 2, 3, 5, 1, 4]
numbers = [int(label[1:]) for label in labels]
raise SystemExit(0 if held and list(meant.values()) == list(range(6)) and numbers != sorted(numbers) else 1)
PY
