"""An ONNX file as a torch module that runs in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...problems.errors import InputError, one_line
from .extras import needed

__all__ = ["InRuntime"]


class InRuntime(nn.Module):
    """What an ONNX file computes, in onnxruntime on the CPU with its default options.

    Parameters:
        path: of the file.
        threads: of a product; as many as torch has where None.

    Raises:
        InputError: it is no ONNX file, or the runtime cannot run it.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        super().__init__()
        runtime = needed("onnxruntime", "running ONNX")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of pybind, a class for each kind
            raise InputError(f"{path} must be ONNX that onnxruntime runs, got {one_line(error)}") from None
        self.names = [one.name for one in self.session.get_inputs()]
        self.eval()

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """The outputs as tensors, a tuple where there are several; named inputs that it lacks are dropped."""
        given = {**dict(zip(self.names, arguments, strict=False)), **named}
        feed = {name: _array(given[name]) for name in self.names if name in given}
        try:
            found = self.session.run(None, feed)
        except Exception as error:
            raise InputError(f"the file must run on such inputs, got {one_line(error)}") from None
        outputs = tuple(torch.from_numpy(one) for one in found)
        return outputs[0] if len(outputs) == 1 else outputs


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value
