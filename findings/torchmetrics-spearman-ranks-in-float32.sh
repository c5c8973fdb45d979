#!/usr/bin/env bash
# torchmetrics 1.9.0, torch 2.13.0, scipy 1.17.1. Spearman's rank correlation of float64 tensors: the class
# SpearmanCorrCoef puts them into float32 before it ranks them, the function spearman_corrcoef of the same
# package does not. Losses that differ in the ninth digit, as the energies of near-optimal solutions with a
# common offset do, become ties, and a perfect correlation of 1 is reported as 0.96 (steps of 1e-3 on 1e6) or
# 0 (on 1e7); the function and scipy say 1. Only the order matters here, so no offset should.
# set_dtype(torch.float64) is needed; metric.double() does nothing, as documented.
# Guess before: ranks of doubles are taken from doubles. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 torch==2.13.0 scipy==1.17.1 torchmetrics==1.9.0 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import warnings

warnings.filterwarnings("ignore")
import torch, torchmetrics
from scipy.stats import spearmanr
from torchmetrics.functional import spearman_corrcoef
from torchmetrics.regression import SpearmanCorrCoef

torch.manual_seed(0)
harm = torch.randperm(200).double()
print("torchmetrics", torchmetrics.__version__)
found = {}
for offset in (0.0, 1e6, 1e7, 1e8):
    loss = offset + 1e-3 * harm
    wide = SpearmanCorrCoef()
    wide.set_dtype(torch.float64)
    found[offset] = [f(loss, harm).item() for f in (SpearmanCorrCoef(), wide, spearman_corrcoef)]
    print(
        f"offset {offset:.0e}: class {found[offset][0]:.4f}, with set_dtype {found[offset][1]:.4f},"
        f" function {found[offset][2]:.4f}, scipy {spearmanr(loss, harm)[0]:.4f}"
    )
    assert spearmanr(loss, harm)[0] > 0.999999
holds = all(one > 0.9999 for one in found[0.0]) and not found[1e6][0] > 0.99 and not found[1e7][0] > 0.7
holds &= all(min(rest) > 0.9999 for _, *rest in found.values())
raise SystemExit(0 if holds else 1)
PY
