"""A network and data of one's own are found as users expect, or refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from calls import call, refused, table_of

Captured = pytest.CaptureFixture[str]

NETS = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))

def make():
    torch.manual_seed(0)
    return Own()

def loader():
    import helper_of_own
    return helper_of_own.pair()

def broken():
    raise KeyError("weights.pt")

def leaves():
    raise SystemExit(3)

def wants(path):
    return Own()

def number():
    return 3

class Named(Own):
    def forward(self, x):
        raise RuntimeError("call encode")

    def encode(self, x):
        return super().forward(x)

def encoded(model, batch):
    return model.encode(batch[0])

class Scaled(Own):
    def forward(self, x, scale):
        return super().forward(x * scale)

def rows():
    return [{"rows": torch.randn(20, 5, generator=torch.Generator().manual_seed(k))} for k in range(2)]

def scaled(model, batch):
    return model(batch["rows"], scale=torch.tensor(0.5))

def one_sided(outputs, batch):
    return outputs[batch[1] == 0].pow(2).sum() / len(batch[1])

def no_loss(outputs, batch):
    return batch["labels"]

ready = make()
words = "words"
"""

HELPER = """
import torch

def pair():
    return torch.randn(40, 5, generator=torch.Generator().manual_seed(1)), torch.arange(40) % 3
"""

OUT = ("--out", "small.safetensors")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "nets_of_own.py").write_text(NETS, encoding="utf-8")
    (tmp_path / "helper_of_own.py").write_text(HELPER, encoding="utf-8")
    (tmp_path / "fails_of_own.py").write_text("import no_such_package", encoding="utf-8")
    package = tmp_path / "package_of_own"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "inner.py").write_text("from nets_of_own import make", encoding="utf-8")
    drawn = np.random.default_rng(1)
    x, y = drawn.normal(size=(40, 5)).astype(np.float32), np.arange(40) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.savez(tmp_path / "other.npz", images=x)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]), y=y[:2])
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield
    assert sys.path == path
    for name in [one for one in sys.modules if "_of_own" in one]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "network", ["nets_of_own:make", "nets_of_own:Own", "package_of_own.inner:make", "nets_of_own:ready"]
)
@pytest.mark.parametrize("data", ["data.npz", "nets_of_own:loader"])
def test_a_network_of_ones_own_is_compressed_and_told_of(network: str, data: str, capsys: Captured) -> None:
    assert call("compress", network, "--data", data, *OUT, "--set", "bits=3") == 0
    out, err = capsys.readouterr()
    assert [line.split()[:3] for line in out.splitlines()[3:] if line] == [
        ["body.weight", "rounded", "3"],
        ["body.bias", "rounded", "32"],
        ["head.weight", "rounded", "3"],
        ["head.bias", "rounded", "32"],
    ]
    assert "57 parameters: 100.0% rounded; 7.58 bits each" in err
    assert err.endswith("weights in small.safetensors\n")


def test_the_weights_load_into_the_architecture(tmp_path: Path, capsys: Captured) -> None:
    from safetensors.torch import load_file

    assert call("compress", "nets_of_own:make", "--data", "data.npz", *OUT, "--set", "bits=3") == 0
    sys.path.insert(0, str(tmp_path))
    import nets_of_own  # type: ignore[import-not-found]

    sys.path.remove(str(tmp_path))
    own = nets_of_own.make()
    own.load_state_dict(load_file(tmp_path / "small.safetensors"))
    assert all(len(row.unique()) <= 8 for row in own.body.weight)


@pytest.mark.parametrize("form", ["csv", "json", "markdown"])
def test_the_report_is_a_table_for_programs(form: str, capsys: Captured) -> None:
    assert call("compress", "nets_of_own:make", "--data", "data.npz", *OUT, "--format", form) == 0
    table = table_of(capsys.readouterr().out, form)
    assert table["parameter"].tolist() == ["body.weight", "body.bias", "head.weight", "head.bias"]
    assert {"became", "bits", "of nearest", "why"} <= set(table.columns)


def test_the_solver_takes_its_own_parameters(capsys: Captured) -> None:
    own = ("compress", "nets_of_own:make", "--data", "data.npz", *OUT)
    assert call(*own, "--solver", "beam", "--solver-set", "width=2", "--solver-set", "threads=2") == 0
    capsys.readouterr()
    assert "beam has no parameter 'wdth'" in refused(
        capsys, *own, "--solver", "beam", "--solver-set", "wdth=2"
    )
    assert "--solver-set must be NAME=VALUE, got 'width'" in refused(capsys, *own, "--solver-set", "width")


def test_samples_are_as_many_as_asked_for(capsys: Captured) -> None:
    own = ("compress", "nets_of_own:make", "--data", "data.npz", *OUT, "--samples")
    assert "samples must be an integer of at least 1, got 0" in refused(capsys, *own, 0)
    assert call(*own, 8) == 0


def test_pruning_needs_no_solver(capsys: Captured) -> None:
    pruned = ("--problem", "taylor", "--set", "keep=0.5", "--format", "json")
    assert call("compress", "nets_of_own:make", "--data", "data.npz", *OUT, *pruned) == 0
    table = table_of(capsys.readouterr().out, "json").set_index("parameter")
    assert table.loc["body.weight", ["became", "numbers", "now"]].tolist() == ["pruned", 30, 15]


ENCODED = ("compress", "nets_of_own:Named", "--data", "nets_of_own:loader", *OUT)


def test_functions_of_ones_own_call_the_network_and_judge_what_it_puts_out(capsys: Captured) -> None:
    assert "RuntimeError: call encode" in refused(capsys, *ENCODED)
    own = (*ENCODED, "--forward", "nets_of_own:encoded")
    assert call(*own) == 0
    pruned = ("--problem", "taylor", "--set", "keep=0.5", "--criterion", "nets_of_own:one_sided")
    assert call(*own, *pruned) == 0


def test_a_file_that_is_traced_hears_how_a_function_of_ones_own_calls_the_network(capsys: Captured) -> None:
    pytest.importorskip("onnxruntime")
    own = ("compress", "nets_of_own:Scaled", "--data", "nets_of_own:rows", "--out", "net.onnx")
    assert call(*own, "--forward", "nets_of_own:scaled") == 0
    capsys.readouterr()
    refusal = refused(capsys, *ENCODED[:-1], "net.onnx", "--forward", "nets_of_own:encoded")
    assert (
        "--forward must call the network itself to be written as onnx, got one that calls a part" in refusal
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--forward", "nets_of_own:encod"), "nets_of_own has no attribute 'encod'; did you mean 'encode"),
        (("--forward", "encoded"), "--forward must be package.module:attribute, got 'encoded'"),
        (
            ("--criterion", "nets_of_own:words"),
            "--criterion must be a function, got a str as nets_of_own",
        ),
        (
            ("--forward", "nets_of_own:encoded", "--problem", "taylor", "--criterion", "nets_of_own:no_loss"),
            "criterion must be a function of outputs and a batch, got TypeError",
        ),
    ],
)
def test_what_is_no_function_is_refused(arguments: tuple[str, ...], message: str, capsys: Captured) -> None:
    assert message in refused(capsys, *ENCODED, *arguments)


@pytest.mark.parametrize("option", ["--forward", "--criterion"])
def test_functions_come_with_a_network_of_ones_own_alone(option: str, capsys: Captured) -> None:
    ours = refused(capsys, "compress", "digits-mlp", option, "nets_of_own:encoded", *OUT)
    assert f"{option} must come with a network of one's own, package.module:function" in ours


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("nets_of_owm:make", "NETWORK must name a module that can be imported, got nets_of_owm: there is no"),
        ("package_of_own.iner:make", "there is no package_of_own.iner in this folder"),
        ("nets_of_own:mak", "nets_of_own has no attribute 'mak'; did you mean 'make'?"),
        ("nets_of_own:zzz", "nets_of_own has no attribute 'zzz'; define it in"),
        ("nets_of_own:", "NETWORK must be package.module:attribute, got 'nets_of_own:'"),
        ("../nets:make", "NETWORK must be package.module:attribute, got '../nets:make'"),
        ("nets_of_own:words", "must be a torch module or a function that makes one, got a str"),
        ("nets_of_own:number", "nets_of_own:number must make a torch module, got a int"),
        (
            "nets_of_own:broken",
            "nets_of_own:broken() must work without arguments, got KeyError: 'weights.pt'",
        ),
        ("nets_of_own:leaves", "must work without arguments, got SystemExit: 3"),
        ("nets_of_own:wants", "must work without arguments, got TypeError"),
        ("fails_of_own:make", "fails_of_own gave ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_what_is_no_network_is_refused(network: str, message: str, capsys: Captured) -> None:
    assert message in refused(capsys, "compress", network, "--data", "data.npz", *OUT)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("none.npz", "--data must be a file that exists, got none.npz"),
        ("text.npz", "text.npz must be an .npz file of plain arrays"),
        ("objects.npz", "objects.npz must be an .npz file of plain arrays"),
        ("other.npz", "other.npz must hold arrays named x and y, got images; write np.savez(file, x=…, y=…)"),
        ("data.csv", "--data must be FILE.npz or package.module:loader, got 'data.csv'"),
        ("nets_of_own:number", "must be or make a DataLoader or a pair (x, y), got a int"),
        ("nets_of_own:broken", "got KeyError"),
        ("nets_of_own:load", "did you mean 'loader'?"),
    ],
)
def test_what_is_no_data_is_refused(data: str, message: str, capsys: Captured) -> None:
    assert message in refused(capsys, "compress", "nets_of_own:make", "--data", data, *OUT)


def test_data_come_with_a_network_of_ones_own_and_with_no_other(capsys: Captured) -> None:
    assert "must come with --data FILE.npz" in refused(capsys, "compress", "nets_of_own:make", *OUT)
    ours = refused(capsys, "compress", "digits-mlp", "--data", "data.npz", *OUT)
    assert "--data must come with a network of one's own, package.module:function, got digits-mlp" in ours


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path, capsys: Captured) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    np.savez(tmp_path / "evil.npz", x=np.array([Evil()], dtype=object), y=np.zeros(1))
    assert "plain arrays" in refused(capsys, "compress", "nets_of_own:make", "--data", "evil.npz", *OUT)
    assert not (tmp_path / "ran").exists()
