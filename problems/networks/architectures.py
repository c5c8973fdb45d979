"""Architectures: perceptrons, convolutional and residual networks, a denoiser. Their layers have names."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "HalfUnet",
    "Residual",
    "convolutional",
    "critic",
    "digits_cnn",
    "half_unet",
    "perceptron",
    "residual",
]


def perceptron(*widths: int) -> nn.Sequential:
    """Dense layers fc1, fc2, … with a ReLU after each but the last; one alone is a softmax regression."""
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for number, (before, after) in enumerate(pairwise(widths), start=1):
        layers[f"fc{number}"] = nn.Linear(before, after)
        layers[f"relu{number}"] = nn.ReLU()
    layers.popitem()
    return nn.Sequential(layers)


def critic(*widths: int) -> nn.Sequential:
    """Dense layers with leaky ReLUs from an image to one number; WGAN-GP allows no batch normalisation."""
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for number, (before, after) in enumerate(pairwise((*widths, 1)), start=1):
        layers[f"fc{number}"] = nn.Linear(before, after)
        layers[f"relu{number}"] = nn.LeakyReLU(0.2)
    layers.popitem()
    return nn.Sequential(layers)


def digits_cnn() -> nn.Sequential:
    """Two convolutions of 8 and 16 filters on images (1, 8, 8)."""
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(1, 8, 3, padding=1),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(256, 10),
        )
    )


def convolutional(*widths: int) -> nn.Sequential:
    """Convolutions on images (1, 28, 28), each with a BatchNorm and a ReLU, pooled after every second one."""
    layers = OrderedDict[str, nn.Module]()
    for number, (before, after) in enumerate(pairwise((1, *widths)), start=1):
        layers[f"conv{number}"] = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(after)
        layers[f"relu{number}"] = nn.ReLU()
        if number % 2 == 0:
            layers[f"pool{number // 2}"] = nn.MaxPool2d(2)
    side = 28 // 2 ** (len(widths) // 2)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(widths[-1] * side**2, 10)
    return nn.Sequential(layers)


class Residual(nn.Module):
    """Two convolutions with BatchNorms, added to the input (He et al. 2016, arXiv:1512.03385).

    A stride or another width takes the input through a convolution of its own.
    """

    def __init__(self, before: int, after: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1, self.relu1 = nn.BatchNorm2d(after), nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(before, after, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, before, height, width) to (N, after, height / stride, width / stride)."""
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


def residual(*widths: int) -> nn.Sequential:
    """A stem and two residual blocks a width, the first of a wider one with stride 2; mean over positions."""
    first = widths[0]
    layers = OrderedDict[str, nn.Module](
        stem=nn.Conv2d(1, first, 3, padding=1, bias=False), norm=nn.BatchNorm2d(first), relu=nn.ReLU()
    )
    for number, (before, after) in enumerate(pairwise((first, *widths)), start=1):
        layers[f"block{number}a"] = Residual(before, after, stride=1 if before == after else 2)
        layers[f"block{number}b"] = Residual(after, after)
    layers["pool"], layers["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    layers["fc"] = nn.Linear(widths[-1], 10)
    return nn.Sequential(layers)


class HalfUnet(nn.Module):
    """A denoiser, equally wide at every scale (Half-UNet, Lu et al. 2022, Front. Neuroinform. 16).

    A scale is two convolutions and half as large as the one before. All are brought back to the image's size
    and added, so that two more convolutions and a last one see every scale; the sum predicts the noise, which
    is subtracted from the image. Ordinary convolutions stand where the paper has cheaper ones.
    """

    def __init__(self, width: int, scales: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            _convolutions(3 if scale == 0 else width, width, width) for scale in range(scales)
        )
        self.pool = nn.MaxPool2d(2)
        self.resize = nn.ModuleList(nn.Upsample(scale_factor=2**scale) for scale in range(1, scales))
        self.decoder = _convolutions(width, width, width)
        self.noise = nn.Conv2d(width, 3, 1)
        # Training starts at the image itself.
        for parameter in self.noise.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Noisy images (N, 3, height, width), sides divisible by 2^(scales − 1), to clean ones."""
        seen = self.encoders[0](x)
        total = seen
        for encoder, resize in zip(self.encoders[1:], self.resize, strict=True):
            seen = encoder(self.pool(seen))
            total = total + resize(seen)
        noise: Tensor = self.noise(self.decoder(total))
        return x - noise


def half_unet(width: int, scales: int) -> HalfUnet:
    """A denoiser of colour images in [0, 1] with so many filters in every layer and so many scales."""
    return HalfUnet(width, scales)


def _convolutions(*widths: int) -> nn.Sequential:
    """Convolutions, each with a BatchNorm and a ReLU."""
    layers = OrderedDict[str, nn.Module]()
    for number, (before, after) in enumerate(pairwise(widths), start=1):
        layers[f"conv{number}"] = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(after)
        layers[f"relu{number}"] = nn.ReLU()
    return nn.Sequential(layers)
