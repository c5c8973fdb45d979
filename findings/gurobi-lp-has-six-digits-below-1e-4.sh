#!/usr/bin/env bash
# gurobipy 13.0.3. LP text has 16 or 17 significant digits for coefficients of 1e-4 and more, and SIX for all
# smaller ones: 1/3000 is 3.3333333333333332e-04, a tenth of it 3.33333e-05. That is so for linear terms, for
# products and for the constant. A QUBO times 1e-6 is written with errors of 1e-6 of each coefficient, which is
# what lies between the best two solutions of a layer's rounding. MPS text of the same model has all digits.
# Guess before: one number of digits for all, 15 or more. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet gurobipy==13.0.3 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import gurobipy

environment = gurobipy.Env(params={"OutputFlag": 0})


def written(cost, kind):
    model = gurobipy.Model(env=environment)
    a, b = (model.addVar(vtype="B", name=name) for name in "ab")
    model.setObjective(cost * a + 2 * cost * a * b + 4 * cost)
    model.update()
    model.write(f"m.{kind}")
    back = gurobipy.read(f"m.{kind}", env=environment)
    terms = back.getObjective()
    linear = terms.getLinExpr() if isinstance(terms, gurobipy.QuadExpr) else terms
    parts = {linear.getVar(i).VarName: linear.getCoeff(i) for i in range(linear.size())}
    product = terms.getCoeff(0) if isinstance(terms, gurobipy.QuadExpr) else 0.0
    constant = parts.get("Constant", linear.getConstant())
    return [parts["a"] / cost - 1, product / (2 * cost) - 1, constant / (4 * cost) - 1]


print("gurobipy", ".".join(map(str, gurobipy.gurobi.version())))
error = {}
for cost in (1 / 3, 1e-3 / 3, 1e-5 / 3, 1e-7 / 3, 1e-10 / 3):
    for kind in ("lp", "mps"):
        error[kind, cost] = max(map(abs, written(cost, kind)))
    print(f"{cost:.4e}: relative error in LP {error['lp', cost]:.0e}, in MPS {error['mps', cost]:.0e}")
exact = all(value < 1e-14 for (kind, cost), value in error.items() if kind == "mps" or cost > 1e-4)
rough = all(value > 1e-8 for (kind, cost), value in error.items() if kind == "lp" and cost < 1e-5)
raise SystemExit(0 if exact and rough else 1)
PY
