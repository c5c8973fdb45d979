#!/usr/bin/env bash
# torch 2.13.0, torch.nn.utils.prune and torch.nn.utils.parametrize. Pruning a Linear and making it permanent
# with prune.remove leaves the parameters in another ORDER: bias first, then weight. So does registering and
# removing a parametrization. The names are as before, but all that goes by position is not:
# parameters_to_vector of the pruned network, put back with vector_to_parameters into a fresh copy of the same
# architecture, gives another function with no error, as both have equally many numbers; the state of an
# optimizer goes by position as well.
# Guess before: after remove the module is what it was but for the zeros. Outcome: missed.
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
from torch.nn.utils import parameters_to_vector, parametrize, prune, vector_to_parameters

torch.manual_seed(0)
names = lambda net: [name for name, _ in net.named_parameters()]
make = lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
plain, pruned, marked = make(), make(), make()
prune.l1_unstructured(pruned[0], "weight", 0.5)
prune.remove(pruned[0], "weight")
parametrize.register_parametrization(marked[0], "weight", nn.Identity())
parametrize.remove_parametrizations(marked[0], "weight")
print("torch", torch.__version__)
print("plain:                ", names(plain))
print("pruned, removed:      ", names(pruned))
print("parametrized, removed:", names(marked))
x = torch.randn(8, 4)
with torch.no_grad():
    vector_to_parameters(parameters_to_vector(pruned.parameters()), plain.parameters())
    by_vector = (plain(x) - pruned(x)).abs().max().item()
    plain.load_state_dict(pruned.state_dict())
    by_name = (plain(x) - pruned(x)).abs().max().item()
print(f"into a fresh copy, as a vector: off by {by_vector:.2f}; by name: {by_name:.0e}")
moved = ["0.bias", "0.weight", "2.weight", "2.bias"]
holds = (
    names(make()) == ["0.weight", "0.bias", "2.weight", "2.bias"] and names(pruned) == names(marked) == moved
)
raise SystemExit(0 if holds and by_vector > 0.1 and by_name < 1e-6 else 1)
PY
