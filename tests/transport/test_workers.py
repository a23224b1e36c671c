"""Several workers of one run on one host: what they share, and what is each one's own, over every transport."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import places
import pytest
from places import run

from opskit import errors, model
from opskit.transport import fleet, starts

NEXT = fleet.Hold("20261122T150000-test", "ann@ops2", "2026-11-22T15:00:00+00:00")
AGAIN = replace(places.HOLD, at="2026-11-22T16:00:00+00:00")  # the same run, resumed


@pytest.fixture(params=places.NAMES)
def environment(request, tmp_path):
    with places.environment(request.param, tmp_path, request) as made:
        yield made


@pytest.fixture
def first(environment):
    said = []
    hosts = fleet.Fleet(environment, places.HOLD, timing=places.FAST, notice=said.append, worker=0)
    with contextlib.closing(hosts):
        hosts.open()
        yield hosts


@pytest.fixture
def second(first):
    with contextlib.closing(first.colleague(1)) as hosts:
        hosts.open()
        yield hosts


def eventually(true, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)


@dataclass
class Work:
    """A worker's command, which runs until its file `go` is there."""

    folder: Path
    hosts: fleet.Fleet
    replies: list[model.Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        words = ("wait_for", str(self.folder / "go"), str(self.folder / "w"))
        self.thread = threading.Thread(target=lambda: self.replies.append(run(self.hosts, *words)))
        self.thread.start()
        eventually((self.folder / "w.begun").exists)

    def let_go(self) -> model.Reply:
        (self.folder / "go").touch()
        self.thread.join(60)
        return self.replies[0]


@pytest.fixture
def at_work(tmp_path):
    """Starts a Work for a worker; each is let go in the end."""
    works = []

    def start(hosts: fleet.Fleet) -> Work:
        works.append(Work(tmp_path / f"work{len(works)}", hosts))
        return works[-1]

    yield start
    for work in works:
        work.let_go()


def held(environment, hold: fleet.Hold, worker: int | None = None) -> bool:
    """Whether somebody else is refused."""
    with contextlib.closing(fleet.Fleet(environment, hold, timing=places.FAST, worker=worker)) as other:
        try:
            other.open()
        except errors.LockHeld:
            return True
        return False


def agent_of(environment, worker: int) -> int:
    """The process of the agent that has started this worker's command."""
    for path in Path(environment.app.state_dir).glob("*.json"):
        record = json.loads(path.read_text())
        if record["worker"] == worker:
            parent = Path(f"/proc/{record['pid']}/stat").read_text().rpartition(")")[2].split()[1]
            return int(parent if environment.runner is not model.Runner.WARM else _parent(parent))
    raise AssertionError("there is no such record")


def _parent(pid: str) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]


def test_workers_run_commands_at_the_same_time_and_nobody_else_starts_any(environment, first, second, at_work):
    works = [at_work(first), at_work(second)]
    for hold, worker in ((NEXT, None), (NEXT, 0), (AGAIN, 0), (AGAIN, 2)):
        assert held(environment, hold, worker)
    replies = [work.let_go() for work in works]
    assert [(reply.exit, reply.tail) for reply in replies] == [(0, "mark begun\nmark finished\n")] * 2


def test_the_lock_is_held_for_as_long_as_one_of_them_lives(environment, first, second):
    first.close()
    assert held(environment, NEXT)
    assert run(second, "show", "mine").tail == '["mine"]\n'
    second.close()
    eventually(lambda: not held(environment, NEXT))
    left = {path.name.partition(".")[2] for path in Path(environment.app.state_dir).iterdir()}
    assert left == {"holder", "lock", "0.lock", "1.lock"}


def test_a_workers_lost_line_is_taken_up_again_while_the_other_goes_on(environment, first, second, at_work):
    said = []
    second.notice = said.append
    lost, other = at_work(second), at_work(first)
    second._agent._line.close()
    eventually(lambda: len(said) == 2)
    assert other.let_go().exit == 0
    assert run(first, "show", "next").tail == '["next"]\n'
    assert lost.let_go().exit == 0
    name = environment.hosts[0].name
    assert said[1] == f"{name} is back: `acme` is still at work"
    assert run(second, "show", "next").tail == '["next"]\n'


def test_an_agent_killed_beside_another_leaves_its_command_to_the_one_that_follows_it(
    environment, first, second, at_work
):
    lost, other = at_work(second), at_work(first)
    had = second._agent
    os.kill(agent_of(environment, 1), signal.SIGKILL)
    eventually(lambda: second._agent not in (had, None) and second._agent.pid is not None)
    assert not second._agent.holds
    reply = lost.let_go()
    assert (reply.exit, reply.over, reply.tail) == (None, True, "mark begun\nmark finished\n")
    assert run(second, "show", "next").tail == '["next"]\n'
    assert other.let_go().exit == 0


@pytest.mark.parametrize("killed", [0, 1])
def test_an_orphan_of_any_worker_keeps_the_next_run_out(environment, first, second, at_work, killed):
    alone = replace(environment, ssh=replace(environment.ssh, reconnect=0.0))
    for hosts in (first, second):
        hosts._environment = alone
    works = [at_work(first), at_work(second)]
    os.kill(agent_of(environment, killed), signal.SIGKILL)
    eventually(lambda: works[killed].replies)
    works[1 - killed].let_go()
    first.close()
    second.close()
    for hold, worker in ((NEXT, None), (NEXT, 0), (AGAIN, 0), (AGAIN, 1)):
        assert held(environment, hold, worker)
    works[killed].let_go()
    eventually(lambda: not held(environment, NEXT))


def test_the_resumed_run_is_told_what_each_of_them_left(environment, first, second, at_work):
    alone = replace(environment, ssh=replace(environment.ssh, reconnect=0.0))
    for hosts in (first, second):
        hosts._environment = alone
    works = [at_work(first), at_work(second)]
    for hosts in (first, second):
        hosts._agent._line.close()  # as if the controller were killed: no goodbye
    for work in works:
        eventually(lambda work=work: work.replies)
        work.let_go()
    eventually(lambda: not held(environment, AGAIN, 0))
    with contextlib.closing(fleet.Fleet(environment, AGAIN, timing=places.FAST, worker=0)) as again:
        records = again.open().records
        assert [(record["worker"], record["exit"]) for record in records] == [(0, 0), (1, 0)]
        for record in records:
            again.forget(record)
        with contextlib.closing(again.colleague(1)) as other:
            assert other.open().records == ()


def test_workers_begin_with_the_hosts_in_turn(tmp_path):
    hosts = tuple(model.Host(name, name) for name in ("app1", "app2", "app3"))
    made = model.Environment("test", hosts, places.app(tmp_path), "custom")
    first = fleet.Fleet(made, places.HOLD, worker=0)
    names = [[host.name for host in first.colleague(worker)._environment.hosts] for worker in (1, 2, 3)]
    assert names == [["app2", "app3", "app1"], ["app3", "app1", "app2"], ["app1", "app2", "app3"]]


def test_a_closed_fleet_does_not_look_for_its_host_again(environment, first, at_work):
    work = at_work(first)
    first.close()
    eventually(lambda: work.replies)
    assert (work.replies[0].exit, work.replies[0].over) == (None, False)


def test_a_worker_that_waits_for_its_turn_to_log_in_hears_the_operator_meanwhile():
    begun, looked, entered = starts.Starts(), threading.Event(), []

    def second():
        with begun.turn(looked.set):
            entered.append("second")

    waiting = threading.Thread(target=second)
    with begun.turn(lambda: None):
        waiting.start()
        assert looked.wait(60.0)
        entered.append("first")
    waiting.join(60.0)
    assert entered == ["first", "second"]


def test_whoever_fails_to_log_in_gives_the_turn_to_the_next():
    begun = starts.Starts()
    with contextlib.suppress(errors.ConnectError), begun.turn(lambda: None):
        raise errors.ConnectError("timed out")
    with begun.turn(lambda: pytest.fail("it waits")):
        pass
