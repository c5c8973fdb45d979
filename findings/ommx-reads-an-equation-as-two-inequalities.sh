#!/usr/bin/env bash
# ommx 2.9.3. (1) An equation of a QPLIB file, x1 + x2 + x3 + x4 = 2, is read as TWO inequalities, <= and >=, with
# the equation nowhere kept. to_qubo gives each its own slack bits: 4 bits become 8 or more, where the same equation
# given in Python stays at 4. (2) The penalty of to_qubo is 1.0 whatever the coefficients are. With costs of 100 the
# ground state of the QUBO takes all four variables, so that every exact solver of it breaks the equation; with costs
# of 1e-6 the penalty is a million times the objective.
# Guess before: an equation stays one, and the penalty follows the objective's size, as in dimod's cqm_to_bqm.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet ommx==2.9.3 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import itertools

import ommx.qplib

QPLIB = """equation
LBL
minimize
4 # variables
1 # constraints
0.0 # default linear term
4 # others
1 {a}
2 {b}
3 {c}
4 {d}
0.0 # constant
4 # linear terms in constraints
1 1 1.0
1 2 1.0
1 3 1.0
1 4 1.0
1e+300 # infinity
2.0 # left side
0
2.0 # right side
0
0.0
0
0.0
0
0.0
0
0
0
"""


def told(scale):
    """Constraints, bits of the QUBO, and how many of the four variables its ground states take."""
    costs = dict(zip("abcd", (-scale, -2 * scale, -3 * scale, -4 * scale)))
    open("e.qplib", "w").write(QPLIB.format(**costs))
    instance = ommx.qplib.load_file("e.qplib")
    constraints = list(instance.constraints)
    Q, offset = instance.to_qubo()
    names = sorted({name for pair in Q for name in pair})
    points = [dict(zip(names, bits)) for bits in itertools.product((0, 1), repeat=len(names))]
    energy = lambda x: sum(v * x[i] * x[j] for (i, j), v in Q.items())
    least = min(map(energy, points))
    taken = {sum(x[i] for i in names[:4]) for x in points if energy(x) <= least + 1e-9 * scale}
    print(f"costs of {scale:g}: constraints {constraints}, {len(names)} bits, ground states take {taken}")
    return len(constraints), len(names), taken


small, large = told(0.1), told(100.0)
held = small[0] == large[0] == 2 and small[1] > 4 and small[2] == {2} and large[2] == {4}
raise SystemExit(0 if held else 1)
PY
