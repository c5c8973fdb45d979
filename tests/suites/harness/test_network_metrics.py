"""Each network is judged once, and only where print and weights tell it from every other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from qubopress import problems, suites
from qubopress.problems import Task
from qubopress.problems.pruning import surgery
from qubopress.problems.pruning.groups import prunable
from qubopress.results.storage.record import STORED_BYTES
from qubopress.suites.harness import network_metrics
from qubopress.suites.spec import InstanceSpec

SPEC = InstanceSpec.of("taylor", network="digits-cnn", calibration=20)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUBOPRESS_CACHE", str(tmp_path))


def counted(task: Task) -> tuple[Task, list[nn.Module]]:
    """The task with a judge that notes what it judged."""
    asked: list[nn.Module] = []
    judge = task.judge
    assert judge is not None
    return dataclasses.replace(task, judge=lambda one: asked.append(one) or judge(one)), asked


def smaller(task: Task, *, without: int = 3) -> nn.Module:
    groups = prunable(task)
    x = [int(i != without) for i in range(groups.total)]
    return surgery.shrink(task.copy(), groups, x)


def test_a_network_is_judged_once_and_scores_what_the_judge_says() -> None:
    task, asked = counted(SPEC.task())
    assert task.judge is not None
    network = smaller(task)
    found = [network_metrics.metric_of(SPEC, task, one) for one in (network, smaller(task))]
    assert len(asked) == 1
    assert found == pytest.approx([task.judge(network)] * 2, abs=0.002)
    assert network.conv2.weight.is_contiguous()


def test_measures_are_kept_too_and_are_what_the_formulation_says() -> None:
    task, asked = counted(SPEC.task())
    found = [network_metrics.measures_of(SPEC, task, smaller(task)) for _ in range(2)]
    assert len(asked) == 1
    assert found[0] == found[1] == network_metrics.figures_of(SPEC, task, smaller(task))
    assert set(found[0]) == {"accuracy after fine-tune", "parameters", "products", STORED_BYTES}


@pytest.mark.parametrize(("problem", "told"), [("adaround", {"bits": 3}), ("taylor", {}), ("topology", {})])
def test_the_bytes_of_a_record_are_those_of_the_file_and_analog_machines_have_none(
    problem: str, told: dict[str, int], tmp_path: Path
) -> None:
    network = "digits-mlp" if problem == "topology" else "digits-cnn"
    spec = InstanceSpec.of(problem, network=network, calibration=20, **told)
    task = spec.task()
    small = spec.drive(task, lambda _, instance: instance.baseline())
    stored = network_metrics.measures_of(spec, task, small).get(STORED_BYTES)
    written = suites.save(small, tmp_path / "net.safetensors").bytes
    assert stored == (None if problem == "topology" else written)


@pytest.mark.parametrize("change", ["weights", "layers", "draw", "torch"])
def test_another_network_draw_or_torch_is_judged_anew(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, asked = counted(SPEC.task())
    network = smaller(task)
    network_metrics.metric_of(SPEC, task, network)
    if change == "weights":
        network = smaller(task, without=4)
    elif change == "layers":
        network.relu1 = nn.Tanh()
    elif change == "draw":
        task = dataclasses.replace(task, identity="another")
    else:
        monkeypatch.setattr(network_metrics.torch, "__version__", "another")
    network_metrics.metric_of(SPEC, task, network)
    assert len(asked) == 2


class Hiding(nn.Module):
    """Its print does not say by what it multiplies."""

    def __init__(self, inner: nn.Module, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = inner, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.inner(x)


def test_a_network_that_its_print_does_not_tell_apart_is_judged_every_time() -> None:
    task, asked = counted(SPEC.task())
    found = [network_metrics.metric_of(SPEC, task, Hiding(task.copy(), factor)) for factor in (1.0, -1.0)]
    assert len(asked) == 2
    assert found[0] != found[1]


def test_what_a_plugins_formulation_ends_in_is_judged_every_time() -> None:
    @problems.problem("stranger")
    def stranger(task):  # type: ignore[no-untyped-def]
        yield problems.Qubo([[1.0]])
        return task.copy()

    spec = InstanceSpec.of("stranger", network="digits-cnn", calibration=20)
    task, asked = counted(spec.task())
    for _ in range(2):
        network_metrics.metric_of(spec, task, task.copy())
        assert network_metrics.measures_of(spec, task, task.copy()).keys() == {STORED_BYTES}
    assert len(asked) == 2


def test_a_task_without_a_judge_has_no_metric() -> None:
    task = dataclasses.replace(SPEC.task(), judge=None)
    assert network_metrics.metric_of(SPEC, task, task.network) is None
