#!/usr/bin/env bash
# ioh 0.4.2. logger.Analyzer, whose folders IOHanalyzer reads, logs no improvement of 1e-10 or less, and ten DECIMALS
# of every value. A run that goes from 1e-9 by halves to 1e-13 has, to its files, ended long before: the best value in
# the JSON, its bits and its evaluation are those of an earlier point, and the values in the table are 0.0000000000.
# problem.state has the true best all the while. The same run times 1e6 is logged in full. Losses of rounded layers
# are often so small.
# Guess before: each improvement is logged, with the digits of a double. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet ioh==0.4.2 || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import json
from pathlib import Path

import ioh

n = 14


def logged(name, scale):
    """Improvements that the table has, evaluation and value of the JSON's best, and the true best."""
    problem = ioh.wrap_problem(
        lambda bits: scale * 1e-9 * 0.5 ** list(bits).index(1),
        name=name,
        problem_class=ioh.ProblemClass.INTEGER,
        dimension=n,
        lb=0,
        ub=1,
        optimization_type=ioh.OptimizationType.MIN,
    )
    logger = ioh.logger.Analyzer(root=".", folder_name=name, algorithm_name="halves")
    problem.attach_logger(logger)
    for i in range(n):
        problem([int(i == j) for j in range(n)])
    true = problem.state.current_best.y
    problem.reset()
    logger.close()
    (table,) = Path(name).rglob("*.dat")
    (summary,) = Path(name).glob("*.json")
    best = json.loads(summary.read_text())["scenarios"][0]["runs"][0]["best"]
    lines = table.read_text().splitlines()[1:]
    print(f"times {scale:g}: {len(lines)} of {n} improvements; table ends {lines[-1]!r}")
    print(f"  best of the JSON: {best['y']:g} at evaluation {best['evals']}; of problem.state: {true:g}")
    return lines, best, true


lines, best, true = logged("small", 1.0)
full, last, _ = logged("large", 1e6)
held = len(lines) < n - 5 and best["evals"] < n - 5 and best["y"] > 100 * true
raise SystemExit(0 if held and len(full) == n and last["evals"] == n else 1)
PY
