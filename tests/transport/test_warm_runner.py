"""What a fork of a loaded project adds to the contract: loading fails, the runner dies, a fork hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import places
import pytest
import warm_project

from opskit import model
from opskit.transport import fleet

EVERY_SECOND_TIME = """
import pathlib
odd = pathlib.Path(__file__).with_name("odd")
if not odd.exists():
    odd.touch()
    raise RuntimeError("not this time")
odd.unlink()
"""


class Hosts:
    """A fleet on a project of tests/warm_project.py, and what its operator is told."""

    def __init__(self, folder: Path, runner: model.Runner, timing, **made) -> None:
        self.app = folder / "app"
        warm_project.make(self.app, **made)
        host = model.Host("here", "localhost", model.HostKind.LOCAL)
        of_it = places.app(folder)
        (self.app / "manage.py").write_text(made.get("manage", warm_project.MANAGE))
        environment = model.Environment("test", (host,), of_it, "custom", runner=runner, root=str(folder))
        self.said: list[str] = []
        self.fleet = fleet.Fleet(environment, places.HOLD, notice=self.said.append, timing=timing)
        self.fleet.open()

    def act(self, text: str, **more) -> model.Reply:
        return places.run(self.fleet, "act", text, **more)

    def runner(self) -> int:
        """The process of the warm runner: the parent of a command."""
        return int(self.act("import os; print(os.getppid())").tail.split()[0])


@pytest.fixture
def reached(tmp_path):
    with contextlib.ExitStack() as stack:

        def reach(runner=model.Runner.WARM, still: float = 60.0, **made) -> Hosts:
            found = Hosts(tmp_path, runner, replace(places.FAST, still=still), **made)
            stack.callback(found.fleet.close)
            return found

        yield reach


def test_the_project_is_loaded_once_and_what_that_prints_is_no_tenants_output(reached):
    hosts = reached(settings="print('settings are read')\n")
    first, second = hosts.runner(), hosts.act("import os; print(os.getppid())")
    assert second.tail == f"{first}\nmanage.py goes on\n"
    assert hosts.said == []


def test_cold_every_command_is_started_by_the_agent(reached):
    hosts = reached(model.Runner.COLD)
    assert hosts.act("print('hello')").tail == "manage.py is read\nhello\nmanage.py goes on\n"


def test_a_project_that_cannot_be_loaded_runs_cold_and_says_why(reached):
    hosts = reached(settings=EVERY_SECOND_TIME)
    assert hosts.act("print('hello')").tail == "manage.py is read\nhello\nmanage.py goes on\n"
    assert hosts.said == [
        "here: the warm runner was given up: the project could not be loaded for it: RuntimeError: not this time"
    ]


def test_after_three_times_everything_runs_cold(reached):
    hosts = reached(settings=EVERY_SECOND_TIME)
    for _ in range(3):
        assert hosts.act("print('hello')").exit == 0
    assert hosts.said[2].endswith("RuntimeError: not this time; from here on every command starts by itself")
    assert hosts.act("pass").exit == 1  # the project fails of itself now, and of nothing else
    assert hosts.act("pass").exit == 0
    assert len(hosts.said) == 3


def test_a_timeout_while_the_project_is_loaded_ends_a_command_that_never_began(reached, tmp_path):
    hosts = reached(settings=f"import os, time\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.05)\n")
    reply = hosts.act("open('done', 'w')", timeout=1.0)
    assert (reply.exit, reply.timed_out) == (-signal.SIGTERM, True)
    (tmp_path / "go").touch()
    assert hosts.act("print('hello')").exit == 0
    assert not (hosts.app / "done").exists()


def test_a_runner_that_was_killed_is_replaced(reached):
    hosts = reached()
    first = hosts.runner()
    os.kill(first, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{first}").exists())  # the agent has heard of it, too
    assert hosts.runner() != first
    assert hosts.said == ["here: the warm runner was given up: it ended by itself"]


def test_a_command_outlives_its_runner_and_then_nobody_knows_its_exit(reached, tmp_path):
    hosts = reached()
    runner, replies = hosts.runner(), []
    wait = f"import os, time\nopen('begun', 'w')\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.05)\nprint('end')"
    thread = threading.Thread(target=lambda: replies.append(hosts.act(wait)))
    thread.start()
    until((hosts.app / "begun").exists)
    os.kill(runner, signal.SIGKILL)
    gone(runner)
    assert not replies
    (tmp_path / "go").touch()
    thread.join(30)
    (reply,) = replies
    assert (reply.exit, reply.over, reply.tail) == (None, True, "end\nmanage.py goes on\n")
    assert hosts.act("print('hello')").tail == "hello\nmanage.py goes on\n"


def test_a_runner_that_does_not_answer_is_given_up(reached):
    hosts = reached(still=2.0)
    runner = hosts.runner()
    os.kill(runner, signal.SIGSTOP)
    assert hosts.act("print('hello')").tail == "manage.py is read\nhello\nmanage.py goes on\n"
    assert hosts.said == ["here: the warm runner was given up: it did not answer for 2 s"]
    gone(runner)


def test_a_command_whose_runner_is_stopped_ends_and_nobody_knows_its_exit(reached, tmp_path):
    hosts = reached()
    runner, replies = hosts.runner(), []
    wait = f"import os, time\nopen('begun', 'w')\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.05)"
    thread = threading.Thread(target=lambda: replies.append(hosts.act(wait)))
    thread.start()
    until((hosts.app / "begun").exists)
    os.kill(runner, signal.SIGSTOP)
    (tmp_path / "go").touch()
    thread.join(30)
    os.kill(runner, signal.SIGCONT)
    (reply,) = replies
    assert (reply.exit, reply.over) == (None, True)


def test_a_fork_that_says_nothing_and_reaches_no_database_is_killed(reached):
    hosts = reached(still=2.0)
    reply = hosts.act("import time; time.sleep(600)")
    assert (reply.exit, reply.stuck) == (-signal.SIGKILL, True)
    assert hosts.act("print('hello')").exit == 0
    assert [text.rstrip("0123456789 s") for text in hosts.said] == [
        "here: the warm runner was given up: a command reached no database and said nothing for"
    ]


@pytest.mark.parametrize(
    "first", ["print('at work', flush=True)", "from django.db import connection; connection.ensure_connection()"]
)
def test_a_fork_that_has_said_something_or_reached_a_database_may_take_its_time(reached, first):
    hosts = reached(still=2.0)
    reply = hosts.act(f"{first}\nimport time; time.sleep(4)")
    assert (reply.exit, reply.stuck) == (0, False)
    assert hosts.said == []


def test_threads_and_connections_of_the_set_up_are_told_once(reached):
    ready = (
        "import threading; from django.db import connection; connection.ensure_connection(); "
        "threading.Thread(target=threading.Event().wait, daemon=True, name='exporter').start()"
    )
    hosts = reached(ready=ready)
    for _ in range(2):
        assert hosts.act("print('hello')").exit == 0
    assert hosts.said == [
        "here: the project's set-up started threads, which a forked command does not have: exporter",
        "here: the project's set-up connected to default: closed before the first command",
    ]


def test_code_that_a_deploy_brings_is_told_where_a_command_imports_it(reached):
    hosts = reached()
    assert hosts.act("print('hello')").exit == 0
    (hosts.app / "latecomer.py").write_text("")
    os.utime(hosts.app / "latecomer.py", (4e9, 4e9))
    assert hosts.act("import latecomer").exit == 0
    assert hosts.said == ["here: a command imported code that is newer than this run: latecomer"]


def test_settings_that_a_command_names_itself_are_loaded_for_it_alone(reached):
    hosts = reached()
    (hosts.app / "others.py").write_text("from settings import *\nSECRET_KEY = 'another'\n")
    text = "from django.conf import settings; print(settings.SECRET_KEY)"
    assert "another\n" in places.run(hosts.fleet, "act", text, "--settings=others").tail
    assert "of the tests\n" in hosts.act(text).tail


def test_a_daemon_that_an_agents_end_finds_goes_on(reached, tmp_path):
    hosts = reached()
    leave = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
        f"    while not os.path.exists('{tmp_path}/go'): time.sleep(0.05)\n"
        f"    open('{tmp_path}/done', 'w'); os._exit(0)"
    )
    assert hosts.act(leave).exit == 0
    hosts.fleet.close()
    (tmp_path / "go").touch()
    until((tmp_path / "done").exists)


def gone(pid: int) -> None:
    until(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text())


def until(true, seconds: float = 30.0) -> None:
    """Wait for what other processes do."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it did not come true"
        time.sleep(0.02)
