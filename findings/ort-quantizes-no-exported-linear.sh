#!/usr/bin/env bash
# onnxruntime 1.31.1, MatMulNBitsQuantizer, on a network that torch 2.13.0 exported: two Linear layers are two Gemm,
# and of those the quantizer takes none. process() comes back without an error, the file is as large as before, and
# all weights are float. The same layers with an input of three axes are exported as MatMul and are quantized, at 4
# bits in either format; at 8 bits in the format QDQ they stay float again, with one line in a log. Two networks
# that differ in the example alone become one of 4 bits and one of 32.
# Guess before: what torch writes for a Linear is a product of weights and is quantized, or it is refused.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
packages="torch==2.13.0 onnx==1.22.0 onnxscript==0.7.2 onnxruntime==1.31.1"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 $packages || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import logging, warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
import onnx, torch
from onnxruntime.quantization import QuantFormat
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

net = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.ReLU(), torch.nn.Linear(96, 32)).eval()


def told(shape, bits, form):
    torch.onnx.export(net, (torch.zeros(shape),), "net.onnx", dynamo=True, external_data=False, verbose=False)
    model = onnx.load("net.onnx")
    before = [node.op_type for node in model.graph.node]
    size = len(model.SerializeToString())
    quantizer = MatMulNBitsQuantizer(model, bits=bits, block_size=32, is_symmetric=True, quant_format=form)
    quantizer.process()
    result = quantizer.model.model
    after = [node.op_type for node in result.graph.node]
    share = len(result.SerializeToString()) / size
    print(f"example {shape}, {bits} bits, {form.name}: {before} becomes {after}, {share:.2f} of the bytes")
    return before.count("Gemm"), before.count("MatMul"), share


flat = [told((2, 64), bits, QuantFormat.QOperator) for bits in (4, 8)]
deep = [told((2, 3, 64), 4, form) for form in (QuantFormat.QOperator, QuantFormat.QDQ)]
eight = [told((2, 3, 64), 8, form) for form in (QuantFormat.QOperator, QuantFormat.QDQ)]
held = all(one[:2] == (2, 0) and one[2] > 0.99 for one in flat)
held = held and all(one[:2] == (0, 2) and one[2] < 0.4 for one in (*deep, eight[0]))
raise SystemExit(0 if held and eight[1][2] > 0.99 else 1)
PY
