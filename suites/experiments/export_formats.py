"""export_formats: what each format holds of drawn codes, and how far its runtime's outputs are from ours.

`qubopress experiment export-formats` writes it: every format, width, layer, grouping and kind of zero point.
`save` refuses a cell in a line, or the runtime does not read it; else the other package reads the file, its
codes are compared with those put in, and the largest difference of an output over the largest output is told.
OpenVINO reads the same ONNX files where it is installed.
"""

from __future__ import annotations

import copy
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ...problems.errors import InputError, one_line
from ...problems.layers.uses import uses_of
from ...problems.quantization.codes import Codes, attach, codes_of
from ..exporting.extras import needed
from ..exporting.graph import float_graph
from ..exporting.loading import load_network
from ..exporting.onnx_file import put_and_write
from ..exporting.qdq import opset_for
from ..exporting.saving import save

__all__ = ["FORMATS", "GROUPS", "LAYERS", "WIDTHS", "measure", "run", "summary"]

WIDTHS = (2, 3, 4, 8)
GROUPS = (0, 32, 128)
"""Inputs that share a step; 0 for a whole row."""

LAYERS: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Linear, 256 inputs": (lambda: nn.Linear(256, 32), (256,)),
    "Linear, 144 inputs": (lambda: nn.Linear(144, 32), (144,)),
    "Conv2d": (lambda: nn.Conv2d(32, 16, 3), (32, 6, 6)),
    "grouped Conv2d": (lambda: nn.Conv2d(32, 16, 3, groups=2), (32, 6, 6)),
    "depthwise Conv2d": (lambda: nn.Conv2d(16, 16, 3, groups=16), (16, 6, 6)),
}
"""Layers, and the shape of a sample; 32 divides 256 and the 288 inputs of the Conv2d, 128 only 256."""

TOLERANCE = 1e-3
"""Of a step in half precision, which GGUF has."""


@dataclass(frozen=True)
class Case:
    """A layer with drawn codes.

    Attributes:
        layer: its name.
        network: with the codes.
        x: a batch.
        path: of a file that may be written.
    """

    layer: str
    network: nn.Module
    x: Tensor
    path: Path

    @property
    def codes(self) -> dict[str, Codes]:
        """What was drawn."""
        return codes_of(self.network)


class Unread(Exception):  # noqa: N818 - an outcome
    """The runtime does not take what was written."""


Outcome = tuple[Tensor, bool]
"""Outputs, and whether the codes read back are those put in."""


def made(layer: str) -> tuple[nn.Module, Tensor]:
    """A layer by its name with the weights of one seed, and a batch."""
    build, shape = LAYERS[layer]
    torch.manual_seed(0)
    return nn.Sequential(build()).eval(), torch.randn(4, *shape)


def drawn(layer: str, path: Path, *, bits: int, group: int, symmetric: bool) -> Case:
    """The layer with drawn codes, steps and, unless symmetric, zero points."""
    network, x = made(layer)
    rng = np.random.default_rng(bits)
    low = -(2 ** (bits - 1)) if symmetric or bits == 8 else 0
    for use in uses_of(network, x).matrices:
        n, f = use.matrix(network).shape
        blocks = -(-f // group) if group else 1
        codes = rng.integers(low, low + 2**bits, (n, f)).astype(np.int8)
        zero = (rng.integers(low, low + 2**bits, (n, blocks)) * (not symmetric)).astype(np.int8)
        step = (rng.uniform(0.5, 1.5, (n, blocks)) / 2**bits).astype(np.float32)
        one = Codes(use, codes, step, zero, bits, low, group)
        with torch.no_grad():
            use.put(network, one.matrix().astype(np.float64))
        attach(network, one)
    return Case(layer, network, x, path)


# ---- formats and their runtimes


def _packed(case: Case) -> Outcome:
    save(case.network, case.path / "net.safetensors")
    back = load_network(case.path / "net.safetensors", made(case.layer)[0])
    read = codes_of(back)
    return back(case.x), all(_equal(one, read[key]) for key, one in case.codes.items())


def _equal(one: Codes, other: Codes) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("codes", "step", "zero"))


def _unpacked(case: Case) -> Outcome:
    """By compressed-tensors, whose weights tell the codes: a code and a step make one number."""
    save(case.network, case.path / "net", format="compressed-tensors")
    back = load_network(case.path / "net", made(case.layer)[0])
    same = [torch.equal(one, back.state_dict()[key]) for key, one in case.network.state_dict().items()]
    return back(case.x), all(same)


def _blocks(case: Case) -> Outcome:
    """By gguf: the codes are those whose multiples of the shortened steps the weights are."""
    save(case.network, case.path / "net.gguf", tolerance=TOLERANCE)
    back = load_network(case.path / "net.gguf", made(case.layer)[0])
    return back(case.x), all(_nearest(one, one.use.matrix(back)) for one in case.codes.values())


def _nearest(codes: Codes, weights: Any) -> bool:
    apart = np.asarray(weights) / codes.spread(codes.step) + codes.spread(codes.zero)
    return bool(np.array_equal(np.rint(apart), codes.codes))


@functools.cache
def _graph(layer: str, opset: int) -> Any:
    network, x = made(layer)
    return float_graph(network, {}, x, opset=opset)


def _onnx(case: Case, *, products: bool = False) -> Path:
    """The file that `save` writes; the graph, which does not depend on codes, is exported once."""
    path, opset = case.path / "net.onnx", opset_for(case.codes.values())
    graph = copy.deepcopy(_graph(case.layer, opset))
    put_and_write(graph, case.network, case.codes, path, products=products)
    return path


def _in_onnxruntime(case: Case, *, products: bool = False) -> Outcome:
    path = _onnx(case, products=products)
    try:
        out: Tensor = load_network(path, None)(case.x)
    except InputError as error:
        raise Unread(one_line(error)) from None
    return out, products or _found(path, case.codes)


def _found(path: Path, codes: Mapping[str, Codes]) -> bool:
    """Whether onnx reads the codes, or those of a convolution's groups, out of the file."""
    graph, helper = needed("onnx", "ONNX").load(path).graph, needed("onnx.numpy_helper", "ONNX")
    read = {one.name: one for one in graph.initializer if one.name.endswith(".codes")}
    mine = np.sort(np.concatenate([one.codes.ravel() for one in codes.values()]).astype(np.int64))
    theirs = [helper.to_array(one).astype(np.int64).ravel() for one in read.values()]
    return bool(np.array_equal(np.sort(np.concatenate(theirs)), mine))


def _in_openvino(case: Case) -> Outcome:
    """In float32, as `docs/export.md` tells to have it."""
    path, wish = _onnx(case), {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    try:
        compiled = needed("openvino", "reading ONNX by OpenVINO").Core().compile_model(str(path), "CPU", wish)
        out = torch.from_numpy(np.asarray(compiled(case.x.numpy())[0]))
    except Exception as error:  # of pybind
        raise Unread(one_line(error)) from None
    return out, _found(path, case.codes)


FORMATS: Mapping[str, tuple[str, Callable[[Case], Outcome]]] = {
    "packed": ("torch", _packed),
    "onnx": ("onnxruntime", _in_onnxruntime),
    "onnx in OpenVINO": ("openvino", _in_openvino),
    "matmulnbits": ("onnxruntime", functools.partial(_in_onnxruntime, products=True)),
    "compressed-tensors": ("compressed-tensors", _unpacked),
    "gguf": ("gguf", _blocks),
}
"""The package that reads and runs a format, and how."""


def measure(
    formats: Mapping[str, Any] = FORMATS, layers: Mapping[str, Any] = LAYERS
) -> Iterator[dict[str, Any]]:
    """A row for each format, layer, group, kind of zero points and width; none where a package is missing."""
    for (name, (package, attempt)), layer in itertools.product(formats.items(), layers):
        release = _release(package)
        if not release:
            continue
        for group, symmetric, bits in itertools.product(GROUPS, (True, False), WIDTHS):
            head = {"format": name, "layer": layer, "group": group, "symmetric": symmetric, "bits": bits}
            with tempfile.TemporaryDirectory() as folder:
                case = drawn(layer, Path(folder), bits=bits, group=group, symmetric=symmetric)
                yield head | {"runtime": f"{package} {release}"} | _judged(case, attempt)


def _judged(case: Case, attempt: Callable[[Case], Outcome]) -> dict[str, Any]:
    with torch.no_grad():
        ours = case.network(case.x)
        try:
            theirs, same = attempt(case)
        except (InputError, Unread) as error:
            by = "save" if isinstance(error, InputError) else "runtime"
            return {"codes": "", "difference": np.nan, "refused by": by, "why": str(error)}
    apart = float((ours - theirs).abs().max() / ours.abs().max())
    return {"codes": "same" if same else "others", "difference": apart, "refused by": "", "why": ""}


def _release(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# ---- the table of the docs


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a format and grouping, a column a layer: the largest difference, and what is refused."""
    found = []
    for (name, group), part in rows.groupby(["format", "group"], sort=False):
        said = {layer: _said(cells) for layer, cells in part.groupby("layer", sort=False)}
        found.append({"format": name, "groups of": group or "whole row", **said})
    return pd.DataFrame(found)


def _said(cells: pd.DataFrame) -> str:
    held = cells[cells["refused by"] == ""]
    if held.empty:
        return _lost(cells)
    apart = held["difference"].max()
    worst = f"{apart:.0e}".replace("e-0", "e-") if apart else "equal"
    if len(held) == len(cells):
        return worst
    lost = cells[cells["refused by"] != ""]
    kinds = ", ".join(
        f"{bits} bits{'' if len(part) == cells['symmetric'].nunique() else _kind(part)}"
        for bits, part in lost.groupby("bits")
    )
    return f"{worst}; {_lost(lost)}: {kinds}"


def _lost(cells: pd.DataFrame) -> str:
    return "refused" if (cells["refused by"] == "save").all() else "not read"


def _kind(cells: pd.DataFrame) -> str:
    return " symmetric" if cells["symmetric"].all() else " with zero points"


def run(*, out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write every row and the docs' table as CSV files, and yield the table.

    Raises:
        InputError: a format's package is missing, but for OpenVINO's, whose rows are then left out.
    """
    missing = [package for package, _ in FORMATS.values() if not _release(package)]
    if needed := sorted({*missing} - {"openvino"}):
        raise InputError(f"{', '.join(needed)} must be installed; pip install 'qubopress[export]'")
    rows = pd.DataFrame(measure())
    rows["difference"] = [float(f"{one:.1g}") for one in rows["difference"]]
    out.mkdir(exist_ok=True)
    rows.to_csv(out / "rows.csv", index=False)
    table = summary(rows)
    table.to_csv(out / "formats.csv", index=False)
    yield "largest difference of an output" + ("; openvino is not installed" if missing else ""), table
