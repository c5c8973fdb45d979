#!/usr/bin/env bash
# luna-model 0.7.2, highspy 1.16.0. MpsTranslator writes columns in the order of their names as texts: x0, x1, x10,
# x11, x2, ... The BOUNDS section of the same file is in the model's order, x0, x1, x2, ..., and so are its LP file, its
# BQM and its QUBO matrix. MPS knows order by columns alone: HiGHS reads the file right and gives values as x0, x1, x10,
# ..., so that bits taken by position are another solution. Up to ten variables with one digit nothing shows.
# Guess before: columns in the order of the model's variables, as in its LP file. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet luna-model==0.7.2 dimod==0.12.23 highspy==1.16.0 numpy==2.4.6 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import re

import dimod
import highspy
from luna_model.translator import BqmTranslator, LpTranslator, MpsTranslator, QuboTranslator

n = 12
weights = [(i + 1.0) * (-1 if i < 6 else 1) for i in range(n)]
bqm = dimod.BQM({f"x{i}": weight for i, weight in enumerate(weights)}, {}, 0.0, "BINARY")
model = BqmTranslator.to_lm(bqm)
mps = MpsTranslator.from_lm(model)
open("model.mps", "w").write(mps)
orders = {
    "LP, Binaries": LpTranslator.from_lm(model).split("Binaries")[1].split("End")[0].split(),
    "QUBO": list(QuboTranslator.from_lm(model).variable_names),
    "MPS, BOUNDS": re.findall(r"BV \S+ +(\S+)", mps),
    "MPS, COLUMNS": re.findall(r"^ +(\S+) +OBJ", mps.split("COLUMNS")[1].split("RHS")[0], re.M),
}
for name, order in orders.items():
    print(f"{name:14}", *order)
solver = highspy.Highs()
solver.setOptionValue("output_flag", False)
solver.readModel("model.mps")
solver.run()
bits = [round(value) for value in solver.getSolution().col_value]
taken = sum(weight * bit for weight, bit in zip(weights, bits))
print("HiGHS' optimum:", solver.getObjectiveValue(), "its values by position:", taken)
natural = [f"x{i}" for i in range(n)]
same = all(orders[name] == natural for name in ("LP, Binaries", "QUBO", "MPS, BOUNDS"))
held = same and orders["MPS, COLUMNS"] == sorted(natural)
raise SystemExit(0 if held and solver.getObjectiveValue() == -21 and taken > -21 else 1)
PY
