"""A wrapper into a container: what becomes of timeouts, the lock and the state folder there."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import containers
import places
import pytest
from places import run

from opskit import errors, model
from opskit.transport import agent, fleet

DEAF = agent.Timing(beat=0.2, silence=2.0, start=30.0)


@pytest.fixture
def web(tmp_path):
    """A container whose state folder is its own."""
    with containers.container(tmp_path, "web", tmp_path / "private") as made:
        eventually((tmp_path / "web.up").exists)
        yield made


@pytest.fixture
def replica(tmp_path):
    """Another one of the same image."""
    with containers.container(tmp_path, "replica", tmp_path / "private") as made:
        eventually((tmp_path / "replica.up").exists)
        yield made


def environment(folder: Path, inside: containers.Container, state: str = "private") -> model.Environment:
    app = places.app(folder, wrapper=inside.wrapper, state_dir=str(folder / state / "opskit"))
    here = model.Host("here", "localhost", model.HostKind.LOCAL)
    return model.Environment("test", (here,), app, "custom", ssh=model.Ssh(reconnect=0.0), root=str(folder))


@contextlib.contextmanager
def opened(made: model.Environment, timing=DEAF):
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=timing)) as hosts:
        hosts.open()
        yield hosts


def is_free(made: model.Environment) -> bool:
    try:
        with opened(made):
            return True
    except errors.LockHeld:
        return False


def eventually(true) -> None:
    patience = time.monotonic() + 30
    while not true():
        assert time.monotonic() < patience, "it did not come true"
        time.sleep(0.02)


@contextlib.contextmanager
def at_work(hosts, folder: Path):
    """A command that goes on until `folder`/go is there; gives the list that its Reply will be in."""
    replies: list[model.Reply] = []
    command = ("wait_for", str(folder / "go"), str(folder / "witness"))
    thread = threading.Thread(target=lambda: replies.append(run(hosts, *command)))
    thread.start()
    eventually((folder / "witness.begun").exists)
    yield replies
    (folder / "go").touch()
    thread.join(30)


def test_commands_run_inside(tmp_path, web):
    with opened(environment(tmp_path, web)) as hosts:
        assert json.loads(run(hosts, "show", "a b", "$HOME").tail) == ["a b", "$HOME"]
        assert run(hosts, "code", "7").exit == 7
        assert json.loads(run(hosts, "where").tail) == [str(tmp_path / "app"), "manage.py"]
    assert list((tmp_path / "private").iterdir()) == []  # the lock and the records are the container's


def test_a_timeout_ends_what_runs_inside(tmp_path, web):
    with opened(environment(tmp_path, web)) as hosts:
        reply = run(hosts, "stubborn", str(tmp_path / "pids"), timeout=1.0)
        assert reply.timed_out
        assert (tmp_path / "pids").exists()  # it had begun
        eventually(lambda: not [line for line in commands() if str(tmp_path / "pids") in line])


def commands() -> list[str]:
    """The command lines of all processes of this machine, the containers' too."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_the_lock_of_a_container_keeps_others_out_of_that_container(tmp_path, web):
    made = environment(tmp_path, web)
    with opened(made):
        assert not is_free(made)
    eventually(lambda: is_free(made))


def test_two_replicas_have_two_locks(tmp_path, web, replica):
    """No virtue: what docs/recipes.md warns of."""
    with opened(environment(tmp_path, web)):
        assert is_free(environment(tmp_path, replica))


def test_two_replicas_with_one_volume_have_one_lock(tmp_path, web, replica):
    with opened(environment(tmp_path, web, state="volume")):
        assert not is_free(environment(tmp_path, replica, state="volume"))


def test_a_client_that_is_killed_leaves_the_command_to_its_end_and_the_lock_held_until_then(tmp_path, web):
    """What a lost connection to the host does to `docker exec`. Nothing inside hears of it: the agent counts."""
    made = environment(tmp_path, web)
    with opened(made) as hosts, at_work(hosts, tmp_path) as replies:
        web.kill_clients()
        eventually(lambda: replies)
        assert replies[0].exit is None
        assert not is_free(made)
        assert not (tmp_path / "witness").exists()
    eventually(lambda: is_free(made))
    assert (tmp_path / "witness").read_text() == "done"


def test_the_next_run_tells_how_it_ended(tmp_path, web):
    made = environment(tmp_path, web)
    with opened(made) as hosts, at_work(hosts, tmp_path):
        web.kill_clients()
    eventually((tmp_path / "witness").exists)
    eventually(lambda: is_free(made))
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=DEAF)) as after:
        (left,) = after.open().records
        assert (left["label"], left["exit"], left["tail"]) == ("acme", 0, "mark begun\nmark finished\n")


def test_a_container_that_is_stopped_takes_the_command_with_it_and_the_tenant_is_unknown(tmp_path, web):
    with opened(environment(tmp_path, web)) as hosts, at_work(hosts, tmp_path) as replies:
        web.stop()
        eventually(lambda: replies)
        assert (replies[0].exit, replies[0].error) == (None, "the connection was closed")
    assert not (tmp_path / "witness").exists()


def test_a_container_made_anew_on_the_same_volume_tells_that_the_end_is_not_known(tmp_path, web, replica):
    with opened(environment(tmp_path, web, state="volume")) as hosts, at_work(hosts, tmp_path) as replies:
        web.stop()
        eventually(lambda: replies)
    with contextlib.closing(fleet.Fleet(environment(tmp_path, replica, state="volume"), places.HOLD)) as after:
        (left,) = after.open().records
        assert (left["label"], "exit" in left) == ("acme", False)


def test_a_container_that_is_not_there_is_told_in_the_words_of_its_client(tmp_path, web):
    web.stop()
    made = environment(tmp_path, web)
    gone = replace(made, app=replace(made.app, wrapper=("sh", "-c", "echo 'No such container: web' >&2; exit 1")))
    with pytest.raises(errors.RemoteError) as caught, opened(gone):
        pass
    assert str(caught.value) == "here: the agent did not start: No such container: web (exit 1)"
