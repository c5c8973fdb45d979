#!/usr/bin/env bash
# torch 2.13.0, torch.nn.utils.prune on MultiheadAttention. Its output projection is a Linear, and prune takes
# it like one, but the attention reads out_proj.weight without ever calling out_proj: the hook that multiplies
# weight by mask before each call never runs (a forward hook that collects inputs, for calibration, sees
# nothing either). So load_state_dict of a pruned attention reports success and the outputs stay those of the
# old weights, and the second step of training raises "Trying to backward through the graph a second time". A
# pruned Linear does both right.
# Guess before: out_proj is a Linear layer, so it is pruned, loaded and trained as one. Outcome: missed.
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
from torch.nn.utils import prune

torch.manual_seed(0)
x = torch.randn(2, 5, 8)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.out_proj = nn.Linear(8, 8)

    def forward(self, query, key, value):
        return self.out_proj(query), None


def pruned(make):
    net = make()
    prune.l1_unstructured(net.out_proj, "weight", 0.5)
    return net


def loaded(make):
    one, other = pruned(make), pruned(make)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        return (one(x, x, x)[0] - other(x, x, x)[0]).abs().max().item()


def steps(make):
    net = pruned(make)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    for step in range(3):
        optimizer.zero_grad()
        try:
            net(x, x, x)[0].square().sum().backward()
        except RuntimeError as error:
            return step, str(error)[:60]
        optimizer.step()
    return 3, "no error"


def calls(make):
    net, seen = make(), []
    net.out_proj.register_forward_hook(lambda *_: seen.append(1))
    net(x, x, x)
    return len(seen)


attention = lambda: nn.MultiheadAttention(8, 2, batch_first=True)
print("torch", torch.__version__)
found = {}
for name, make in (("Linear", Plain), ("attention", attention)):
    found[name] = gap, (done, said), hooks = loaded(make), steps(make), calls(make)
    print(f"{name:9} loaded: off by {gap:.2f}; trained: {done} steps, {said}; hook ran {hooks} times")
holds = found["Linear"][0] < 1e-6 and found["Linear"][1][0] == 3 and found["Linear"][2] == 1
holds &= found["attention"][0] > 0.1 and found["attention"][1][0] == 1 and found["attention"][2] == 0
raise SystemExit(0 if holds else 1)
PY
