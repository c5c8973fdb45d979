"""Training is a function of its seed, disturbs nothing, and useless weights are not saved."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from qubopress.problems.datasets import dataset
from qubopress.problems.errors import InputError
from qubopress.problems.networks import weights, zoo
from qubopress.problems.networks.image_generators import Generator
from qubopress.problems.tasks import accuracy, frechet_distance, kinds, training


def checksum(*, seed: int, epochs: int = 1) -> str:
    return weights.weights_checksum(training.train("digits-mlp", seed=seed, epochs=epochs)[0])


def test_the_same_seed_gives_the_same_weights_whatever_the_global_seed() -> None:
    first = checksum(seed=1)
    torch.rand(3)
    assert checksum(seed=1) == first


def test_another_seed_gives_other_weights() -> None:
    assert checksum(seed=1) != checksum(seed=2)


def test_training_leaves_every_global_generator_alone() -> None:
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    training.train("digits-cnn", epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tobytes() == before[2]  # noqa: NPY002


def test_progress_hears_every_epoch_and_a_falling_loss() -> None:
    heard: list[tuple[int, int, float]] = []
    training.train("digits-mlp", epochs=3, progress=lambda *news: heard.append(news))
    assert [news[:2] for news in heard] == [(1, 3), (2, 3), (3, 3)]
    losses = [loss for _, _, loss in heard]
    assert losses == sorted(losses, reverse=True)
    assert 0 < losses[-1] < np.log(10)  # nats of a uniform guess


def test_the_accuracy_returned_is_the_modules_on_the_test_split() -> None:
    module, measured = training.train("digits-mlp", epochs=5)
    digits = dataset.load_dataset("digits")
    assert measured == accuracy.accuracy(module, digits.test_inputs, digits.test_targets)
    assert measured > 0.8
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_generator_is_measured_by_the_distance_of_its_images(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    module, measured = training.train(
        "digits-generator-neural", epochs=2, keep=tmp_path, progress=lambda *news: heard.append(news[:2])
    )
    assert measured == frechet_distance.distance(
        frechet_distance.samples_of(cast(Generator, module)), "digits"
    )
    assert heard == [(1, 2), (2, 2)]
    assert [path.name for path in tmp_path.iterdir()] == ["digits-generator-neural.training.png"]
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_saved_weights_come_back_as_they_were(tmp_path: Path) -> None:
    module, measured = training.train("digits-mlp", seed=4, epochs=3)
    path = training.save_weights("digits-mlp", module, seed=4, epochs=3, folder=tmp_path / "new")
    again = weights.load_network("digits-mlp", weights=path)
    assert weights.weights_checksum(again) == weights.weights_checksum(module)
    assert kinds.float_metric("digits-mlp", weights=path) == measured
    metadata = weights.weights_metadata("digits-mlp", weights=path)
    assert (metadata["seed"], metadata["epochs"]) == ("4", "3")
    assert [file.name for file in path.parent.iterdir()] == ["digits-mlp.safetensors"]


def test_a_folder_that_takes_no_file_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "digits-mlp.safetensors").mkdir()
    module = weights.load_network("digits-mlp")
    with pytest.raises(
        InputError, match=r"digits-mlp\.safetensors must be a place to write a file, got: Is a"
    ):
        training.save_weights("digits-mlp", module, seed=0, epochs=1, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["digits-mlp.safetensors"]


def test_weights_at_chance_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    module = training.initialised(zoo.network("digits-mlp"), seed=0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    with pytest.raises(
        InputError, match=r"must reach twice the accuracy of guessing, 20.*train for more epochs"
    ):
        training.save_weights("digits-mlp", module, seed=0, epochs=1, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_denoiser_that_leaves_the_noise_in_is_refused(tmp_path: Path) -> None:
    name = "photographs-denoiser-small"
    module = training.initialised(zoo.network(name), seed=0)
    with pytest.raises(
        InputError, match=r"must reach 1 dB more than the noisy images' 2.\.\d\d dB, got 2.*more"
    ):
        training.save_weights(name, module, seed=0, epochs=1, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_training_refuses_no_epochs_negative_seeds_and_unknown_networks() -> None:
    with pytest.raises(InputError, match="epochs must be 1 or more, got 0"):
        training.train("digits-mlp", epochs=0)
    with pytest.raises(InputError, match="seed must be 0 or more, got -1"):
        training.train("digits-mlp", seed=-1)
    with pytest.raises(InputError, match="no network named 'digits'; did you mean"):
        training.train("digits")
