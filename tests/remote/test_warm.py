"""The warm runner, started as the agent starts it, on a real Django project."""

import contextlib
import gc
import os
import re
import signal
import time
from pathlib import Path

import pytest
import warm_project
import warm_runner

WAIT = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"  # until the test has made that file
FOREVER = "time.sleep(600)"  # in a project's check; the fork is ended long before


@pytest.fixture
def started(tmp_path):
    """Start a runner on a project that is made as `warm_project.make` is told."""
    with contextlib.ExitStack() as stack:

        def start(env=(), **made):
            runner = warm_runner.Warm(warm_project.make(tmp_path / "app", **made), tmp_path, **dict(env))
            stack.callback(runner.process.wait, 10)
            stack.callback(runner.close)
            return runner

        yield start


@pytest.fixture
def runner(started):
    found = started()
    assert found.heard() == {"type": "ready", "threads": [], "opened": []}
    return found


def test_the_project_is_read_once_and_each_command_ends_as_manage_py_would(runner):
    assert runner.run("print('hello')") == (0, "hello\nmanage.py goes on\n")
    assert runner.run("print('again')") == (0, "again\nmanage.py goes on\n")
    assert runner.log.read_text() == "manage.py is read\n"


def test_a_command_is_told_its_own_words_and_environment(runner):
    text = "import os, sys; print(sys.argv[:2], os.environ['PGAPPNAME'], sys.stdin.read() == '')"
    assert runner.run(text, env={"PGAPPNAME": "opskit/1/acme"}) == (
        0,
        "['manage.py', 'act'] opskit/1/acme True\nmanage.py goes on\n",
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import sys; sys.exit(3)", 3),
        ("from django.core.management.base import CommandError; raise CommandError('no')", 1),
        ("raise ValueError('no')", 1),
        ("import os; os._exit(7)", 7),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
    ],
)
def test_however_a_command_ends_its_exit_is_told_and_the_next_one_runs(runner, text, code):
    assert runner.run(text)[0] == code
    assert runner.run("print('well')") == (0, "well\nmanage.py goes on\n")


def test_what_a_command_does_to_its_process_is_gone_with_it(runner):
    look = (
        "import os, signal, sys, threading; print(os.getcwd(), 'X' in os.environ, os.umask(0o22) == 0o22, "
        "signal.getsignal(15), threading.active_count(), hasattr(sys, 'left'))"
    )
    before = runner.run(look)
    spoil = (
        "import os, signal, sys, threading; os.chdir('/'); os.environ['X'] = '1'; os.umask(0); "
        "signal.signal(15, signal.SIG_IGN); sys.left = 1; os.close(1); "
        "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    assert runner.run(spoil)[0] in {0, 1, 120}  # Python itself says 120 where it can't flush a closed stdout
    assert runner.run(look) == before


def test_each_command_is_a_process_group_of_its_own(runner):
    _, said = runner.run("import os; print(os.getpid() == os.getpgid(0) == os.getsid(0))")
    assert said.startswith("True")


def test_no_two_commands_share_a_random_number(runner):
    draw = "import random, uuid; print(random.random(), uuid.uuid4())"
    assert runner.run(draw) != runner.run(draw)


def test_the_first_connection_is_told(runner):
    runner.send("act", "from django.db import connection; connection.cursor().execute('SELECT 1')")
    kinds = [message["type"] for message in runner.until("exited")]
    assert sorted(kinds) == ["at_work", "exited", "forked"]


def test_a_connection_that_the_set_up_opened_is_closed_before_the_first_fork(started):
    ready = "from django.db import connection; connection.cursor().execute('SELECT 1')"
    runner = started(ready=ready)
    assert runner.heard() == {"type": "ready", "threads": [], "opened": ["default"]}
    look = "from django.db import connection; print(connection.connection)"
    assert runner.run(look) == (0, "None\nmanage.py goes on\n")


def test_threads_of_the_set_up_are_named(started):
    ready = "import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='exporter').start()"
    runner = started(ready=ready)
    assert runner.heard() == {"type": "ready", "threads": ["exporter"], "opened": []}
    assert runner.run("print('hello')") == (0, "hello\nmanage.py goes on\n")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"settings": "raise RuntimeError('no settings today')\n"}, "RuntimeError: no settings today"),
        ({"ready": "raise SystemExit(3)"}, "SystemExit: 3"),
        ({"manage": "import sys\nsys.exit('no')\n"}, "SystemExit: no"),
        ({"manage": "print('nothing')\n"}, "manage.py never reached execute_from_command_line"),
    ],
)
def test_a_project_that_cannot_be_loaded_says_why(started, made, why):
    runner = started(**made)
    assert runner.heard() == {"type": "unable", "why": why}
    assert runner.lines.readline() == b""


def test_a_question_is_answered_beside_the_project(runner):
    out = runner.send("a", source="import sys, settings; print(sys.argv, settings.SECRET_KEY)")
    assert runner.until("exited")[-1]["exit"] == 0
    assert out.read_text() == "['-c', 'a'] of the tests\n"


def test_a_question_that_breaks_says_so_with_a_traceback(runner):
    out = runner.send(source="raise ValueError('no answer')")
    assert runner.until("exited")[-1]["exit"] == 1
    assert out.read_text().splitlines()[-1] == "ValueError: no answer"


def test_code_that_a_command_imports_after_a_deploy_is_named(runner, tmp_path):
    (tmp_path / "app" / "latecomer.py").write_text("")
    os.utime(tmp_path / "app" / "latecomer.py", (4e9, 4e9))
    runner.send("act", "import latecomer")
    assert {"type": "late", "id": 1, "modules": ["latecomer"]} in runner.until("exited")


def test_code_that_was_imported_before_the_fork_is_not_named(runner, tmp_path):
    os.utime(tmp_path / "app" / "acting" / "apps.py", (4e9, 4e9))
    runner.send("act", "import acting.apps")
    assert [message["type"] for message in runner.until("exited")] == ["forked", "exited"]


def test_no_database_is_touched_before_a_command_touches_it(runner, tmp_path):
    assert runner.run("pass")[0] == 0
    assert not (tmp_path / "app" / "db").exists()


@pytest.mark.parametrize(
    ("settings", "expected"), [("", gc.get_threshold()), ("import gc\ngc.set_threshold(9, 8, 7)\n", (9, 8, 7))]
)
def test_a_command_collects_its_garbage_as_the_project_wants_it(started, settings, expected):
    runner = started(settings=settings)
    runner.until("ready")
    assert runner.run("import gc; print(gc.isenabled(), gc.get_threshold())")[1].splitlines()[0] == f"True {expected}"


def test_a_daemon_that_a_command_leaves_behind_holds_nothing_up(runner):
    leave = (
        "import os, sys, time\nif os.fork() == 0:\n    os.setsid(); os.write(1, b'daemon %d;' % os.getpid())\n"
        "    time.sleep(30); os._exit(0)"
    )
    code, _ = runner.run(leave)
    assert code == 0
    out = runner.folder / "1.out"
    until(lambda: re.search(r"daemon \d+;", out.read_text()))
    os.kill(int(re.search(r"daemon (\d+);", out.read_text())[1]), signal.SIGKILL)


def test_two_commands_at_once(runner):
    runner.send("act", WAIT)
    assert runner.heard()["type"] == "forked"
    runner.send("act", "open('go', 'w')")
    assert sorted(each["id"] for each in runner.until("exited") + runner.until("exited")) == [1, 2, 2]


def test_the_runner_ends_with_its_agent_and_the_command_goes_on(started, tmp_path):
    runner = started()
    runner.until("ready")
    runner.send("act", f"{WAIT}\nopen('done', 'w')")
    runner.until("forked")
    runner.close()
    runner.process.wait(10)
    (tmp_path / "app" / "go").touch()
    until(lambda: (tmp_path / "app" / "done").exists())


def test_a_child_whose_agent_never_learned_its_number_does_nothing(started, tmp_path):
    runner = started()
    runner.until("ready")
    runner.patient = False
    runner.send("act", "open('done', 'w')")
    pid = runner.heard()["pid"]
    runner.close()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert not (tmp_path / "app" / "done").exists()


# ---------------------------------------------------------------- the fork that is made ahead


def children(runner):
    """The numbers of the processes that the runner has forked and that have not ended."""
    return {
        int(pid) for pid in Path(f"/proc/{runner.process.pid}/task/{runner.process.pid}/children").read_text().split()
    }


def ahead(runner, at_work=()):
    """The number of the one fork beside those that have begun."""
    until(lambda: len(children(runner) - set(at_work)) == 1)
    (pid,) = children(runner) - set(at_work)
    return pid


def forked(runner, *args):
    runner.send(*args)
    return runner.until("forked")[-1]["pid"]


def test_while_a_command_is_at_work_the_fork_for_the_next_one_is_made(runner, tmp_path):
    first = forked(runner, "act", WAIT)
    spare = ahead(runner, [first])
    (tmp_path / "app" / "go").touch()
    runner.until("exited")
    assert forked(runner, "act", "print('hello')") == spare
    assert runner.until("exited")[-1] == {"type": "exited", "id": 2, "exit": 0}
    assert (tmp_path / "2.out").read_text() == "hello\nmanage.py goes on\n"


def test_a_fork_made_ahead_begins_like_any_other(runner):
    look = (
        "import gc, os, signal, sys, threading; print(sys.argv[:2], sorted(os.environ), sorted(os.listdir('/proc/self/fd')), "
        "os.getsid(0) == os.getpid(), signal.getsignal(14), signal.getsignal(17), signal.set_wakeup_fd(-1), threading.active_count(), "
        "gc.get_threshold())"
    )
    found = [runner.run(look) for _ in range(3)]
    assert found[0][0] == 0
    assert found[1:] == found[:2]


def test_a_question_is_a_fork_of_its_own_and_leaves_the_one_made_ahead(runner):
    runner.run("pass")
    spare = ahead(runner)
    runner.send(source="pass")
    assert runner.until("forked")[-1]["pid"] != spare
    assert runner.until("exited")[-1]["exit"] == 0
    assert forked(runner, "act", "pass") == spare


def test_what_is_loaded_for_another_command_is_in_its_fork(runner, tmp_path):
    """The one that was made ahead of the first one's next does not have it, and ends."""
    commands = tmp_path / "app" / "acting" / "management" / "commands"
    (commands / "other.py").write_text((commands / "act.py").read_text())
    runner.run("pass")
    spare = ahead(runner)
    assert forked(runner, "other", "pass") != spare
    runner.until("exited")
    until(lambda: spare not in children(runner))


@pytest.mark.parametrize("told", [True, False])
def test_where_the_fork_made_ahead_is_killed_another_one_does_the_command(runner, told):
    runner.run("pass")
    spare = ahead(runner)
    os.kill(spare, signal.SIGKILL)
    if told:
        until(lambda: not children(runner))
    code, said = runner.run("print('hello')")
    assert (code, said) in {(0, "hello\nmanage.py goes on\n"), (-signal.SIGKILL, "")}
    if told:
        assert code == 0
    assert runner.run("print('hello')") == (0, "hello\nmanage.py goes on\n")


def test_the_fork_made_ahead_ends_with_the_agent_and_has_done_nothing(started, tmp_path):
    runner = started(settings=CHECK)
    runner.until("ready")
    runner.run("pass")
    spare = ahead(runner)
    runner.close()
    until(lambda: not Path(f"/proc/{spare}").exists())
    assert not (tmp_path / "app" / "db").exists()


CHECK = """
from django.core import checks

@checks.register
def noted(**_):
    with open("checked", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return []
"""


def test_a_fork_made_ahead_has_gone_through_the_checks(started, tmp_path):
    runner = started(settings=CHECK)
    runner.until("ready")
    runner.run("pass")
    spare = ahead(runner)
    until(lambda: str(spare) in (tmp_path / "app" / "checked").read_text().split())


def test_a_fork_made_ahead_that_hangs_in_a_check_does_not_outlive_the_run_for_long(started):
    hang = "import os, time\nfrom django.core import checks\nLOADING = os.getpid()\n@checks.register\ndef hangs(**_):\n"
    runner = started(settings=hang + f"    if os.getpid() != LOADING: {FOREVER}\n    return []\n")
    runner.until("ready")
    runner.run("pass")
    spare = ahead(runner)
    runner.close()
    until(lambda: not Path(f"/proc/{spare}").exists())


@pytest.mark.parametrize("check", ["raise SystemExit(3)", "os._exit(3)", "raise ValueError", FOREVER])
def test_a_check_that_breaks_a_fork_made_ahead_breaks_no_command(started, check):
    runner = started(
        settings=f"import os, time\nfrom django.core import checks\nLOADING = os.getpid()\n@checks.register\n"
        f"def broken(**_):\n    if os.getpid() != LOADING: {check}\n    return []\n"
    )
    runner.until("ready")
    for _ in range(3):
        code, said = runner.run("print('hello')")
        assert (code, said) == (0, "hello\nmanage.py goes on\n")


def until(true):
    """Wait for something that other processes do, at most a minute."""
    limit = time.monotonic() + 60
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)
