#!/usr/bin/env bash
# mlx 0.32.4 on a Linux CPU, mx.quantize, affine. (1) No step is less than 1e-7: a group of weights near 1e-7 loses
# 29 % of its norm at 4 bits, one near 1e-9 becomes all zeros, the same weights times 1e6 lose 9 %. (2) The grid hangs
# on the group's extreme of larger magnitude, so that 0 is a code, and the step may be negative. Where both extremes are
# as large, codes -7 .. 7 of a rounded layer, the other end is cut off: 7 of 8 of a step at 4 bits and almost all of
# one at 6, where no rounding to 15 steps between the extremes could be off by more than half. At 8 bits alone both
# fit. A layer of codes -8 .. 7 is kept.
# Guess before: step (max - min) / 15 and bias min at any scale, so that no weight moves by more than half a step.
# Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 mlx==0.32.4 mlx-cpu==0.32.4 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import mlx.core as mx, numpy as np

rng = np.random.default_rng(0)
normal = rng.standard_normal((64, 128))


def again(weight, bits):
    """The weights after a round trip, and the least step."""
    codes, step, bias = mx.quantize(mx.array(weight.astype(np.float32)), group_size=32, bits=bits)
    back = mx.dequantize(codes, step, bias, group_size=32, bits=bits)
    return np.array(back, np.float64), float(np.array(step).min())


def lost(size):
    back, _ = again(size * normal, 4)
    share = np.linalg.norm(back / size - normal) / np.linalg.norm(normal)
    print(f"weights near {size:.0e}: {share:.3f} of the norm is lost")
    return share


def moved(bits, least):
    """How far the farthest weight of a layer of whole numbers goes, in its own steps."""
    most = 2 ** (bits - 1) - 1
    codes = rng.integers(least, most + 1, (64, 128))
    codes[:, ::32], codes[:, 1::32] = least, most
    back, step = again(0.01 * codes, bits)
    far = float(abs(back / 0.01 - codes).max())
    print(f"{bits} bits, codes {least} .. {most}: off by {far:.3f} of a step, least step {step:.2g}")
    return far


print("mlx", mx.__version__)
shares = [lost(size) for size in (1e-3, 1e-7, 1e-9)]
symmetric = [moved(bits, 1 - 2 ** (bits - 1)) for bits in (4, 6, 8)]
whole = [moved(bits, -(2 ** (bits - 1))) for bits in (4, 6, 8)]
held = shares[0] < 0.1 < 0.25 < shares[1] and shares[2] == 1.0 and max(whole) < 1e-3
raise SystemExit(0 if held and 0.8 < symmetric[0] < 0.9 < symmetric[1] < 1 and symmetric[2] < 1e-3 else 1)
PY
