"""A copy of a foreign network that formulations can work on: unwrapped, on the processor, weights plain."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from ..errors import InputError, one_line
from .agreement import outputs, same
from .baking import bake, makes_weights
from .borrowing import lent
from .samples import Inputs

__all__ = ["prepared"]

QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")
"""Packages of layers that hold no real weights any more."""


def prepared(model: nn.Module, inputs: Inputs | None = None, *, borrow: bool = False) -> nn.Module:
    """A deep copy in eval mode whose weights are plain parameters and that computes what the model does.

    Wrappers (torch.compile, DataParallel, DistributedDataParallel) are taken off. Weight and spectral norms,
    parametrizations and pruning masks are baked into the weights, zeros kept. Parameters on an accelerator
    come to the processor; types, grad flags, hooks of other kinds and shared parameters are as they were. The
    model itself stays untouched.

    Parameters:
        model: of any kind.
        inputs: samples on which the copy runs before and after baking; None to trust the baking.
        borrow: whether parameters may lie in the memory of the model's, for those who write into none.

    Raises:
        InputError: the model cannot be copied or has no real weights (uninitialised, scripted, quantized, on
            the meta device), a hook makes a weight in a way that cannot be baked, the copy does not run on
            the inputs, or it computes something else.
    """
    inner = _unwrapped(model)
    _check(inner)
    network = _copied(inner, borrow=borrow and not makes_weights(inner)).cpu().eval()
    before = outputs(network, inputs) if inputs is not None and makes_weights(network) else None
    bake(network)
    if before is not None and inputs is not None and not same(before, outputs(network, inputs)):
        raise InputError(
            "the network must put out the same once its weights are plain parameters, got other outputs; "
            "remove its parametrizations and hooks first"
        )
    return network


# ---- wrappers


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module inside wrappers that compute nothing."""
    while (inner := _inside(model)) is not None:
        model = inner
    return model


def _inside(module: nn.Module) -> nn.Module | None:
    # torch.compile's wrapper goes by its attribute, because to import its class takes seconds.
    name = "module" if isinstance(module, DataParallel | DistributedDataParallel) else "_orig_mod"
    return dict(module.named_children()).get(name)  # a scripted module has no dict of them


def _unwrap_children(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is not None and (inner := _unwrapped(child)) is not child:
                parent._modules[name] = inner


# ---- what cannot be prepared


def _check(model: nn.Module) -> None:
    """Refuse models without real weights, in one line that names the cure."""
    for name, module in model.named_modules():
        here = f" in {name}" if name else ""
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"model must be a plain module, got a scripted or traced one{here}; pass the module that it "
                "was made from"
            )
        if type(module).__module__.startswith(QUANTIZED):
            raise InputError(
                f"model must have real weights, got a quantized {type(module).__name__}{here}; pass the "
                "float model that it was made from"
            )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise InputError(
                f"model must be initialised, got no shape yet for {name}; run it once on a sample first"
            )
        if tensor.is_meta:
            raise InputError(
                f"model must hold its weights, got {name} on the meta device; load the weights first"
            )
        if tensor.is_quantized or type(tensor.data) is not Tensor:
            kind = "a quantized tensor" if tensor.is_quantized else f"a {type(tensor.data).__name__}"
            raise InputError(
                f"model must have real weights, got {kind} for {name}; pass the float model that it was made "
                "from"
            )


# ---- the copy


class _Detaching(TorchFunctionMode):
    """While it is on, a tensor that an autograd graph made is copied by value, which torch else refuses."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and args[0].grad_fn is not None:
            made, memo = args
            return memo.setdefault(id(made), made.detach().clone())
        return func(*args, **(kwargs or {}))


def _copied(model: nn.Module, *, borrow: bool) -> nn.Module:
    try:
        with _Detaching():
            network = copy.deepcopy(model, lent(model) if borrow else None)
    except Exception as error:  # a foreign attribute may raise anything
        reason = f"{one_line(error)[:200]}{_culprit(model)}"
        raise InputError(
            f"model must be copyable by copy.deepcopy, got {reason}; take that attribute off first"
        ) from error
    _unwrap_children(network)
    return network


def _culprit(model: nn.Module) -> str:
    """Which attribute of which module cannot be copied."""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            try:
                with _Detaching():
                    _ = key == "_modules" or copy.deepcopy(value)
            except Exception:
                return f" for {f'{name}.' if name else ''}{key}"
    return ""
