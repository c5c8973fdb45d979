"""A program as `command` starts one: descents from random points, in plain Python, with nothing of ours.

    python example.py INSTANCE SECONDS SEED SOLUTION

INSTANCE is MQLib's text: `n m`, then lines `i j q` from 1; xᵀQx is maximised, and a pair counts twice.
SOLUTION gets a 0 or 1 a line, and is replaced as a whole whenever there is a better one.
"""

from __future__ import annotations

import os
import random
import sys
import time

DESCENTS = 20


def main() -> None:
    """Read, descend, write; ends after 20 descents or SECONDS."""
    begun = time.monotonic()
    instance, seconds, seed, solution = sys.argv[1:]
    linear, couplings = read(instance)
    rng, best = random.Random(int(seed)), -float("inf")  # noqa: S311 - a search, no secret
    for _ in range(DESCENTS):
        x = [rng.randrange(2) for _ in linear]
        value = ascend(linear, couplings, x)
        if value > best:
            best = value
            write(solution, x)
        if time.monotonic() - begun > float(seconds):
            break


def read(path: str) -> tuple[list[float], list[dict[int, float]]]:
    """Diagonal, and by variable its neighbours with twice the entry."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    n = int(lines[0][0])
    linear, couplings = [0.0] * n, [dict[int, float]() for _ in range(n)]
    for i, j, value in ((int(a) - 1, int(b) - 1, float(q)) for a, b, q in lines[1:]):
        if i == j:
            linear[i] += value
        else:
            for one, other in ((i, j), (j, i)):
                couplings[one][other] = couplings[one].get(other, 0.0) + 2 * value
    return linear, couplings


def ascend(linear: list[float], couplings: list[dict[int, float]], x: list[int]) -> float:
    """Flip what helps most until nothing does; the value that x then has."""
    slope = [a + sum(q for j, q in row.items() if x[j]) for a, row in zip(linear, couplings, strict=True)]
    while True:
        gain, i = max((s if not x[i] else -s, i) for i, s in enumerate(slope))
        if gain <= 1e-12 * max(map(abs, slope)):
            return sum(x[i] * (a + slope[i]) / 2 for i, a in enumerate(linear))
        x[i] = 1 - x[i]
        for j, q in couplings[i].items():
            slope[j] += q if x[i] else -q


def write(path: str, x: list[int]) -> None:
    """A reader sees the old file or the whole new one."""
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write("".join(f"{value}\n" for value in x))
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    main()
