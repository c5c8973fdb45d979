#!/usr/bin/env bash
# torch 2.13.0, torch.fx.experimental.optimization.fuse. A convolution that is called twice, as networks with
# shared weights do: x -> conv -> bn1 -> conv -> bn2, or with no BatchNorm behind the second call. The pass
# looks at how often each CALL's result is used, not at how often the MODULE is called: it folds bn1 into the
# shared convolution, the second call computes with the folded weights too, and then bn2 is folded into them
# on top. Outputs are off by about half of the largest, or more, without a word. A BatchNorm that is shared by
# two convolutions is folded right.
# Guess before: what is called twice is left as it is. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 torch==2.13.0 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse


class Net(nn.Module):
    def __init__(self, order):
        super().__init__()
        self.order = order
        self.c, self.d = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.m, self.n = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        return x


def error(order):
    torch.manual_seed(0)
    net = Net(order).eval()
    for norm in (net.m, net.n):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 3, 6, 6)
    with torch.no_grad():
        y = net(x)
        return ((fuse(net)(x) - y).abs().max() / y.abs().max()).item()


print("torch", torch.__version__, "(c, d: convolutions; m, n: BatchNorms)")
found = {order: error(order) for order in ("cmdn", "cmdm", "cmcn", "cmc")}
for order, one in found.items():
    print(f"{' -> '.join(order):18} off by {one:.1e} of the largest output")
holds = max(found["cmdn"], found["cmdm"]) < 1e-5 and min(found["cmcn"], found["cmc"]) > 0.1
raise SystemExit(0 if holds else 1)
PY
