"""What became of each parameter: from the ledger, and where it is silent from the two networks."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn

from qubopress import suites
from qubopress.problems import InputError
from qubopress.problems.tasks.ledger import Fate, Ledger
from qubopress.problems.tasks.rules import Rules
from qubopress.suites.compressing.outcomes import reported
from qubopress.suites.compressing.report import Report, attach, report_of
from qubopress.suites.compressing.stages import Stage


def network() -> nn.Sequential:
    """Layers 0 and 3 with a BatchNorm between."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).eval()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(40, 5, generator=torch.Generator().manual_seed(5)), torch.arange(40) % 3


def stage(label: str, shape: str = "Rounding", loss: float = 1.0) -> Stage:
    return Stage(label, (), shape, "beam", "FINISHED", 0.5, loss, 4.0)


def report(before: nn.Module, after: nn.Module, *stages: Stage, ledger: Ledger | None = None) -> Report:
    return reported(
        before,
        after,
        ledger=ledger or Ledger(),
        stages=stages,
        settings={"bits": 4},
        rules=Rules(skip=("3",), layers={"0": {"bits": 2}}),
        seconds=2.0,
    )


def test_rounding_tells_of_every_layer_its_bits_its_loss_against_nearest_and_its_time() -> None:
    found = suites.report_of(suites.compress(network(), data(), bits=3))
    rows = found.table().set_index("parameter")
    assert list(rows.index) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    assert (rows["became"] == "rounded").all()
    bits = {"0.weight": 3, "0.bias": 32, "3.weight": 3, "3.bias": 32}
    assert rows["bits"].dropna().to_dict() == bits
    assert rows.loc[["0.weight", "3.weight"], "of nearest"].between(0.01, 1).all()
    assert (rows.loc[["0.weight", "3.weight"], "seconds"] > 0).all()
    assert rows.loc["1.weight", "why"] == "folded into another"
    assert found.left == 0
    assert found.bits == pytest.approx((48 * 3 + 9 * 32) / 57)
    assert found.seconds > sum(one.seconds for one in found.stages)
    assert [(one.label, one.solver) for one in found.stages] == [("0", "level-tabu"), ("3", "level-tabu")]


def test_pruning_tells_what_is_left_of_every_parameter() -> None:
    found = suites.report_of(suites.compress(network(), data(), problem="taylor", keep=0.5))
    rows = found.table().set_index("parameter")
    assert rows.loc["0.weight", ["became", "numbers", "now"]].tolist() == ["pruned", 30, 15]
    why = "its channels are inputs or outputs of the network, or are added to them"
    assert rows.loc["3.bias", ["became", "why"]].tolist() == ["float", why]
    assert found.bits == 32
    assert "of them left: " in str(found)


def test_what_nothing_changed_is_left_float_and_says_why() -> None:
    before = network()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after[0].weight += 1
    found = report(before, after, stage("0"))
    told = {fate.parameter: (fate.outcome, fate.bits, fate.why) for fate in found.fates}
    assert told["0.weight"] == ("rounded", 2, "")
    assert told["0.bias"] == ("float", None, "nothing changed it")
    assert told["3.weight"] == ("float", None, "skip names it")
    assert found.left == pytest.approx((69 - 30) / 69)


def test_what_changes_without_a_rounding_is_fitted_not_rounded() -> None:
    before = network()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after[0].weight += 1
    (fate,) = [
        one for one in report(before, after, stage("channels", "Capacity")).fates if one.why == "fitted anew"
    ]
    assert (fate.parameter, fate.outcome, fate.loss) == ("0.weight", "float", None)


def test_what_the_ledger_says_stands() -> None:
    ledger = Ledger()
    ledger.note(Fate("0.weight", "float", 30, "it runs twice"))
    ledger.note(Fate("3.weight", "rounded", 18, bits=8, loss=1.0, nearest_loss=2.0, held_loss=3.0))
    before = network()
    found = report(before, before, stage("0"), stage("3", loss=7.0), ledger=ledger)
    told = {fate.parameter: fate for fate in found.fates}
    assert (told["0.weight"].outcome, told["0.weight"].why) == ("float", "it runs twice")
    assert (told["3.weight"].bits, told["3.weight"].loss, told["3.weight"].held_loss) == (8, 1.0, 3.0)
    assert told["3.weight"].seconds == 0.5


def test_the_stages_of_one_layer_add_up() -> None:
    before = network()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after[0].weight += 1
    weight = report(before, after, stage("0", loss=1.0), stage("0", loss=2.0)).fates[0]
    assert (weight.loss, weight.nearest_loss, weight.seconds) == (3.0, 8.0, 1.0)


def test_a_layer_that_rounds_its_inputs_keeps_its_name_in_the_report() -> None:
    found = suites.report_of(suites.compress(network(), data(), bits=4, activations="int8"))
    assert [fate.numbers_after for fate in found.fates] == [30, 6, 0, 0, 18, 3]


def test_a_bias_that_folding_has_given_a_layer_is_told_of() -> None:
    model = nn.Sequential(nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6)).eval()
    found = suites.report_of(suites.compress(model, data(), bits=4))
    bias = found.fates[-1]
    assert (bias.parameter, bias.outcome, bias.bits) == ("0.bias", "rounded", 32)
    assert (bias.numbers, bias.numbers_after) == (0, 6)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm], ids=["old", "new"]
)
def test_a_parametrization_that_was_baked_in_is_told_of_as_its_weight(norm: Any) -> None:
    before = nn.Sequential(nn.Linear(5, 6), norm(nn.Linear(6, 3)))
    after = nn.Sequential(copy.deepcopy(before[0]), nn.Linear(6, 3))
    with torch.no_grad():
        after[1].bias.copy_(before[1].bias)
        after[1].weight.copy_(before[1].weight)
    left = report(before, after, stage("0"))
    assert sorted(fate.parameter for fate in left.fates) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert left.left == 1
    with torch.no_grad():
        after[1].weight.round_()
    told = {fate.parameter: fate for fate in report(before, after, stage("1")).fates}
    assert (told["1.weight"].outcome, told["1.weight"].numbers, told["1.weight"].loss) == ("rounded", 18, 1.0)


def test_tied_parameters_are_one() -> None:
    model = network()
    model[3].weight = nn.Parameter(torch.randn(3, 6))
    tied = nn.Sequential(model[0], model[0])
    assert len(report(tied, tied).fates) == 2


def test_the_report_goes_with_copies_and_pickles_and_never_with_the_state() -> None:
    plain = network()
    small = suites.compress(plain, data())
    whole = report_of(small)
    assert report_of(copy.deepcopy(small)) == whole
    file = io.BytesIO()
    torch.save(small, file)
    file.seek(0)
    assert report_of(torch.load(file, weights_only=False)) == whole
    assert not any("report" in name for name in small.state_dict())
    assert not any("report" in name for name in vars(plain))


def test_a_pickled_report_is_plain_data() -> None:
    small = network()
    attach(small, report(small, small, stage("0")))
    file = io.BytesIO()
    torch.save(small, file)
    assert b"qubopress.suites" not in file.getvalue()


@pytest.mark.parametrize("thing", [network(), "a text"], ids=["module", "text"])
def test_what_does_not_come_out_of_compress_has_no_report(thing: object) -> None:
    with pytest.raises(InputError, match=r"must come out of compress, got a .* without a report"):
        report_of(thing)  # type: ignore[arg-type]
