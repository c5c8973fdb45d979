#!/usr/bin/env bash
# dimod 0.12.23, SampleSet.lowest(). It is to give the samples of the lowest energy, and compares them with
# numpy's tolerances, of which the absolute one is 1e-8. Squared errors of a layer are of that size: on a QUBO
# with coefficients near 1e-9 all 64 points of 6 bits are "the lowest", the worst of them included; at scale 1
# it is one. A success rate computed as len(lowest()) / reads is 100 % there. lowest(atol=0) is free of it.
# Guess before: the number of ground states does not depend on the unit. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 dimod==0.12.23 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import dimod, numpy as np

rng = np.random.default_rng(0)
n = 6
matrix = np.triu(rng.standard_normal((n, n)))


def counts(scale):
    qubo = {(i, j): scale * matrix[i, j] for i in range(n) for j in range(i, n)}
    samples = dimod.ExactSolver().sample_qubo(qubo)
    spread = np.ptp(samples.record.energy) / abs(samples.first.energy)
    return len(samples.lowest()), len(samples.lowest(atol=0)), len(samples), spread


print("dimod", dimod.__version__)
found = {scale: counts(scale) for scale in (1.0, 1e-6, 1e-9)}
for scale, (lowest, strict, all_, spread) in found.items():
    print(f"scale {scale:.0e}: {lowest} of {all_}, with atol=0 {strict}; energies span {spread:.1f} minima")
holds = found[1.0][:2] == (1, 1) and found[1e-9][:2] == (64, 1)
raise SystemExit(0 if holds else 1)
PY
