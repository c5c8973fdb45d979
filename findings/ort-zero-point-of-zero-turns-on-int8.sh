#!/usr/bin/env bash
# onnxruntime 1.31.1, CPU, default session options. A weight (N, K) behind DequantizeLinear, Transpose,
# MatMul. INT4 without the third input of DequantizeLinear: a float product, exact to 1e-6. The same codes
# with that input given and all 0, which is what leaving it out means: one MatMulNBits of accuracy level 4,
# which rounds the ACTIVATIONS to int8: 6e-3 of error. INT8 is fused either way. The optimizer swaps Transpose
# with a DequantizeLinear of three inputs (or of whole bytes), so the weight lies as (K, N) after all, and
# fuses that; a 4-bit one without zero points it leaves. Gemm with transB = 1, with no Transpose, is exact in
# every case.
# Guess before: a weight that lies as (N, K) stays float, and a zero point of 0 changes nothing. Outcome:
# missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet onnx==1.22.0 onnxruntime==1.31.1 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(0)
N, K, M = 64, 128, 24
codes, step = rng.integers(-8, 8, (N, K)), rng.uniform(0.005, 0.015, N).astype(np.float32)
x = rng.standard_normal((M, K)).astype(np.float32)
truth = x.astype(np.float64) @ (step[:, None] * codes.astype(np.float32)).astype(np.float64).T


def error(kind, zero, gemm):
    initializers = [h.make_tensor("c", kind, (N, K), codes.ravel().tolist()), nh.from_array(step, "s")]
    inputs = ["c", "s"]
    if zero:
        initializers.append(h.make_tensor("z", kind, (N,), [0] * N))
        inputs.append("z")
    nodes = [h.make_node("DequantizeLinear", inputs, ["w"], axis=0)]
    if gemm:
        nodes.append(h.make_node("Gemm", ["x", "w"], ["y"], transB=1))
    else:
        nodes.append(h.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]))
        nodes.append(h.make_node("MatMul", ["x", "wt"], ["y"]))
    value = lambda name, shape: h.make_tensor_value_info(name, T.FLOAT, shape)
    graph = h.make_graph(nodes, "g", [value("x", x.shape)], [value("y", truth.shape)], initializers)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 3, "optimized.onnx"
    y = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]
    kinds = [node.op_type for node in onnx.load("optimized.onnx").graph.node]
    return float(abs(y - truth).max() / abs(truth).max()), " ".join(kinds)


print("onnxruntime", ort.__version__)
found = {}
for name, kind in (("INT4", T.INT4), ("INT8", T.INT8)):
    for zero in (False, True):
        for gemm in (False, True):
            worst, kinds = found[name, zero, gemm] = error(kind, zero, gemm)
            given = "zero point 0" if zero else "none"
            print(
                f"{name} {given:12} {'Gemm' if gemm else 'Transpose, MatMul':17} error {worst:.1e}  {kinds}"
            )
exact = [found["INT4", False, False], *(one for (_, _, gemm), one in found.items() if gemm)]
rough = [found["INT4", True, False], found["INT8", False, False], found["INT8", True, False]]
holds = all(worst < 1e-5 for worst, _ in exact) and all(
    worst > 1e-3 and "MatMulNBits" in kinds for worst, kinds in rough
)
raise SystemExit(0 if holds else 1)
PY
