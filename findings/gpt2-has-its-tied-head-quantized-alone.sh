#!/usr/bin/env bash
# torchao 0.18.0 and optimum-quanto 0.2.7 with transformers 5.24.0, torch 2.13.0, CPU: eight-bit weights for a
# GPT-2 of two layers. GPT-2's matrices are of transformers' own class Conv1D, no Linear, so all eight of them
# stay float. What is quantized is lm_head alone, the one matrix that is no weight of its own: it shares the
# embedding's. That tie is cut, the embedding stays float, and the network is LARGER than before. Neither
# package says a word, and outputs are close to the float ones, as they must be.
# Guess before: the matrices of the blocks are quantized (or a warning says that they are not), and tied
# weights stay tied or are left alone. Outcome: missed.
# Exits 0 while this holds, 1 when it has changed, 2 where the package cannot be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" || exit 2
packages="torch==2.13.0 transformers==5.24.0 torchao==0.18.0 optimum-quanto==0.2.7"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 $packages || exit 2
cd "$folder"
venv/bin/python - <<'PY'
import logging, warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import torch
from optimum.quanto import freeze, qint8, quantize
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from transformers import GPT2Config, GPT2LMHeadModel


def network():
    torch.manual_seed(0)
    sizes = dict(
        n_layer=2, n_embd=64, n_head=2, vocab_size=256, n_positions=32, bos_token_id=0, eos_token_id=0
    )
    return GPT2LMHeadModel(GPT2Config(**sizes)).eval()


def by_torchao(net):
    quantize_(net, Int8WeightOnlyConfig())


def by_quanto(net):
    quantize(net, weights=qint8)
    freeze(net)


def report(name, change):
    net = network()
    change(net)
    plain = lambda module: type(module.weight) is torch.nn.Parameter
    blocks = [module for module in net.modules() if type(module).__name__ == "Conv1D"]
    tied = net.lm_head.weight is net.transformer.wte.weight
    floats = sum(plain(module) for module in blocks)
    print(
        f"{name:8} {floats} of {len(blocks)} block matrices float,"
        f" embedding float {plain(net.transformer.wte)}, head float {plain(net.lm_head)}, tied {tied}"
    )
    return floats, len(blocks), plain(net.transformer.wte), plain(net.lm_head), tied


before = report("before", lambda net: None)
after = [report("torchao", by_torchao), report("quanto", by_quanto)]
raise SystemExit(
    0 if before == (8, 8, True, True, True) and all(one == (8, 8, True, False, False) for one in after) else 1
)
PY
