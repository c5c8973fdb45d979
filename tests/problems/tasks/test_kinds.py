"""Every network has a kind that says how it is judged and trained."""

from __future__ import annotations

import pytest

from qubopress.problems.datasets.dataset import load_dataset
from qubopress.problems.networks import weights, zoo
from qubopress.problems.tasks import kinds


def test_every_network_has_a_kind_and_every_kind_has_networks() -> None:
    assert {spec.kind for spec in zoo.NETWORKS.values()} == set(kinds.KINDS)


@pytest.mark.parametrize(
    ("name", "metric", "key", "higher"),
    [
        ("digits-mlp", "accuracy", "test_accuracy", True),
        ("photographs-denoiser", "PSNR", "test_psnr", True),
        ("digits-generator", "Fréchet distance", "test_frechet", False),
    ],
)
def test_a_kind_names_its_metric_here_and_in_the_weights_file(
    name: str, metric: str, key: str, higher: bool
) -> None:
    kind = kinds.kind_of(zoo.network(name))
    assert (kind.metric, kind.metric_key, kind.higher_is_better) == (metric, key, higher)
    assert kinds.float_metric(name) == float(weights.weights_metadata(name)[key])


def test_the_metric_of_a_kind_is_what_the_weights_file_states() -> None:
    kind = kinds.kind_of(zoo.network("digits-cnn"))
    module, data = weights.load_network("digits-cnn"), load_dataset("digits")
    assert kind.judge(module, data) == kinds.float_metric("digits-cnn")
