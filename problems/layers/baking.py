"""Weights that a network makes anew before each run, as plain parameters: norms, parametrizations, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod

from ..errors import InputError

__all__ = ["bake", "makes_weights"]

PARTS = ("orig", "mask", "g", "v", "u", "raw", "bar")
"""What a hook calls the tensors that it makes `weight` of: weight_orig, weight_mask and so on."""

Made: TypeAlias = dict[tuple[int, ...], tuple[nn.Parameter, list[nn.Parameter]]]
"""Baked parameters by the identities of those that they were made of, so that shared ones stay shared.

Those are kept too, so that no identity is given away twice.
"""

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)


def makes_weights(network: nn.Module) -> bool:
    """Whether some weight of a network is no plain parameter."""
    return any(
        parametrize.is_parametrized(module)
        or list(_loose(module))
        or (isinstance(module, LAYERS) and "weight" in module._buffers)
        for module in network.modules()
    )


def bake(network: nn.Module) -> None:
    """Make every weight of a network in eval mode, of whatever it is made, a plain parameter; in place.

    Parametrizations, and hooks of weight_norm, spectral_norm and pruning or others that make a weight out of
    parameters alone, are gone afterwards. A weight asks for a gradient where a parameter that it was made of
    did.

    Raises:
        InputError: a hook makes a weight in another way.
    """
    made: Made = {}
    for name, module in network.named_modules():
        with torch.no_grad():
            if parametrize.is_parametrized(module):
                _bake_parametrizations(module, made)
            _bake_hooks(module, made)
            _bake_loose(name, module)


def _bake_parametrizations(module: nn.Module, made: Made) -> None:
    lists = dict(module.get_submodule("parametrizations").named_children())
    values = {name: getattr(module, name) for name in lists}
    # torch's own remove_parametrizations takes the property off a class that copies share with the original,
    # and leaves a frozen weight no parameter.
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module._modules["parametrizations"]
    for name, one in lists.items():
        parts = [tensor for key, tensor in one.named_parameters() if key.startswith("original")]
        if parts:
            _put(module, name, values[name], parts, made)
        else:
            module.register_buffer(name, values[name].clone())


def _bake_hooks(module: nn.Module, made: Made) -> None:
    """Bake what hooks make; a mask first, because what it masks may be part of a weight."""
    hooks = dict(module._forward_pre_hooks) if list(_loose(module)) else {}
    for key in sorted(hooks, key=lambda one: not isinstance(hooks[one], BasePruningMethod)):
        names = [] if key in module._forward_pre_hooks_with_kwargs else _made_by(hooks[key], module)
        for name in names:
            value = module.__dict__.pop(name)
            _put(module, name, value, list(_taken(module, name)), made)
        if names:
            del module._forward_pre_hooks[key]
            _forget(module, hooks[key])


def _forget(module: nn.Module, hook: Callable[..., Any]) -> None:
    """Take off what a spectral norm does when its layer is saved or loaded."""
    for others in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
        for key, other in list(others.items()):
            if getattr(getattr(other, "hook", other), "fn", None) is hook:
                del others[key]


def _made_by(hook: Callable[..., Any], module: nn.Module) -> list[str]:
    """Names of the weights that a hook makes without looking at a layer's inputs, made anew by now."""
    before = dict(_loose(module))
    try:
        hook(module, ())
    except Exception:  # a foreign hook that looks for inputs may raise anything
        return []
    return [name for name, tensor in _loose(module) if tensor is not before.get(name)]


def _loose(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a module that have the name of a weight and are neither parameter nor buffer."""
    names = {"weight", "bias", *(name.rpartition("_")[0] for name in (*module._parameters, *module._buffers))}
    return ((key, one) for key, one in vars(module).items() if key in names and isinstance(one, Tensor))


def _taken(module: nn.Module, name: str) -> Iterator[nn.Parameter]:
    """The parameters that a weight was made of, taken off the module with their buffers."""
    for part in PARTS:
        module._buffers.pop(f"{name}_{part}", None)
        tensor = module._parameters.pop(f"{name}_{part}", None)
        if tensor is not None:
            yield tensor


def _bake_loose(name: str, module: nn.Module) -> None:
    """Make a layer's weight that is a bare tensor or a buffer a frozen parameter."""
    if not isinstance(module, LAYERS):
        return
    for key, tensor in list(_loose(module)):
        if module._forward_pre_hooks:
            raise InputError(
                f"{key} of layer {name or 'the network'} must be a parameter, got a tensor that a hook makes "
                "before each run; remove the hook first"
            )
        del module.__dict__[key]
        setattr(module, key, nn.Parameter(tensor.detach().clone(), requires_grad=False))
    for key in {"weight", "bias"} & module._buffers.keys():
        buffer = module._buffers.pop(key)
        setattr(module, key, None if buffer is None else nn.Parameter(buffer, requires_grad=False))


def _put(module: nn.Module, name: str, value: Tensor, parts: list[nn.Parameter], made: Made) -> None:
    """Register a weight, the very one that another module has where both were made of the same."""
    asks = any(part.requires_grad for part in parts) and value.is_floating_point()
    fresh = nn.Parameter(value.detach().clone(), requires_grad=asks)
    known = made.setdefault(tuple(map(id, parts)), (fresh, parts))[0] if parts else fresh
    setattr(module, name, known if torch.equal(known, fresh) else fresh)
