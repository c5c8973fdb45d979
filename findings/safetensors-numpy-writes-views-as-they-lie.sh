#!/usr/bin/env bash
# safetensors 0.8.0 and 0.7.0, numpy 2.4.6. safetensors.numpy.save and save_file of an array that is a view:
# 0.7 (and those before it) writes its values in its own order, 0.8 writes the bytes as they lie in memory
# beside the view's shape. So a transpose, a reversed row, every second column, a Fortran-ordered matrix come
# back with other numbers, no error and no warning; the same script gave right files a release earlier, and
# 0.7 reads 0.8's files wrong too, as it is the file that is. The documentation asks for contiguous arrays;
# the torch half of the package refuses others, this one does not look. A weight's transpose is the commonest
# view there is: np.ascontiguousarray first.
# Guess before: what is not contiguous is copied, as until 0.7, or refused, as in torch. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >try.py <<'PY'
import sys
import numpy as np, safetensors
from safetensors.numpy import load_file, save_file

a = np.arange(12.0).reshape(3, 4)
views = {"transpose": a.T, "fortran": np.asfortranarray(a), "columns": a[:, ::2].copy()[:, ::-1], "plain": a}
if sys.argv[1] == "write":
    save_file(views, "views.safetensors")
back = load_file("views.safetensors")
right = [name for name, view in views.items() if np.array_equal(back[name], view)]
print(f"safetensors {safetensors.__version__} {sys.argv[1]}s: right {', '.join(right)}")
raise SystemExit({4: 0, 1: 3}.get(len(right), 1))
PY
for version in 0.7.0 0.8.0; do
  python3 -m venv "venv-$version" || exit 2
  "venv-$version/bin/pip" install --quiet numpy==2.4.6 "safetensors==$version" || exit 2
done
venv-0.7.0/bin/python try.py write || exit 1
code=0; venv-0.8.0/bin/python try.py write || code=$?
[ "$code" = 3 ] || exit 1
code=0; venv-0.7.0/bin/python try.py read || code=$?
[ "$code" = 3 ] || exit 1
