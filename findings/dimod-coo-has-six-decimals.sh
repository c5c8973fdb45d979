#!/usr/bin/env bash
# dimod 0.12.23. coo.dump writes every bias with SIX DECIMALS, not six digits: 1/3 is 0.333333, and a bias below
# 5e-7 is 0.000000 or -0.000000. The term stays in the text, so nothing looks missing; read back, a model whose
# biases are the squared errors of a layer (1e-7) has all energies 0, and one of normal size has another ground
# state where two energies are close. to_file and lp.dump of the same model keep every digit.
# Guess before: the digits of repr, or seventeen, as in dimod's other writers. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet dimod==0.12.23 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import dimod
from dimod.serialization import coo


def model(scale):
    return dimod.BinaryQuadraticModel({0: -scale, 1: -2 * scale, 2: scale / 3}, {(0, 1): 4 * scale}, "BINARY")


def ground(bqm):
    return tuple(dimod.ExactSolver().sample(bqm).first.sample[v] for v in range(3))


print("dimod", dimod.__version__)
flat = []
for scale in (1.0, 1e-3, 1e-7):
    bqm = model(scale)
    text = coo.dumps(bqm, vartype_header=True)
    back = coo.loads(text)
    with bqm.to_file() as file:
        kept = dimod.BinaryQuadraticModel.from_file(file)
    samples = dimod.ExactSolver().sample(bqm).record.sample
    energies = [back.energies((row, [0, 1, 2]))[0] for row in samples]
    flat.append(len(set(energies)) == 1)
    third = next(line for line in text.splitlines() if line.startswith("2 2"))
    print(f"scale {scale:7.0e}: {third!r}, energies after {len(set(energies))}, to_file equal {kept == bqm}")
exact = coo.loads(coo.dumps(model(1.0), vartype_header=True)).get_linear(2) == 1 / 3
raise SystemExit(0 if flat == [False, False, True] and not exact else 1)
PY
