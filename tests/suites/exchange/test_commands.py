"""The commands `instances` and `judge`."""

from __future__ import annotations

from pathlib import Path

import pytest

from qubopress.suites.cli.app import call


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
def test_a_set_goes_out_and_its_solutions_come_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["instances", "qubopress-1", "--problem", "taylor", "--out", "set", "--format", "lp"]) == 0
    assert "2 instances in set" in capsys.readouterr().out
    for keep, ones in ((0.5, 10), (0.75, 16)):
        text = "1" * ones + "0" * (22 - ones)
        Path(f"mine-{ones}").mkdir()
        Path(f"set/taylor-digits-cnn-keep-{keep}.txt").write_text(text)
    assert call(["judge", "set", "--format", "csv"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split("\n")[1].startswith("1,set,")
    assert printed.err == ""
    Path("set/taylor-digits-cnn-keep-0.5.txt").write_text("1" * 22)
    assert call(["judge", "set", "--format", "csv"]) == 1
    assert (
        "false: set on taylor-digits-cnn-keep-0.5: it breaks the constraint by 12" in capsys.readouterr().err
    )


@pytest.mark.usefixtures("here")
def test_a_wrong_call_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, reason in (
        (["instances", "smoke", "--out", "x", "--format", "gset"], "--format must be one of"),
        (["instances", "smoke", "--out", "x", "--problem", "no*"], "no problem of suite smoke matches"),
        (["judge", "nowhere"], "no manifest.json in nowhere"),
    ):
        assert call(arguments) == 2
        assert reason in capsys.readouterr().err
