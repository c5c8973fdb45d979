"""export_sizes: compressed networks in each format: bytes, agreement with ours, and time in the runtime.

`qubopress experiment export-sizes` writes it. A network of ours is compressed once and written in every
format that holds it; each file is read back by its own runtime. Times are of one sentence or eight images and
one thread in onnxruntime, the median of runs in turn, over the float network's.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from ... import problems
from ...problems.layers.samples import Samples
from ...problems.quantization.codes import Codes, codes_of
from ..compression import compress
from ..exporting.loading import load_network
from ..exporting.runtime import InRuntime
from ..exporting.saving import save

__all__ = ["COMPRESSED", "measure", "run"]

COMPRESSED: Mapping[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "minilm": (
        {"bits": 4, "group": 128, "grid": "minmax", "solver": "nearest-plane", "skip": ["*embeddings*"]},
        ("packed", "onnx", "matmulnbits", "compressed-tensors"),
    ),
    "photographs-denoiser": ({"problem": "taylor", "keep": 0.64}, ("packed", "onnx")),
}
"""Networks, how each is compressed, and the formats it is written in."""

RUNS = 40
TIMED = ("onnx", "matmulnbits")


def measure(network: str, *, calibration: int, folder: Path) -> Iterator[dict[str, Any]]:
    """A row for each format of a network of ours, the float one as ONNX first."""
    wishes, formats = COMPRESSED[network]
    task = problems.task_of(network, calibration=calibration)
    small = compress(task.network, _data(task), **wishes)
    example, codes = _called_on(task.inputs), codes_of(small)
    floats = save(task.network, folder / "float.onnx", example=example)
    paths = {"float": floats.path}
    rows: list[dict[str, Any]] = []
    for form in formats:
        saved = save(small, folder / f"net-{form}{_ending(form)}", format=form, example=example)
        paths[form] = saved.path
        rounded = saved.bytes - saved.float_bytes + 4 * _numbers(codes)
        rows.append(
            {
                "network": network,
                "format": form,
                "float bytes": floats.bytes,
                "bytes": saved.bytes,
                "share": saved.bytes / floats.bytes,
                "rounded matrices": rounded / (4 * _numbers(codes)) if codes else float("nan"),
                "cosine": _least_cosine(small, _read(saved.path, task.network, small), example),
            }
        )
    times = _times({form: path for form, path in paths.items() if form in ("float", *TIMED)}, example)
    yield from (row | {"time": times.get(row["format"], float("nan"))} for row in rows)


def _data(task: problems.Task) -> Any:
    return task.inputs if isinstance(task.inputs, Samples) else (task.inputs, task.targets)


def _called_on(inputs: Any) -> Any:
    """Some samples as the network is called on them."""
    if not isinstance(inputs, Samples):
        return inputs[:8]
    first = inputs.batches[0]
    return dict(first.kwargs) or first.args[0]


def _read(path: Path, whole: nn.Module, small: nn.Module) -> nn.Module:
    """A file in its runtime; what was cut smaller does not fit into the whole network."""
    return load_network(path, whole if codes_of(small) else small)


def _ending(form: str) -> str:
    return {"packed": ".safetensors", "compressed-tensors": ""}.get(form, ".onnx")


def _numbers(codes: Mapping[str, Codes]) -> int:
    return sum(one.codes.size for one in codes.values())


def _call(network: nn.Module, example: Any) -> Tensor:
    with torch.no_grad():
        out: Tensor = network(**example) if isinstance(example, dict) else network(example)
    return out


def _least_cosine(ours: nn.Module, theirs: nn.Module, example: Any) -> float:
    """Over the samples, of the outputs of a file and those of the network it was written from."""
    one, other = (_call(network, example).flatten(1) for network in (ours, theirs))
    return float(torch.nn.functional.cosine_similarity(one, other).min())


def _times(paths: Mapping[str, Path], example: Any) -> dict[str, float]:
    """Processor seconds of one sentence, or of a batch of images, in each file, over the float one's."""
    # A small image alone would be a time of starting.
    one = {key: value[:1] for key, value in example.items()} if isinstance(example, dict) else example
    running = {name: InRuntime(path, threads=1) for name, path in paths.items()}
    spent: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(RUNS):
        for name, network in running.items():
            begun = time.process_time()
            _call(network, one)
            spent[name].append(time.process_time() - begun)
    middle = {name: statistics.median(values[RUNS // 8 :]) for name, values in spent.items()}
    return {name: value / middle["float"] for name, value in middle.items()}


def run(networks: Iterable[str], *, calibration: int, out: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure, write a CSV file and yield its table.

    Raises:
        InputError, MissingDataError: there is no such network, or it or a format's package is not installed.
    """
    rows: list[dict[str, Any]] = []
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(network, calibration=calibration, folder=Path(folder))
    out.mkdir(exist_ok=True)
    table = pd.DataFrame(rows)
    table.to_csv(out / "sizes.csv", index=False, float_format="%.6g")
    yield "bytes, agreement and time of files", table
