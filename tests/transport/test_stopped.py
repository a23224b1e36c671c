"""Peers that neither speak nor hang up: a stopped sshd, a stopped session, a name server that says nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import places
import processes
import pytest
from test_contract import at_work, eventually, lost_and_found

from opskit import errors, model
from opskit.transport import agent, fleet, process, ssh, stream

DEAF = agent.Timing(beat=0.2, silence=3.0, start=30.0, again=0.2)


@pytest.fixture(params=["sshd", "openssh"])
def environment(request, tmp_path):
    with places.environment(request.param, tmp_path, request) as made:
        yield replace(made, ssh=replace(made.ssh, connect_timeout=1.0))


@pytest.fixture
def hosts(environment):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=DEAF)) as opened:
        opened.open()
        yield opened


def session(folder: Path) -> int:
    """The sshd that serves the agent whose command is at work."""
    (record,) = (folder / "state").glob("*.json")
    return processes.sshd_above(json.loads(record.read_text())["pid"])


@contextlib.contextmanager
def stopped(*pids: int):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_stopped_session_is_a_pause_and_the_command_is_heard_to_its_end_over_another(hosts, tmp_path):
    with at_work(hosts, tmp_path) as replies, stopped(session(tmp_path)):
        with lost_and_found(hosts):
            pass
        (tmp_path / "go").touch()
        eventually(lambda: replies)
    assert [(reply.exit, reply.tail) for reply in replies] == [(0, "mark begun\nmark finished\n")]
    assert places.run(hosts, "show", "next").tail == '["next"]\n'


def test_a_stopped_sshd_is_a_host_that_stays_away_until_it_goes_on(hosts, tmp_path, sshd):
    said = []
    hosts.notice = said.append
    with at_work(hosts, tmp_path) as replies:
        with stopped(session(tmp_path), sshd.pid):
            eventually(lambda: said)
            time.sleep(2 * DEAF.silence)  # a while in which it is tried
            assert replies == []
        eventually(lambda: len(said) == 2)
    assert [reply.exit for reply in replies] == [0]
    assert said[1] == "app1 is back: `acme` is still at work"


def test_an_sshd_that_stays_stopped_is_given_up_after_the_limit(environment, tmp_path, sshd):
    made = replace(environment, ssh=replace(environment.ssh, reconnect=2.0))
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=replace(DEAF, start=2.0))) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path) as replies, stopped(session(tmp_path), sshd.pid):
            eventually(lambda: replies)
    assert [(reply.exit, reply.over) for reply in replies] == [(None, False)]
    assert replies[0].error.startswith("app1 stayed away for 2.0 s: ")


def test_a_name_that_nobody_resolves_is_given_up_after_the_limit():
    never = threading.Event()
    try:
        with pytest.raises(errors.ConnectError, match=r"its name was not resolved within 0\.1 s"):
            ssh.look_up("app1.example.com", 22, 0.1, lambda *_: never.wait())
    finally:
        never.set()


def test_a_name_that_does_not_exist_is_left_to_the_connection_that_says_so():
    def unknown(*_: object) -> None:
        raise socket.gaierror("no such name")

    assert ssh.look_up("nowhere", 22, 5.0, unknown) is None


def test_whoever_takes_nothing_more_of_what_is_sent_is_given_up_and_another_line_is_found(hosts, tmp_path):
    (holder,) = (tmp_path / "state").glob("*.holder")
    said = []
    hosts.notice = said.append
    with stopped(processes.sshd_above(json.loads(holder.read_text())["pid"])):
        reply = places.run(hosts, "show", "x" * 64 * 1024 * 1024)  # more than all that lies between us can hold
    assert (reply.exit, reply.over) == (None, True)
    assert said[0] == "lost app1 while migrating `acme` (it took nothing for 3 s): trying again for 5m00s"
    assert places.run(hosts, "show", "next").tail == '["next"]\n'


def test_a_pipe_that_is_full_and_stays_so_is_given_up(tmp_path):
    """An agent that speaks, and reads nothing."""
    speaks = f"import sys, time; sys.stdout.buffer.write({stream.MAGIC!r}); sys.stdout.flush(); time.sleep(600)"
    full = process.ProcessStream((sys.executable, "-c", speaks))
    client = agent.Agent(full, replace(DEAF, silence=1.0))
    with pytest.raises(errors.ConnectError, match=r"the agent did not start: it took nothing for 1 s"):
        client.open({"pad": "x" * 64 * 1024 * 1024})
    full._process.kill()


def test_between_tries_to_reach_a_lost_host_there_is_twice_as_long_each_time_half_a_minute_at_most_never_the_same():
    made = model.Environment("test", (), model.App("/srv/acme"), "custom")
    asks = [fleet.Fleet(made, places.HOLD, timing=replace(DEAF, again=1.0))._pauses() for _ in range(2)]
    pauses = [[next(ask) for _ in range(20)] for ask in asks]
    for at, most in enumerate([1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 15]):
        assert all(most / 2 <= each[at] <= most for each in pauses)
    assert pauses[0] != pauses[1]
