"""The networks carry trained weights whose accuracy is the one they state."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import cast

import pytest
import torch
from data_files import offline
from torch import nn

from qubopress import suites
from qubopress.problems.datasets import dataset as data
from qubopress.problems.errors import InputError, MissingDataError
from qubopress.problems.networks import weights, zoo
from qubopress.problems.networks.image_generators import Generator
from qubopress.problems.networks.interaction import InteractionSystem
from qubopress.problems.tasks import accuracy, frechet_distance, kinds
from qubopress.problems.tasks.denoising_metrics import psnr

pytestmark = pytest.mark.usefixtures(offline.__name__)

CLASSIFIERS = [
    name
    for name in zoo.network_names()
    if name.startswith(("digits", "fashion")) and zoo.network(name).kind != "generator"
]
DENOISERS = [name for name in zoo.network_names() if name.startswith("photographs")]
GENERATORS = [
    spec.name for spec in zoo.NETWORKS.values() if spec.kind == "generator" and spec.dataset == "digits"
]
NAMES = CLASSIFIERS + DENOISERS + GENERATORS
"""Those whose weights the package carries."""

TUNING = [spec.name for spec in zoo.TUNING]


def dataset_of(name: str) -> data.Dataset:
    try:
        return data.load_dataset(zoo.network(name).dataset)
    except MissingDataError as missing:
        pytest.skip(str(missing))


def first_weight(module: nn.Module) -> nn.Parameter:
    return next(module.parameters())


def test_the_networks_have_the_published_shapes() -> None:
    assert {name for name in CLASSIFIERS if name.startswith("digits")} == {
        "digits-cnn", "digits-mlp", "digits-resnet", "digits-softmax", "digits-wide"
    }  # fmt: skip
    shapes = {
        name: {key: tuple(value.shape) for key, value in weights.load_network(name).state_dict().items()}
        for name in CLASSIFIERS + DENOISERS
    }
    sizes = {name: [s for key, s in of.items() if key.endswith("weight")] for name, of in shapes.items()}
    assert sizes["digits-mlp"] == [(32, 64), (10, 32)]
    assert sizes["digits-wide"] == [(300, 64), (200, 300), (10, 200)]
    assert sizes["digits-cnn"] == [(8, 1, 3, 3), (16, 8, 3, 3), (10, 256)]
    assert sizes["fashion-mlp"] == [(128, 784), (64, 128), (10, 64)]
    assert sizes["fashion-mlp50"] == [(50, 784), (10, 50)]
    assert sizes["fashion-softmax"] == [(10, 784)]
    assert sizes["fashion-cnn"][-1] == (10, 3136)
    assert sizes["fashion-resnet"][0] == (8, 1, 3, 3)
    assert {shape[0] for shape in sizes["photographs-denoiser"]} == {24, 3}
    assert sum(math.prod(shape) for shape in sizes["photographs-denoiser"]) == 47_616


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_stored_accuracy_is_the_accuracy(name: str) -> None:
    dataset = dataset_of(name)
    measured = accuracy.accuracy(weights.load_network(name), dataset.test_inputs, dataset.test_targets)
    # Another BLAS may flip a tie or two among the 10,000 clothes; 500 digits leave no room for that.
    assert measured == pytest.approx(kinds.float_metric(name), abs=2e-4)


@pytest.mark.parametrize("name", DENOISERS)
def test_the_stored_psnr_is_the_psnr(name: str) -> None:
    dataset = dataset_of(name)
    measured = psnr(weights.load_network(name), dataset.test_inputs, dataset.test_targets)
    assert measured == pytest.approx(kinds.float_metric(name), abs=1e-3)


@pytest.mark.parametrize("name", DENOISERS)
def test_the_denoisers_take_most_of_the_noise_away(name: str) -> None:
    dataset = dataset_of(name)
    noisy = psnr(nn.Identity(), dataset.test_inputs, dataset.test_targets)
    assert kinds.float_metric(name) > noisy + 4.8  # dB; two thirds of the squared error


@pytest.mark.parametrize("name", GENERATORS)
def test_the_stored_distance_is_the_distance(name: str) -> None:
    images = frechet_distance.samples_of(cast(Generator, weights.load_network(name)))
    assert frechet_distance.distance(images, "digits") == pytest.approx(kinds.float_metric(name), rel=0.01)


def test_the_digits_generator_makes_digits_of_every_class() -> None:
    images = frechet_distance.samples_of(cast(Generator, weights.load_network("digits-generator")))
    gaussian = frechet_distance.distance(frechet_distance.gaussian_images("digits"), "digits")
    assert kinds.float_metric("digits-generator") < 0.6 * gaussian
    assert frechet_distance.coverage(images, "digits") == 1.0
    assert frechet_distance.confidence(images, "digits") > 0.85


@pytest.mark.parametrize("part", ["flat", "one"])
def test_hidden_nodes_and_segments_are_worth_having(part: str) -> None:
    ablated = kinds.float_metric(f"digits-generator-{part}")
    assert kinds.float_metric("digits-generator") < ablated


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generators_weights_are_smaller_still(name: str) -> None:
    assert (weights.WEIGHTS / f"{name}.safetensors").stat().st_size < 200_000


def test_a_large_generators_weights_are_smaller_than_a_megabyte() -> None:
    assert (weights.WEIGHTS / "fashion-generator.safetensors").stat().st_size < 1_000_000
    design = cast(InteractionSystem, weights.load_network("fashion-generator")).design
    assert (design.side, design.nodes, design.radius, design.segments) == (28, 1568, 2, 4)


@pytest.mark.slow
def test_the_stored_distance_of_the_large_generator_is_the_distance() -> None:
    dataset_of("fashion-generator")
    images = frechet_distance.samples_of(cast(Generator, weights.load_network("fashion-generator")))
    found = frechet_distance.distance(images, "fashion-mnist")
    assert found == pytest.approx(kinds.float_metric("fashion-generator"), rel=0.01)
    gaussian = frechet_distance.distance(frechet_distance.gaussian_images("fashion-mnist"), "fashion-mnist")
    assert found < 0.2 * gaussian
    assert frechet_distance.coverage(images, "fashion-mnist") == 1.0


@pytest.mark.parametrize("name", TUNING)
def test_networks_to_tune_on_are_not_those_of_the_suites(name: str) -> None:
    builtin = Path(suites.__file__).with_name("builtin")
    assert name.endswith(("-tuning", "-small"))
    assert not [path.name for path in builtin.glob("*.toml") if f'"{name}"' in path.read_text()]


@pytest.mark.parametrize(
    ("name", "least"),
    [("digits-mlp", 0.95), ("digits-cnn", 0.97), ("fashion-mlp", 0.87), ("fashion-cnn", 0.89)],
)
def test_the_networks_are_worth_compressing(name: str, least: float) -> None:
    assert kinds.float_metric(name) >= least


@pytest.mark.parametrize("name", NAMES)
def test_weights_were_trained_on_the_data_set_we_load(name: str) -> None:
    assert weights.weights_metadata(name)["dataset_checksum"] == dataset_of(name).checksum


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_says_where_the_weights_come_from(name: str) -> None:
    metadata = weights.weights_metadata(name)
    spec = zoo.network(name)
    assert (metadata["network"], metadata["dataset"]) == (name, spec.dataset)
    assert (metadata["seed"], metadata["epochs"]) == ("1" if name in TUNING else "0", str(spec.epochs))
    assert metadata["torch"].startswith("2.")


@pytest.mark.parametrize("name", NAMES)
def test_a_weights_file_is_small_and_plain_safetensors(name: str) -> None:
    content = (weights.WEIGHTS / f"{name}.safetensors").read_bytes()
    assert len(content) < 1_000_000
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])  # JSON, then bare numbers: nothing that could run
    header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} <= {"F32", "I64"}
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(content) - 8 - length


def test_a_loaded_network_is_frozen_and_in_eval_mode() -> None:
    module = weights.load_network("digits-cnn")
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    weights.load_network("digits-mlp")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_two_loads_share_nothing() -> None:
    module = weights.load_network("digits-mlp")
    first_weight(module).zero_()
    assert first_weight(weights.load_network("digits-mlp")).abs().sum() > 0


def test_an_unknown_network_gets_the_closest_name() -> None:
    with pytest.raises(InputError, match="no network named 'digits-mpl'; did you mean 'digits-mlp'"):
        zoo.network("digits-mpl")
    with pytest.raises(InputError, match="no network named 'fashion-cn'; did you mean"):
        weights.load_network("fashion-cn")


def test_a_network_whose_weights_nobody_made_says_how_to_make_them() -> None:
    with pytest.raises(MissingDataError, match="run: qubopress train cifar10-mlp50"):
        weights.load_network("cifar10-mlp50")


def test_the_checksum_is_that_of_the_weights() -> None:
    module = weights.load_network("digits-mlp")
    original = weights.weights_checksum(module)
    assert weights.weights_checksum(weights.load_network("digits-mlp")) == original
    first_weight(module)[0, 0] += 1e-3
    assert weights.weights_checksum(module) != original
