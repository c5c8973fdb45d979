#!/usr/bin/env bash
# torch 2.13.0, torch.nn.utils.fusion.fuse_conv_bn_eval and torch.ao.quantization.fuse_modules. A
# ConvTranspose2d and the BatchNorm2d behind it: fused without the argument transpose the function takes the
# rows of the weight for output channels. With as many inputs as outputs nothing complains and the fused layer
# is another function (off by a tenth of the largest output or more). With transpose=True a layer of one group
# is right, one of two groups is refused while fusing, and a depthwise one, of which the default makes the
# right layer, gets a weight of shape (4, 4, 3, 3) for (4, 1, 3, 3) and is refused when called. fuse_modules,
# which sets the argument, does the same.
# Guess before: the function looks at the class of the layer, or refuses; depthwise works either way. Outcome:
# missed.
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
from torch.nn.utils.fusion import fuse_conv_bn_eval

torch.manual_seed(0)
x = torch.randn(1, 4, 5, 5)


def layers(groups):
    conv, norm = nn.ConvTranspose2d(4, 4, 3, groups=groups), nn.BatchNorm2d(4)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 4)
    return conv.eval(), norm.eval()


def outcome(conv, norm, fuse):
    with torch.no_grad():
        y = norm(conv(x))
        try:
            fused = fuse(conv, norm)
        except RuntimeError:
            return "refused while fusing"
        try:
            return ((fused(x) - y).abs().max() / y.abs().max()).item()
        except RuntimeError:
            return "refused when called"


ways = {
    "default": fuse_conv_bn_eval,
    "transpose=True": lambda conv, norm: fuse_conv_bn_eval(conv, norm, transpose=True),
    "fuse_modules": lambda conv, norm: torch.ao.quantization.fuse_modules(
        nn.Sequential(conv, norm), ["0", "1"]
    ),
}
print("torch", torch.__version__)
found = {}
for groups in (1, 2, 4):
    for way, fuse in ways.items():
        found[groups, way] = one = outcome(*layers(groups), fuse)
        print(
            f"groups {groups}, {way:15}",
            one if isinstance(one, str) else f"off by {one:.1e} of the largest output",
        )
number = lambda key: found[key] if isinstance(found[key], float) else float("nan")
holds = number((1, "default")) > 0.05 and number((2, "default")) > 0.05 and number((4, "default")) < 1e-5
holds &= number((1, "transpose=True")) < 1e-5 and found[2, "transpose=True"] == "refused while fusing"
holds &= found[4, "transpose=True"] == found[4, "fuse_modules"] == "refused when called"
raise SystemExit(0 if holds else 1)
PY
