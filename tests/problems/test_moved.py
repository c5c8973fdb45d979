"""Formulations that were begun with an earlier version still load, and say what to change."""

from __future__ import annotations

from importlib import import_module

import pytest

from qubopress.problems import pruning


@pytest.mark.parametrize(
    ("module", "name"), [("groups", "prunable"), ("selection", "kept"), ("surgery", "mask")]
)
def test_an_old_import_still_works_and_warns(module: str, name: str) -> None:
    old = import_module(f"qubopress.problems.{module}")
    with pytest.warns(
        FutureWarning, match=f"problems.{module} has moved; import {name} from qubopress.problems.pruning"
    ):
        assert getattr(old, name) is getattr(pruning, name)


def test_what_was_never_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nosuch"):
        import_module("qubopress.problems.groups").nosuch  # noqa: B018
