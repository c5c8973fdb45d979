#!/usr/bin/env bash
# cvxpy 1.9.3, highspy 1.16.0. Whether quad_form(x, Q) is convex is judged with an ABSOLUTE tolerance. The relaxation
# of the QUBO x0 x1 - 0.1 x0 - 0.2 x1 to [0, 1] is refused, as it should be, and so is the same times 1e-6; times 1e-9
# it is DCP. HiGHS then calls (1, 1) optimal, which is the largest value of all four corners, and OSQP (0, 0): neither
# is the minimum, and neither value is the lower bound that a convex relaxation promises. Squared errors of a layer are
# often so small.
# Guess before: a matrix whose least eigenvalue is minus its largest is refused at any scale. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the packages cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet cvxpy==1.9.3 highspy==1.16.0 osqp==1.1.3 numpy==2.4.6 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import cvxpy as cp
import numpy as np

Q = np.array([[0, 0.5], [0.5, 0]])
b = np.array([-0.1, -0.2])
corners = [x @ Q @ x + b @ x for x in np.array([[0, 0], [0, 1], [1, 0], [1, 1]])]
print("values of the corners:", *np.round(corners, 3), "- eigenvalues:", *np.linalg.eigvalsh(Q))
convex, values = {}, {}
for scale in (1.0, 1e-6, 1e-9, 1e-12):
    x = cp.Variable(2)
    problem = cp.Problem(cp.Minimize(cp.quad_form(x, scale * Q) + scale * b @ x), [x >= 0, x <= 1])
    convex[scale] = problem.is_dcp()
    print(f"times {scale:g}: DCP {convex[scale]}")
    for solver in ("HIGHS", "OSQP") if convex[scale] else ():
        problem.solve(solver=solver)
        values[scale, solver] = problem.status, problem.value / scale
        print(f"  {solver}: {problem.status}, {problem.value / scale:.3f} at", *x.value)
held = list(convex.values()) == [False, False, True, True]
above = all(status == "optimal" and value > min(corners) + 0.1 for status, value in values.values())
raise SystemExit(0 if held and above else 1)
PY
