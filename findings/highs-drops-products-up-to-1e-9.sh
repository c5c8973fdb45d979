#!/usr/bin/env bash
# highspy 1.16.0. A model's products of at most 1e-9 are dropped when it is read or passed: an entry of the Hessian
# that is no greater than 1e-9 is "ignored", readModel returns kWarning, and the linear costs of the same size all
# stay. A QUBO whose coefficients are squared errors of a layer, or any QUBO times 1e-10, becomes a linear problem,
# and what HiGHS then writes as LP or MPS has no product in it. Such a model is no longer refused as a
# quadratic one over binaries either: it is solved, with status kOptimal, and the point is another.
# Guess before: coefficients of the objective are kept at any size (the matrix alone has small_matrix_value), as
# costs are. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet highspy==1.16.0 numpy==2.4.6 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import highspy

TEXT = """Minimize
obj: {c} a - {t} b + {d} c + [ {q} a * b - {w} b * c ] / 2
Subject To
Bounds
Binaries
a
b
c
End
"""


def energy(a, b, c):
    return a - 3 * b + 2 * c + 2 * a * b - 5 * b * c


def told(scale):
    values = dict(c=scale, t=3 * scale, d=2 * scale, q=4 * scale, w=10 * scale)
    open("q.lp", "w").write(TEXT.format(**values))
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    read = highs.readModel("q.lp")
    costs, products = highs.getLp().col_cost_, [v for v in highs.getModel().hessian_.value_ if v]
    ran = highs.run()
    found = [round(v) for v in highs.getSolution().col_value] if ran != highspy.HighsStatus.kError else None
    highs.writeModel("w.mps")
    print(f"scale {scale:.0e}: {read.name}, {len([v for v in costs if v])} costs, {len(products)} products,",
          f"{ran.name} {highs.getModelStatus().name}", f"{found}: {energy(*found)}, best -6" if found else "")
    return len(products), "QUADOBJ" in open("w.mps").read(), found and energy(*found)


whole, small = told(1.0), told(1e-10)
print("highspy", highspy.Highs().version())
raise SystemExit(0 if whole == (2, True, None) and small[:2] == (0, False) and small[2] > -6 else 1)
PY
