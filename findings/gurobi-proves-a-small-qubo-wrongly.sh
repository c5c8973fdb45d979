#!/usr/bin/env bash
# gurobipy 13.0.3. A QUBO of 12 bits and coefficients near 1, and the same times 1e-7: status OPTIMAL, bound equal to
# the objective, gap 0, on a point of 60 % of the optimum's depth. MIPGapAbs is 1e-10 unless told, a thousandth of the
# coefficients, and setting both gaps to 0 changes nothing: what prunes is OptimalityTol, 1e-6 and absolute, which the
# documentation has for simplex. OptimalityTol=1e-9 or ObjScale=-1 is right down to 1e-9. From 1e-10 on nothing of
# these helps, and the proven optimum is x = 0.
# Guess before: gaps of 0 make it exact, or at worst an error of 1e-10 is left. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet gurobipy==13.0.3 scipy==1.17.1 numpy==2.4.6 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools

import gurobipy
import numpy as np

n = 12
matrix = np.triu(np.random.default_rng(0).standard_normal((n, n)))
points = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
least = np.einsum("bi,ij,bj->b", points, matrix, points).min()
quiet = gurobipy.Env(params={"OutputFlag": 0})
zero = {"MIPGap": 0, "MIPGapAbs": 0}
settings = {
    "as it comes": {},
    "gaps 0": zero,
    "gaps 0, OptimalityTol 1e-9": zero | {"OptimalityTol": 1e-9},
    "gaps 0, ObjScale -1": zero | {"ObjScale": -1},
}
print(f"optimum of all points: {least:.3f}")
found = {}
for name, parameters in settings.items():
    for scale in (1.0, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10):
        model = gurobipy.Model(env=quiet)
        x = model.addMVar(n, vtype="B")
        model.setObjective(x @ (scale * matrix) @ x)
        for key, value in parameters.items():
            model.setParam(key, value)
        model.optimize()
        bits = x.X.round()
        proven = model.Status == gurobipy.GRB.OPTIMAL and abs(model.ObjBound - model.ObjVal) <= 1e-3 * scale
        found[name, scale] = bits @ matrix @ bits / least
        print(f"{name}, times {scale:g}: proven {proven}, {bits @ matrix @ bits:.3f}")
        if not proven:
            raise SystemExit(1)
right = {key for key, share in found.items() if share > 0.999}
scales = {name: {scale for of, scale in right if of == name} for name in settings}
tight = scales["gaps 0, OptimalityTol 1e-9"] & scales["gaps 0, ObjScale -1"]
held = scales["as it comes"] == scales["gaps 0"] == {1.0, 1e-6} and tight == {1.0, 1e-6, 1e-7, 1e-8, 1e-9}
raise SystemExit(0 if held else 1)
PY
