#!/usr/bin/env bash
# pyscipopt 6.3.0 (SCIP writes OPB, the text of pseudo-Boolean solvers, whose coefficients are integers). For an
# objective of fractions a common factor is sought: 0.5, -0.25 is 500, -250 with a note of the scale, and doubles
# of normal size become integers of 17 digits. Where the factor needed is too large, as it is for doubles near
# 1e-4 or for 1/3 beside 1e-3/3, EVERY coefficient is written as +0, with "Obj. scale : inf" in a comment,
# the constant is 0 too, and writeProblem says nothing. Any point is then optimal: SCIP itself reads the file
# back with optimum 0. LP and MPS of the same model are right.
# Guess before: rounded to some digits, or refused with a line that asks for integers. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet pyscipopt==6.3.0 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import pyscipopt


def optima(costs):
    """The optimum of the model, and of what is read back from its OPB text."""
    model = pyscipopt.Model()
    model.hideOutput()
    x = [model.addVar(f"x{i}", vtype="B") for i in range(len(costs))]
    model.setObjective(pyscipopt.quicksum(c * v for c, v in zip(costs, x)))
    model.addCons(pyscipopt.quicksum(x) >= 2)
    model.writeProblem("m.opb", verbose=False)
    text = open("m.opb").read().splitlines()
    print([line for line in text if line.startswith("min") or "scale" in line])
    back = pyscipopt.Model()
    back.hideOutput()
    back.readProblem("m.opb")
    model.optimize()
    back.optimize()
    print(f"  optimum {model.getObjVal():.6g}, of the file {back.getObjVal():.6g}")
    return model.getObjVal(), back.getObjVal()


normal = (0.12573022109339330, -0.13210486329130188, 0.64042265044328208)
print("SCIP", pyscipopt.Model().version(), "pyscipopt", pyscipopt.__version__)
right = optima((0.5, -0.25, 0.125)), optima(normal)
zeros = optima([1e-4 * c for c in normal]), optima((-1 / 3, -1e-3 / 3, -1e-6 / 3))
held = all(abs(a - b) < 1e-9 for a, b in right) and all(b == 0 > a for a, b in zeros)
raise SystemExit(0 if held else 1)
PY
