"""The tables of analog generators say what a store holds, and pictures show what its bits stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generating import system
from PIL import Image
from records import make_store
from tiny import one_thread

from qubopress import problems
from qubopress.problems.networks.image_generators import NeuralGenerator
from qubopress.problems.tasks import calibration, frechet_distance
from qubopress.results import Stage, StoreError, pack
from qubopress.suites import cli, load
from qubopress.suites.experiments import compressed_generators
from qubopress.suites.spec import InstanceSpec

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

MEASURES = {
    "classes covered": 1.0,
    "confidence": 0.9,
    "couplings": 100.0,
    "bits of a coupling": 4.0,
    "area (mm²)": 0.1,
    "nJ an image": 0.5,
}


def instance(problem: str, number: int, **parameters: Any) -> dict[str, Any]:
    return {
        "key": f"key-{number}",
        "name": f"instance {number}",
        "problem": problem,
        "network": "digits-generator",
        "family": "analog",
        "parameters": parameters,
        "baseline_metric": 20.0,
        "float_metric": 10.0,
        "metric_name": "Fréchet distance",
        "higher_is_better": False,
    }


def cell(info: dict[str, Any], solver: str, metric: float) -> dict[str, Any]:
    shared = {name: info[name] for name in ("problem", "network", "family", "metric_name")}
    return shared | {
        "instance": info["name"],
        "instance_key": info["key"],
        "solver": solver,
        "metric": metric,
        "measures": MEASURES,
    }


def test_solvers_are_compared_with_the_baseline_of_the_same_draw(tmp_path: Path) -> None:
    rounding = [
        instance("ais-rounding", seed, bits=4, density=1.0, calibration_seed=seed) for seed in range(3)
    ]
    topology = instance("ais-topology", 3, keep=0.5)
    cells = [cell(info, "beam", metric) for info, metric in zip(rounding, (15.0, 16.0, 17.0), strict=True)]
    cells += [cell(topology, "swap", 30.0)]
    table = compressed_generators.compressed(make_store(tmp_path / "store.db", cells, [*rounding, topology]))
    beam, swap = (row for _, row in table.iterrows())
    assert (beam["solver"], beam["bits"], beam["share"], beam["cells"]) == ("beam", 4, 1.0, 3)
    assert (beam["distance"], beam["against baseline"]) == (16.0, -4.0)
    assert -5.0 <= beam["low"] < -4.0 < beam["high"] <= -3.0
    assert beam["over floor"] == pytest.approx(16.0 / frechet_distance.floor("digits"))
    assert (swap["solver"], swap["share"], swap["against baseline"]) == ("swap", 0.5, 10.0)
    assert np.isnan([swap["bits"], swap["low"], swap["high"]]).all()
    assert table["nJ an image"].tolist() == [0.5, 0.5]


def test_a_store_of_other_problems_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = make_store(tmp_path / "store.db", [{}])
    with pytest.raises(StoreError, match="must hold cells of ais-rounding or ais-topology"):
        compressed_generators.compressed(store)
    call = ["experiment", "compressed-generators", str(store), "--out", str(tmp_path)]
    assert cli.call(call) == 2
    assert capsys.readouterr().err.startswith("qubopress: ")


def test_generators_stand_beside_real_images_and_a_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "digits-generator": system(side=8).float(),
        "digits-generator-neural": NeuralGenerator(latent=4, widths=(8,), side=8).eval(),
    }
    monkeypatch.setattr(compressed_generators, "load_network", made.__getitem__)
    rows = compressed_generators.trained(list(made)).set_index("images")
    assert list(rows.index) == [*made, "real training images", "Gaussian pixels"]
    assert rows.loc["real training images", "over floor"] == 1.0
    assert rows.loc["Gaussian pixels", "over floor"] > 3
    # 4·8 + 8·64 products of 0.3 pJ.
    assert rows.loc["digits-generator-neural", "nJ an image"] == pytest.approx(544 * 0.3 / 1000)


def test_a_picture_shows_the_networks_of_the_stored_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = system(side=8).float()
    for module in (compressed_generators, calibration):
        monkeypatch.setattr(module, "load_network", lambda _: made)
    cells, infos, networks = [], [], []
    for number, bits in enumerate((2, 4)):
        spec = InstanceSpec.of("ais-rounding", network="digits-generator", bits=bits, calibration=3)
        stages: list[Stage] = []

        def decide(_: int, one: problems.Rounding, stages: list[Stage] = stages) -> np.ndarray:
            x = one.nearest()
            stages.append(Stage(one.f, one.loss(x), 0.0, pack(x), x.shape))
            return x

        networks.append(spec.drive(spec.task(), decide))
        info = instance("ais-rounding", number, **spec.everything) | {"key": spec.key(spec.task())}
        infos.append(info)
        cells.append(cell(info, "beam", 20.0) | {"stages": tuple(stages)})
    (path,) = compressed_generators.pictures(make_store(tmp_path / "store.db", cells, infos), tmp_path)
    assert path.name == "digits-generator.png"
    with Image.open(path) as image:
        pixels = torch.tensor(np.asarray(image))[2::4, 2::4] / 255.0
    rows = pixels.reshape(4, 9, -1, 9)[:, :8, : compressed_generators.SHOWN, :8]
    for row, module in zip(rows[1:], (made, networks[1], networks[0]), strict=True):
        expected = frechet_distance.samples_of(module, wanted=compressed_generators.SHOWN)[:, 0].permute(
            1, 0, 2
        )
        assert torch.allclose(row, expected, atol=0.003)


def test_the_suites_are_of_analog_generators_and_small() -> None:
    for name in ("analog", "analog-topology"):
        suite = load(name)
        assert {problems.get(one.problem).family for one in suite.instances} == {"analog"}
        assert sum(len(solvers) for solvers in suite.rounds()) * len(suite.instances) <= 90
