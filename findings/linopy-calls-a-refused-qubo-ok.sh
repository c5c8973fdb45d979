#!/usr/bin/env bash
# linopy 0.10.1 with highspy 1.16.0: HiGHS does not take a quadratic objective over binaries and says so in its log.
# linopy's solve() returns ("ok", "unknown") for such a model, an objective of 0.0 and a solution of zeros for every
# variable, which is no point that HiGHS has found: in the model here it is the worst but one. The first word is
# what the package documents to test; SCIP through the same call gives the minimum.
# Guess before: an exception, or a status that is not ok and no solution, as for an infeasible model.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
packages="linopy==0.10.1 highspy==1.16.0 pyscipopt==6.3.0"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 $packages || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools, warnings

warnings.filterwarnings("ignore")
import linopy


QUIET = {"highs": {"output_flag": False}, "scip": {"display/verblevel": 0}}


def energy(a, b, c):
    return 2 * a * b - 3 * a - b - 2 * b * c + c


def told(solver):
    model = linopy.Model()
    a, b, c = (model.add_variables(binary=True, name=name) for name in "abc")
    model.add_objective(energy(a, b, c))
    status = model.solve(solver, **QUIET[solver])
    x = [float(model.solution[name]) for name in "abc"]
    print(f"{solver}: {status}, objective {model.objective.value}, x {x}, which costs {energy(*x)}")
    return status, model.objective.value, x


energies = sorted(energy(*x) for x in itertools.product((0, 1), repeat=3))
highs, scip = told("highs"), told("scip")
print("energies of all points:", energies)
held = highs == (("ok", "unknown"), 0.0, [0.0, 0.0, 0.0]) and scip[0] == ("ok", "optimal")
raise SystemExit(0 if held and abs(scip[1] - energies[0]) < 1e-6 and energies[0] < 0 else 1)
PY
