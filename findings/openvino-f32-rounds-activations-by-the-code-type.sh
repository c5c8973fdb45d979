#!/usr/bin/env bash
# openvino 2026.4.1, CPU, INFERENCE_PRECISION_HINT f32, on a weight-only ONNX file: integer codes,
# DequantizeLinear in blocks of 32, Gemm with float activations. Whether the ACTIVATIONS are rounded to eight
# bits depends on the type and on the zero points: UINT4 and UINT8 with zero points, and INT4 with none, are
# computed so (6e-3 of error); INT4 and INT8 with zero points stay exact to 1e-6, though they are the same
# weights less 8 or 128, and so does INT4 with one step a row. What switches it off is
# DYNAMIC_QUANTIZATION_GROUP_SIZE 0; the precision hint does not.
# Guess before: f32 means float products, and signed or unsigned codes of the same weight compute the same.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the CPU has no eight-bit dot products (then none
# rounds).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 onnx==1.22.0 openvino==2026.4.1 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np, onnx, openvino as ov
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(0)
N, K, M, B = 64, 128, 8, 32
x = rng.standard_normal((M, K)).astype(np.float32)
core = ov.Core()


def error(kind, low, high, zeros, block, options):
    shape = (N, K // B) if block else (N,)
    codes, step = rng.integers(low, high + 1, (N, K)), rng.uniform(0.01, 0.02, shape).astype(np.float32)
    zero = rng.integers(low, high + 1, shape) if zeros else np.zeros(shape, int)
    wide = lambda one: np.repeat(one, B, 1) if block else one[:, None]
    truth = x.astype(np.float64) @ ((codes - wide(zero)).astype(np.float32) * wide(step)).astype(np.float64).T
    initializers = [h.make_tensor("c", kind, (N, K), codes.ravel().tolist()), nh.from_array(step, "s")]
    if zeros:
        initializers.append(h.make_tensor("z", kind, shape, zero.ravel().tolist()))
    inputs, where = (
        ["c", "s", "z"][: len(initializers)],
        {"axis": 1, "block_size": B} if block else {"axis": 0},
    )
    nodes = [
        h.make_node("DequantizeLinear", inputs, ["w"], **where),
        h.make_node("Gemm", ["x", "w"], ["y"], transB=1),
    ]
    value = lambda name, shape: h.make_tensor_value_info(name, T.FLOAT, shape)
    graph = h.make_graph(nodes, "g", [value("x", x.shape)], [value("y", truth.shape)], initializers)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    net = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    return float(abs(net({"x": x})[0] - truth).max() / abs(truth).max())


cases = {
    "INT4 blocks, zero points": (T.INT4, -8, 7, True, True),
    "INT8 blocks, zero points": (T.INT8, -128, 127, True, True),
    "INT4 rows, zero points": (T.INT4, -8, 7, True, False),
    "UINT4 blocks, zero points": (T.UINT4, 0, 15, True, True),
    "UINT8 blocks, zero points": (T.UINT8, 0, 255, True, True),
    "INT4 blocks, no zero points": (T.INT4, -8, 7, False, True),
}
f32 = {"INFERENCE_PRECISION_HINT": "f32"}
print("openvino", ov.__version__)
found = {}
for name, case in cases.items():
    found[name] = error(*case, f32), error(*case, f32 | {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})
    print("{:28} f32: error {:.1e}; with group size 0: {:.1e}".format(name, *found[name]))
flags = open("/proc/cpuinfo").read()
if all(one < 1e-5 for one, _ in found.values()) and not any(f in flags for f in ("vnni", "amx_int8")):
    raise SystemExit(2)
exact, rough = list(found.values())[:3], list(found.values())[3:]
holds = all(one < 1e-5 for one, _ in exact) and all(one > 1e-3 for one, _ in rough)
raise SystemExit(0 if holds and all(off < 1e-5 for _, off in found.values()) else 1)
PY
