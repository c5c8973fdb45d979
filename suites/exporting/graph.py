"""A network as an ONNX graph in float32, whose initializers go by the names of its parameters."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...problems.errors import InputError, one_line
from ...problems.quantization.codes import Codes
from ...problems.quantization.eight_bit import STEPS, QuantizedInput
from .extras import needed

__all__ = ["OPSET", "called", "float_graph"]

OPSET = 21
"""Least version of ONNX that has four bits and blocks."""


def called(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments that an example stands for.

    Raises:
        InputError: there is no tensor in it.
    """
    if isinstance(example, Mapping):
        given: tuple[tuple[Any, ...], dict[str, Any]] = (), dict(example)
    elif isinstance(example, tuple | list):
        given = tuple(example), {}
    else:
        given = (example,), {}
    if not any(isinstance(one, Tensor) for one in (*given[0], *given[1].values())):
        kind = type(example).__name__
        raise InputError(
            f"example must be a batch that the network is called on, got a {kind}; pass a tensor"
        )
    return given


def float_graph(network: nn.Module, codes: Mapping[str, Codes], example: Any, *, opset: int = OPSET) -> Any:
    """The graph, an `onnx.ModelProto`; batches, and lengths of tokens, may be of any size where torch allows.

    Parameters:
        network: any module.
        codes: of its rounded matrices, written anew so that the graph has them in float32.
        example: see `suites.save`.
        opset: version of ONNX.

    Raises:
        InputError: a package is missing, or torch cannot export the network.
    """
    needed("onnx", "ONNX")
    needed("onnxscript", "ONNX")
    plain = _plain(network, codes)
    arguments, named = called(example)
    arguments = tuple(_two(one) for one in arguments)
    named = {name: _two(one) for name, one in named.items()}
    shapes: Any = {name: _any_size(one) for name, one in named.items()} or tuple(map(_any_size, arguments))
    if arguments and named:
        raise InputError("example must be a tuple of arguments or a dict of named ones, got both")
    try:
        with _quiet(), torch.no_grad():
            made = torch.onnx.export(
                plain,
                arguments,
                kwargs=named or None,
                dynamo=True,
                verbose=False,
                optimize=False,  # which would merge and fold what codes are to take the place of
                opset_version=opset,
                dynamic_shapes=shapes,
            )
    except Exception as error:  # whatever a foreign module meets on its way through the exporter
        raise InputError(
            f"torch must be able to export the network to ONNX, got {one_line(error)}"
        ) from error
    assert made is not None
    return made.model_proto


def _plain(network: nn.Module, codes: Mapping[str, Codes]) -> nn.Module:
    """A float32 copy in eval mode with the codes' own weights."""
    plain = copy.deepcopy(network).cpu().float().eval()
    for one in codes.values():
        with torch.no_grad():
            one.use.put(plain, one.matrix().astype(np.float64))
    for module in plain.modules():
        if isinstance(module, QuantizedInput):
            module.__class__ = _Quantizing
    return plain


class _Quantizing(QuantizedInput):
    """The same values, said in ONNX's own words."""

    def forward(self, x: Tensor) -> Tensor:
        """QuantizeLinear and DequantizeLinear."""
        zero = self.zero.round().clamp(0, STEPS).to(torch.uint8)
        put: Any = torch.onnx.ops.symbolic
        codes = put("::QuantizeLinear", (x, self.step, zero), dtype=torch.uint8, shape=x.shape, version=OPSET)
        back: Tensor = put(
            "::DequantizeLinear", (codes, self.step, zero), dtype=x.dtype, shape=x.shape, version=OPSET
        )
        return back


def _two(value: Any) -> Any:
    """A batch of one sample twice: torch takes an axis of size 1 for one that is always 1."""
    if isinstance(value, Tensor) and value.dim() and len(value) == 1:
        return torch.cat([value, value])
    return value


def _any_size(value: Any) -> dict[int, Any] | None:
    """Which axes may be of any size: the first, and of tokens all."""
    if not isinstance(value, Tensor):
        return None
    axes = 1 if value.is_floating_point() else value.dim()
    return dict.fromkeys(range(min(axes, value.dim())), torch.export.Dim.AUTO)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter tells its own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
