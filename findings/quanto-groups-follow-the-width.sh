#!/usr/bin/env bash
# optimum-quanto 0.2.7, torch 2.13.0: which groups qint4 and qint2 have is not asked for but follows from the number of
# inputs, and not in order. 128 inputs and fewer have no groups, one step a row; 256 have groups of 128; 288 have 96;
# 160 have 32; 144 or 200 again none, as neither 128, 96, 64 nor 32 divides them. So cutting a layer from 160 inputs to
# 144 takes its groups away, five steps a row become one, and two networks "at 4 bits" are quantized by two rules. A
# depthwise convolution has one step a channel at any width. No message.
# Guess before: groups of 128, and an error or a shorter last group where 128 does not divide. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 torch==2.13.0 optimum-quanto==0.2.7 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import warnings

warnings.filterwarnings("ignore")
import torch
from optimum.quanto import freeze, qint2, qint4, quantize

ROWS = 32


def steps(layer, qtype):
    """Steps a row of the layer's weights, as they are stored."""
    net = torch.nn.Sequential(layer)
    quantize(net, weights=qtype)
    freeze(net)
    return net[0].weight._scale.numel() // ROWS


seen = {}
for inputs in (64, 128, 144, 160, 200, 256, 288):
    seen[inputs] = [steps(torch.nn.Linear(inputs, ROWS, bias=False), qtype) for qtype in (qint4, qint2)]
    groups = [f"groups of {inputs // n}" if n > 1 else "whole rows" for n in seen[inputs]]
    print(f"{inputs} inputs: {seen[inputs][0]} steps a row in qint4 ({groups[0]}), {seen[inputs][1]} in qint2")
depthwise = [steps(torch.nn.Conv2d(ROWS, ROWS, 13, groups=ROWS), qtype) for qtype in (qint4, qint2)]
print("depthwise 13 x 13:", depthwise)
expected = {64: 1, 128: 1, 144: 1, 160: 5, 200: 1, 256: 2, 288: 3}
held = {inputs: [n, n] for inputs, n in expected.items()} == seen
raise SystemExit(0 if held and depthwise == [1, 1] else 1)
PY
