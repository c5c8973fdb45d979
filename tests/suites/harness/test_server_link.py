"""The warm server starts, hears and dies without leaving a process."""

from __future__ import annotations

import os
import signal

import pytest
from processes import descendants
from warm import SharedServer

from qubopress.suites.harness.executor import Job, ServerError
from qubopress.suites.harness.server_link import ServerLink, launched_ahead
from qubopress.suites.harness.supervisor import Supervisor


def test_a_server_that_dies_is_told_in_one_line() -> None:
    with Supervisor() as server:
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(
            ServerError, match=r"the warm server died.*finished cells are in the store"
        ) as caught:
            list(server.run([Job("survey", {"spec": {}, "plugins": ""})]))
    assert "\n" not in str(caught.value)
    assert descendants() == set()


def test_an_interrupt_while_the_server_starts_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(link: ServerLink, event: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ServerLink, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt, match=r"^$"), Supervisor():
        pass
    assert descendants() == set()


def test_a_server_launched_ahead_is_the_next_ones_and_ends_where_nobody_took_it() -> None:
    with launched_ahead():
        (ahead,) = descendants()
        with Supervisor() as server:
            assert server.pid == ahead
    assert descendants() == set()
    with launched_ahead():
        assert len(descendants()) == 1
    assert descendants() == set()


def test_a_request_larger_than_the_sockets_buffer_arrives_whole() -> None:
    with SharedServer() as server:
        payload = {"spec": {"x" * 3_000_000: 1}, "plugins": ""}
        (outcome,) = server.run([Job("survey", payload)])
    assert "formulation" in (outcome.answer or {})["broken"]  # what the payload lacks
