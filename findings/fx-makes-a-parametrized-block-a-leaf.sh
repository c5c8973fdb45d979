#!/usr/bin/env bash
# torch 2.13.0, torch.fx.symbolic_trace and torch.nn.utils.parametrize. A block of one's own with two Linear
# layers and a learnt scale is traced through: both layers are nodes of the graph. Once the SCALE is
# parametrized (to keep it positive, say) the whole block becomes one opaque node and its layers are gone from
# the graph. Parametrizing gives the block a new class whose __module__ is torch's, and fx treats every class
# of torch.nn as a leaf. A pass over the graph (pruning, folding, quantizing) then finds nothing to do in the
# block; removing the parametrization undoes it.
# Guess before: a parametrization changes how one tensor is computed, not which layers a trace shows. Outcome:
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
from torch.nn.utils import parametrize


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.second(self.first(x) * self.scale)


class Positive(nn.Module):
    def forward(self, x):
        return x.abs()


def called(net):
    return [node.target for node in torch.fx.symbolic_trace(net).graph.nodes if node.op == "call_module"]


net = nn.Sequential(Block(), nn.ReLU())
plain = called(net)
parametrize.register_parametrization(net[0], "scale", Positive())
marked, kind = called(net), type(net[0])
parametrize.remove_parametrizations(net[0], "scale")
print("torch", torch.__version__)
print("modules in the graph:", plain)
print("scale parametrized:  ", marked, f"(class {kind.__module__}.{kind.__name__})")
print("and removed again:   ", called(net))
holds = plain == ["0.first", "0.second", "1"] == called(net) and marked == ["0", "1"]
raise SystemExit(0 if holds else 1)
PY
