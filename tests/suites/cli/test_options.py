"""Every option of every command: given twice it is honoured twice or refused in one line, never half lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from calls import call, refused
from records import make_store

from qubopress.suites.cli import app, options

Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("here")


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it, groups that do something themselves included."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


def every_option() -> list[Any]:
    return [
        pytest.param(words, option, id=f"{' '.join(words)} {option.opts[0]}")
        for words, command in commands(typer.main.get_command(app.app))
        for option in command.params
        if option.param_type_name == "option" and not option.is_eager
    ]


def given(option: Any) -> list[str]:
    return [option.opts[0]] if option.is_flag else [option.opts[0], "1"]


@pytest.mark.parametrize(("words", "option"), every_option())
def test_an_option_that_cannot_be_repeated_is_refused_when_it_is(
    capsys: Captured, words: tuple[str, ...], option: Any
) -> None:
    if option.multiple:
        parser = _command(words).make_parser(_context(words))
        assert parser.parse_args([*given(option), *given(option)])[0][option.name] in (["1"], ["1", "1"])
        return
    line = refused(capsys, *words, *given(option), *given(option))
    assert f"{option.opts[0]} must be given once, got it 2 times; keep one" in line


@pytest.mark.parametrize(("words", "option"), every_option())
def test_an_option_that_is_misspelt_is_refused(capsys: Captured, words: tuple[str, ...], option: Any) -> None:
    line = refused(capsys, *words, f"{option.opts[0]}x", *given(option)[1:])
    assert f"No such option: {option.opts[0]}x" in line


def every_command() -> list[Any]:
    return [
        pytest.param(words, command, id=" ".join(words))
        for words, command in commands(typer.main.get_command(app.app))
        if not hasattr(command, "commands")
    ]


@pytest.mark.parametrize(("words", "command"), every_command())
def test_an_argument_too_many_is_refused(capsys: Captured, words: tuple[str, ...], command: Any) -> None:
    taken = [one for one in command.params if one.param_type_name == "argument"]
    if any(one.nargs == -1 for one in taken):
        return
    options = [one for one in command.params if one.param_type_name == "option" and one.required]
    needed = [word for one in options for word in given(one)]
    line = refused(capsys, *words, *needed, *("x" for _ in taken), "surplus")
    assert "Got unexpected extra argument(s) (surplus)" in line


def test_every_command_is_walked_groups_and_their_parts_too() -> None:
    walked = {" ".join(one.values[0]) for one in every_command()}
    assert {"judge", "export", "references update", "experiment large-generators", "instances"} <= walked
    assert len(walked) >= 37
    assert {words[0] for words, _ in commands(typer.main.get_command(app.app))} - {
        "references",
        "experiment",
    } == {name for name in walked if " " not in name}


@pytest.mark.parametrize(("words", "option"), [one for one in every_option() if one.values[1].multiple])
def test_names_are_parted_at_commas_and_settings_are_not(words: tuple[str, ...], option: Any) -> None:
    parser = _command(words).make_parser(_context(words))
    values = parser.parse_args([option.opts[0], "a, b", option.opts[0], "a"])[0][option.name]
    assert values == (["a, b", "a"] if option.name in options.WHOLE else ["a", "b"])


def test_an_option_that_names_nothing_is_refused(capsys: Captured) -> None:
    line = refused(capsys, "run", "smoke", "--solver", "beam,")
    assert "--solver must be names with commas between them, got 'beam,'" in line


@pytest.mark.parametrize("how", [["--family", "a,b"], ["--family", "a", "--family", "b"]])
def test_several_families_are_all_shown(tmp_path: Path, capsys: Captured, how: list[str]) -> None:
    infos = [{"key": name, "family": name} for name in "abc"]
    store = make_store(tmp_path / "s.db", [{"instance_key": name, "family": name} for name in "abc"], infos)
    assert call("leaderboard", "--store", store, *how) == 0
    out = capsys.readouterr().out
    assert [f"smoke · {name}:" in out for name in "abc"] == [True, True, False]


def _command(words: tuple[str, ...]) -> Any:
    command = typer.main.get_command(app.app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]  # those on the way are groups
    return command


def _context(words: tuple[str, ...]) -> Any:
    command = _command(words)
    return command.context_class(command)
