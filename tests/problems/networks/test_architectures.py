"""Shapes of the networks, and names of their layers."""

from __future__ import annotations

from qubopress.problems.networks import weights


def test_layers_have_readable_names() -> None:
    children = [name for name, _ in weights.load_network("fashion-mlp").named_children()]
    assert children == ["flatten", "fc1", "relu1", "fc2", "relu2", "fc3"]
