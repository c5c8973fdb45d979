#!/usr/bin/env bash
# ctranslate2 4.8.5. Its quantization int16 has ONE step for a whole matrix, of a 1024th of the largest weight; int8 has
# a step for each row, of a 127th of the row's largest. A row whose largest weight is less than an eighth of the
# matrix's is therefore coarser with sixteen bits than with eight: at a 64th it has 33 codes, between -16 and 16, and
# eight times the error. Rows of such different sizes are what folded BatchNorms and pruned networks have.
# Guess before: int16 is never coarser than int8; 65,535 codes, or a step a row as in int8. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet ctranslate2==4.8.5 numpy==2.4.6 setuptools || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
from ctranslate2.specs import common_spec

rows, columns = 7, 512
rng = np.random.default_rng(0)
weight = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
weight[:, 0] = 1
weight *= 2.0 ** -np.arange(rows, dtype=np.float32)[:, None]
errors, codes, steps = {}, {}, {}
for kind in ("int8", "int16"):
    layer = common_spec.LinearSpec()
    layer.weight, layer.bias = weight.copy(), np.zeros(rows, np.float32)
    layer.validate()
    layer.optimize(quantization=kind)
    codes[kind], scale = layer.weight.numpy(), layer.weight_scale.numpy()
    steps[kind] = scale.size
    back = codes[kind] / scale.reshape(-1, 1)
    errors[kind] = np.linalg.norm(back - weight, axis=1) / np.linalg.norm(weight, axis=1)
    print(f"{kind}: {steps[kind]} steps for {rows} rows, codes of up to {abs(codes[kind]).max()}")
for row in range(rows):
    told = [f"{kind} {errors[kind][row]:.1e} with {len(np.unique(codes[kind][row]))} codes" for kind in errors]
    print(f"largest weight 1/{2**row}: relative error of", *told)
coarser = errors["int16"] > errors["int8"]
held = steps == {"int8": rows, "int16": 1} and abs(codes["int16"]).max() == 1024
worse = errors["int16"][6] / errors["int8"][6]
raise SystemExit(0 if held and coarser.tolist() == [False] * 3 + [bool(coarser[3])] + [True] * 3 and worse > 5 else 1)
PY
