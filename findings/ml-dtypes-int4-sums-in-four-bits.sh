#!/usr/bin/env bash
# ml_dtypes 0.6.0 with numpy 2.4.6 and onnx 1.22.0. What onnx.numpy_helper.to_array gives for an INT4 tensor
# is an array of ml_dtypes' int4, and its SUM is an int4: eight codes of 7 add up to -8, their mean is -1,
# their dot product with themselves -120 (which no int4 holds) and a cumulative sum walks round the circle.
# numpy adds its own small integers in 64 bits (eight int8 of 7 are 56). max, comparison and products with
# floats are right, which hides it; no warning of overflow comes. The mean of codes, the row sums that a zero
# point's correction needs, a histogram's weights: astype first.
# Guess before: int4 behaves as int8, reductions included. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 ml-dtypes==0.6.0 onnx==1.22.0 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import ml_dtypes, numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

codes = nh.to_array(h.make_tensor("codes", T.INT4, (8,), [7] * 8))
plain = codes.astype(np.int8)
print("ml_dtypes", ml_dtypes.__version__, "onnx", onnx.__version__, "dtype", codes.dtype)
found = {}
for name, of in {"sum": np.sum, "mean": np.mean, "max": np.max, "cumsum": np.cumsum}.items():
    found[name] = of(codes)
    print(f"{name:7} int4 {found[name]}   int8 {of(plain)}")
print(f"dot     int4 {codes @ codes}   in int64 {codes.astype(np.int64) @ codes.astype(np.int64)}")
holds = (
    int(found["sum"]) == -8 and float(found["mean"]) == -1.0 and int(found["max"]) == 7 and plain.sum() == 56
)
raise SystemExit(0 if holds and int(codes @ codes) != 392 else 1)
PY
