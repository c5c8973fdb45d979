"""The hardware model is its formula, and the width of couplings is read off their levels."""

from __future__ import annotations

import numpy as np
import pytest
from generating import generating_task, system
from tiny import drive

from qubopress.problems.analog.hardware_costs import CONSTANTS, SOURCES, bits_of, hardware, measures
from qubopress.problems.networks.interaction import Design
from qubopress.problems.quantization.grids import grid_for

VALUE = {name: value for name, (value, _, _) in CONSTANTS.items()}


def test_area_power_and_energy_are_the_formulas() -> None:
    design = Design(side=8, hidden=1, segments=4, duration=2.0)
    found = hardware(design, 1000, bits=3)
    nodes, c = 128, VALUE
    power = nodes * c["p_node"] + 1000 * (c["p_0"] + c["p_bit"] * 3)
    energy = power * 8 * c["tau"] * 1e-3 + 12000 * c["switch"] + nodes * c["load"] + 64 * c["readout"]
    assert found.area == pytest.approx((nodes * c["a_node"] + 1000 * (c["a_0"] + c["a_bit"] * 12)) / 1e6)
    assert found.milliwatts == pytest.approx(power / 1e3)
    assert found.nanoseconds == 8 * c["tau"]
    assert found.nanojoules == pytest.approx(energy / 1e3)


def test_more_bits_couplings_and_segments_cost_more() -> None:
    base = hardware(Design(), 1000, bits=4)
    for other in (
        hardware(Design(), 1000, bits=5),
        hardware(Design(), 1100, bits=4),
        hardware(Design(segments=5), 1000, bits=4),
    ):
        assert other.area > base.area
        assert other.nanojoules > base.nanojoules


def test_every_constant_says_where_it_is_from() -> None:
    assert VALUE.keys() == {
        "a_node", "a_0", "a_bit", "p_node", "p_0", "p_bit", "tau", "switch", "load", "readout"
    }  # fmt: skip
    for value, unit, source in CONSTANTS.values():
        assert value > 0
        assert unit in ("µm²", "µW", "ns", "pJ")
        assert "assumption of ours" in source or any(cited in source for cited in SOURCES)


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_width_of_couplings_on_a_grid_is_its_own(bits: int) -> None:
    couplings = np.random.default_rng(0).standard_normal((3, 5000))
    grid = grid_for(couplings, bits=bits, grid="minmax", per="channel")
    assert bits_of(grid.nearest(couplings).astype(np.float32)) == bits


def test_couplings_on_no_grid_count_as_eight_bits() -> None:
    assert bits_of(np.random.default_rng(0).standard_normal((2, 50))) == 8
    assert bits_of(np.zeros((2, 50))) == 1
    assert bits_of(np.array([[0.0, 3.0, 7.0]])) == 3


def test_the_measures_of_a_compressed_system_are_those_of_its_couplings() -> None:
    task = generating_task(system(hidden=1))
    found = measures(task, drive("ais-rounding", task, bits=3, density=0.5))
    expected = hardware(task.network.design, 28, bits=3)
    assert found == {
        "couplings": 28.0,
        "bits of a coupling": 3.0,
        "area (mm²)": expected.area,
        "nJ an image": expected.nanojoules,
    }
