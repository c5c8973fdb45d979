#!/usr/bin/env bash
# dwave-optimization 0.8.0. set_state of binary and integer variables cuts what stands behind the point, with no
# error: 0.9999999, which is what MIP solvers and relaxations call a 1, becomes 0, and 1.9999 becomes 1; an integer of
# 2.9999999 becomes 2. A 2, a -1 and an 11 of at most 10 are refused as invalid data, 1.9999, -0.5 and 10.9 are not. A
# start handed over from another solver is then another point, here one of value 0 in place of -10.
# Guess before: an error for what is no whole number, or the nearest one. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet dwave-optimization==0.8.0 numpy==2.4.6 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
from dwave.optimization import Model

model = Model()
x = model.binary(4)
k = model.integer(2, lower_bound=0, upper_bound=10)
model.minimize(-(model.constant([1, 2, 3, 4]) * x).sum())
model.lock()
model.states.resize(1)


def becomes(variable, value):
    try:
        variable.set_state(0, value)
    except ValueError as error:
        print(value, "is refused:", error)
        return None
    print(value, "becomes", variable.state(0), end="")
    print(", objective", model.objective.state(0) if variable is x else "-")
    return variable.state(0).tolist()


ones = becomes(x, [1, 1, 1, 1])
almost = becomes(x, [0.9999999] * 4)
beyond = becomes(x, [1.9999, -0.5, 0, 0])
whole = becomes(k, [2.9999999, 10.9])
refused = [becomes(x, [2, 0, 0, 0]), becomes(x, [-1, 0, 0, 0]), becomes(k, [11, 0])]
held = ones == [1] * 4 and almost == [0] * 4 and beyond == [1, 0, 0, 0] and whole == [2, 10]
raise SystemExit(0 if held and refused == [None] * 3 else 1)
PY
