"""What every transport keeps: the same tests over this machine, a real sshd and the embedded server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import places
import processes
import pytest
from places import run

from opskit import errors, model
from opskit.remote.agent import processes as agents
from opskit.transport import agent, fleet


@pytest.fixture(params=places.NAMES)
def environment(request, tmp_path):
    with places.environment(request.param, tmp_path, request) as made:
        yield made


@pytest.fixture
def hosts(environment):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as opened:
        opened.open()
        yield opened


OTHER = fleet.Hold("20261122T150000-test", "ann@ops2", "2026-11-22T15:00:00+00:00")


def state(environment) -> list[str]:
    return sorted(path.name for path in Path(environment.app.state_dir).iterdir())


def endings(environment) -> list[str]:
    return [Path(name).suffix for name in state(environment)]


HOSTILE = [
    "a b",
    "it's",
    'say "hi"',
    "line\nbreak",
    "$(touch /nowhere)",
    "`id`",
    "; rm -rf .",
    "\\",
    "*",
    "--help",
    "",
    "é😀",
    "\x1b[2J",
    "!history",
    "%s",
    "{tenant}",
]


def test_arguments_arrive_as_they_are(hosts):
    reply = run(hosts, "show", *HOSTILE)
    assert json.loads(reply.tail) == HOSTILE


def test_a_nul_in_an_argument_is_refused_and_nothing_is_started(hosts):
    reply = run(hosts, "show", "a\0b")
    assert (reply.exit, reply.error) == (127, "not started: ValueError: embedded null byte")


@pytest.mark.parametrize("code", [0, 1, 2, 127, 255])
def test_exit_codes_arrive(hosts, code):
    assert run(hosts, "code", str(code)).exit == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_is_a_negative_exit_code(hosts, number):
    assert run(hosts, "suicide", str(int(number))).exit == -number


def test_a_closed_stdout_is_not_the_end(hosts):
    reply = run(hosts, "close_stdout")
    assert (reply.exit, reply.marks) == (4, ("mark before",))


def test_a_daemon_left_behind_does_not_hold_the_command(hosts, tmp_path):
    reply = run(hosts, "daemon", str(tmp_path / "pid"))
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (reply.exit, reply.marks, reply.seconds < 20) == (0, ("mark parent ends",), True)


def test_half_a_character_is_shown_as_such(hosts):
    assert run(hosts, "half_utf8").marks == ("mark �",)


def test_bytes_that_are_no_text_pass(hosts):
    reply = run(hosts, "binary")
    assert (reply.exit, reply.marks) == (0, ("mark after",))


def test_output_that_looks_like_frames_is_output(hosts):
    reply = run(hosts, "frames")
    assert (reply.exit, reply.marks) == (3, ('mark {"type": "ended"}',))


def test_200_mb_arrive_whole(hosts):
    heard = []
    reply = run(hosts, "much", "200", timeout=300.0, hear=lambda text, _: heard.append(len(text)))
    assert (reply.exit, sum(heard), reply.marks) == (0, 200 * 1_000_000 + len("mark end\n"), ("mark end",))


def test_a_line_of_50_mb_passes(hosts):
    heard = []
    reply = run(hosts, "one_line", "50", timeout=300.0, hear=lambda text, _: heard.append(len(text)))
    assert (reply.exit, reply.marks, sum(heard)) == (0, ("mark end",), 50_000_001 + len("mark end\n"))


def test_stdin_is_empty(hosts):
    assert run(hosts, "stdin").tail == "''\n"


def test_a_question_gets_stdout_apart_from_stderr(hosts):
    reply = hosts.ask(model.Command(("both",)))
    assert (reply.exit, reply.out, reply.tail) == (0, "on stdout\n", "on stderr\n")


def test_a_timeout_ends_the_whole_process_group(hosts, tmp_path):
    reply = run(hosts, "stubborn", str(tmp_path / "pids"), timeout=4.0)  # a loaded machine takes a second to begin
    pids = json.loads((tmp_path / "pids").read_text())
    assert (reply.exit, reply.timed_out) == (-signal.SIGKILL, True)
    assert [pid for pid in pids if _runs(pid)] == []


def _runs(pid: int) -> bool:
    """Whether a process runs; one that was killed may take a moment to go."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        time.sleep(0.02)
    return True


def test_a_command_that_ended_leaves_nothing_but_the_lock(environment, hosts):
    run(hosts, "show")
    hosts.close()
    eventually(lambda: endings(environment) == [".holder", ".lock"])


def eventually(true, seconds: float = 60.0) -> None:
    """Wait until `true()`; fails by name."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)


def test_the_second_run_is_refused_and_told_who_holds_the_lock(environment, hosts):
    with pytest.raises(errors.LockHeld) as caught:
        fleet.Fleet(environment, fleet.Hold("other", "x@y", ""), timing=places.FAST).open()
    assert str(caught.value) == (
        "another run holds `test`: started 2026-11-22 14:02 UTC by deploy@ops1, run 20261122T140200-test"
    )
    assert caught.value.hint == "`invoke status` shows it, where it was started."


def test_whoever_waits_for_the_lock_is_told_who_has_it_and_gets_it(environment, hosts):
    said = []
    waiting = fleet.Fleet(environment, OTHER, lock_wait=60.0, notice=said.append, timing=places.FAST)
    with contextlib.closing(waiting) as other:
        opened = threading.Thread(target=other.open)
        opened.start()
        eventually(lambda: said)
        hosts.close()
        opened.join(60)
        assert run(other, "show", "mine").tail == '["mine"]\n'
    assert said == [
        "another run holds `test`: started 2026-11-22 14:02 UTC by deploy@ops1, run 20261122T140200-test. "
        "waiting for it, 1m00s at most"
    ]


def test_whoever_waits_for_the_lock_in_vain_is_refused_after_that_time(environment, hosts):
    waiting = fleet.Fleet(environment, OTHER, lock_wait=0.5, timing=places.FAST)
    with pytest.raises(errors.LockHeld, match="run 20261122T140200-test"):
        waiting.open()
    assert run(hosts, "show", "still").tail == '["still"]\n'


def test_the_lock_is_waited_for_while_an_orphan_lives(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=places.FAST)
    hosts.open()
    said = []
    waiting = fleet.Fleet(environment, OTHER, lock_wait=60.0, notice=said.append, timing=places.FAST)
    with contextlib.closing(waiting) as other:
        with at_work(hosts, tmp_path) as replies:
            os.kill(agent_of(environment), signal.SIGKILL)
            eventually(lambda: replies)
            opened = threading.Thread(target=other.open)
            opened.start()
            eventually(lambda: said)
            assert not (tmp_path / "w").exists()
        opened.join(60)
        assert run(other, "show", "mine").tail == '["mine"]\n'
    assert "was killed, and its command for `acme` still runs there (process " in said[0]


# ---------------------------------------------------------------- what must not confuse the lock


@pytest.mark.parametrize("differs", [{"born": "1"}, {"boot": "another"}])
def test_a_record_of_another_machine_or_before_a_reboot_holds_nothing(environment, tmp_path, differs):
    """A copied state folder: the number is another process's by now, which may even be born at the same moment."""
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        state = hosts._agent_state = next((tmp_path / "state").glob("*.lock"))
    process = {**agents.identity(os.getpid()), **differs}
    stale = {"run": "earlier", "label": "acme", "started": 1.0, "outputs": [], **process}
    (tmp_path / "state" / f"{state.stem}.earlier.000001.json").write_text(json.dumps(stale))
    eventually(lambda: opens(environment))


@pytest.mark.parametrize("started", [0.0, 4e9, -1e12])
def test_no_clock_confuses_the_lock_or_what_is_followed(environment, tmp_path, started):
    """A record from before the clock was set, or from the future."""

    def between(hosts) -> None:
        (record,) = (tmp_path / "state").glob("*.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "started": started}))
        with lost_and_found(hosts):
            os.kill(agent_of(environment), signal.SIGKILL)

    _, reply = notices(environment, tmp_path, between)
    assert (reply.over, reply.tail) == (True, "mark begun\nmark finished\n")


def test_the_lock_is_free_as_soon_as_the_run_is_over(environment, hosts):
    hosts.close()
    eventually(lambda: opens(environment))


def opens(environment) -> bool:
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as another:
        try:
            another.open()
        except errors.LockHeld:
            return False
        return True


def test_without_the_lock_only_questions_are_started(environment, hosts):
    with contextlib.closing(fleet.Fleet(environment, timing=places.FAST)) as reader:
        reader.open()
        assert run(reader, "show").error == "not started: the agent does not hold the lock"
        assert reader.ask(model.Command(("show", "1"))).out == '["1"]\n'


@contextlib.contextmanager
def at_work(hosts, tmp_path, command=("wait_for",)):
    """A command that runs until the file `go` is there; gives what its Reply will be in, and ends with it."""
    replies = []
    words = (*command, str(tmp_path / "go"), str(tmp_path / "w"))
    started = threading.Thread(target=lambda: replies.append(run(hosts, *words)))
    started.start()
    eventually((tmp_path / "w.begun").exists)
    try:
        yield replies
    finally:
        (tmp_path / "go").touch()
        started.join(60)


def cut(hosts) -> None:
    hosts._agent._line.close()


@contextlib.contextmanager
def lost_and_found(hosts):
    """Wait until what was done to the line has led to another one."""
    had = hosts._agent
    yield
    eventually(lambda: hosts._agent not in (had, None) and hosts._agent.pid is not None)


def never_again(environment):
    """The environment, where a host that was lost is not tried again."""
    return replace(environment, ssh=replace(environment.ssh, reconnect=0.0))


def test_a_controller_that_goes_away_leaves_the_command_to_its_end(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=places.FAST)
    hosts.open()
    with at_work(hosts, tmp_path) as replies:
        cut(hosts)  # as if it were killed: no goodbye
        eventually(lambda: replies)
        assert not opens(environment)
    eventually(lambda: opens(environment))
    assert (tmp_path / "w").read_text() == "done"


def test_whoever_is_refused_by_a_run_that_was_cut_off_is_told_so_and_what_follows_it(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=places.FAST)
    hosts.open()
    with at_work(hosts, tmp_path) as replies:
        cut(hosts)
        eventually(lambda: replies)
        eventually(lambda: "is cut off" in str(refused(environment)))
        error = refused(environment)
    name, run_id = environment.hosts[0].name, places.HOLD.run
    assert re.sub(r"\d+\)", "N)", str(error)) == (
        f"another run holds `test` on {name}: run {run_id} by deploy@ops1 is cut off from whoever started it, "
        "and finishes `acme` (process N) there"
    )
    assert error.hint == (
        f"`invoke migrate-all --resume={run_id}`, where it was started, follows it; `--lock-wait=1h` waits for its end."
    )


@pytest.mark.parametrize("agent_too", [False, True])
def test_the_same_run_takes_up_what_it_left_at_work_and_then_gets_the_lock(environment, tmp_path, agent_too):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=places.FAST)
    hosts.open()
    with at_work(hosts, tmp_path, ("count",)) as replies:
        if agent_too:
            os.kill(agent_of(environment), signal.SIGKILL)
        cut(hosts)
        eventually(lambda: replies)
        with contextlib.closing(fleet.Fleet(environment, places.HOLD, resumes=True, timing=places.FAST)) as again:
            again.open()
            (left,), taken = again.left, []
            patterns = (re.compile("^mark", re.MULTILINE),)
            taking = threading.Thread(
                target=lambda: taken.append(again.take_up(left, patterns, lambda *_: None, timeout=60.0))
            )
            taking.start()
            (tmp_path / "go").touch()
            taking.join(60)
            assert run(again, "show", "next").tail == '["next"]\n'
            assert again.left == []
    (reply,) = taken
    numbers = [int(line.split()[1]) for line in reply.marks if line.split()[1].isdigit()]
    assert (left["label"], reply.exit, reply.over) == ("acme", None if agent_too else 0, True)
    assert numbers == list(range(len(numbers))) != []
    eventually(lambda: endings(environment) == [".holder", ".lock"])


def test_what_a_gone_controller_missed_is_told_to_the_next(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=places.FAST)
    hosts.open()
    with at_work(hosts, tmp_path) as replies:
        cut(hosts)
        eventually(lambda: replies)
    eventually(lambda: opens(environment))
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as after:
        (left,) = after.open().records
        after.forget(left)
    assert [(reply.exit, reply.over) for reply in replies] == [(None, False)]
    assert (left["label"], left["exit"], left["run"]) == ("acme", 0, places.HOLD.run)
    assert left["tail"] == "mark begun\nmark finished\n"
    eventually(lambda: endings(environment) == [".holder", ".lock"])


# ---------------------------------------------------------------- a line that is lost, and found again


def notices(environment, tmp_path, between, command=("wait_for",), timing=places.FAST):
    """What is said, and the Reply, of a command at work while `between(hosts)` is done to it; and one more command."""
    said = []
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=timing, notice=said.append)) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path, command) as replies:
            between(hosts)
        (reply,) = replies
        assert run(hosts, "show", "next").tail == '["next"]\n'
    eventually(lambda: endings(environment) == [".holder", ".lock"])
    return said, reply


def test_a_line_cut_in_mid_command_is_a_pause_and_the_command_is_heard_to_its_end(environment, tmp_path):
    said = []

    def between(hosts) -> None:
        hosts.notice = said.append
        cut(hosts)
        eventually(lambda: len(said) == 2)

    _, reply = notices(environment, tmp_path, between)
    name = environment.hosts[0].name
    assert (reply.exit, reply.tail) == (0, "mark begun\nmark finished\n")
    assert reply.marks == ("mark begun", "mark finished")
    assert said == [
        f"lost {name} while migrating `acme` (the connection was closed): trying again for 5m00s",
        f"{name} is back: `acme` is still at work",
    ]


def test_a_command_that_ended_while_the_line_was_lost_is_collected(environment, tmp_path):
    def between(hosts) -> None:
        waits = threading.Event()
        connector = hosts._connector
        hosts._connector = lambda *args: waits.wait(60) and connector(*args)
        cut(hosts)
        (tmp_path / "go").touch()
        eventually(lambda: any('"ended"' in path.read_text() for path in (tmp_path / "state").glob("*.json")))
        waits.set()

    said, reply = notices(environment, tmp_path, between)
    assert (reply.exit, reply.tail) == (0, "mark begun\nmark finished\n")
    assert said[1:] == [f"{environment.hosts[0].name} is back: `acme` ended meanwhile"]


def test_a_line_cut_again_and_again_loses_and_repeats_nothing(environment, tmp_path):
    def between(hosts) -> None:
        for _ in range(3):
            with lost_and_found(hosts):
                cut(hosts)

    _, reply = notices(environment, tmp_path, between, ("count",))
    numbers = [int(line.split()[1]) for line in reply.marks if line.startswith("mark ") and line.split()[1].isdigit()]
    assert (reply.exit, numbers) == (0, list(range(len(numbers))))
    assert len(numbers) > 3


def test_a_killed_agent_leaves_a_command_without_an_exit_code_that_is_followed_until_it_is_gone(environment, tmp_path):
    def between(hosts) -> None:
        with lost_and_found(hosts):
            os.kill(agent_of(environment), signal.SIGKILL)

    said, reply = notices(environment, tmp_path, between)
    assert (reply.exit, reply.over, reply.tail) == (None, True, "mark begun\nmark finished\n")
    assert reply.error == "nobody wrote down how it ended"
    assert said[1:] == [f"{environment.hosts[0].name} is back: `acme` is still at work"]


def test_a_command_killed_with_its_agent_is_over(environment, tmp_path):
    def between(_hosts) -> None:
        (record,) = (tmp_path / "state").glob("*.json")
        child = json.loads(record.read_text())["pid"]
        os.kill(agent_of(environment), signal.SIGKILL)
        os.kill(child, signal.SIGKILL)

    said, reply = notices(environment, tmp_path, between)
    assert (reply.exit, reply.over, reply.tail) == (None, True, "mark begun\n")
    assert said[1:] == [f"{environment.hosts[0].name} is back: `acme` ended meanwhile"]


def test_a_host_that_stays_away_is_given_up_after_the_limit(environment, tmp_path):
    def away(*_: object) -> None:
        raise errors.ConnectError("cannot connect: it is gone")

    made = replace(environment, ssh=replace(environment.ssh, reconnect=0.5))
    with contextlib.closing(fleet.Fleet(made, places.HOLD, timing=replace(places.FAST, again=0.1))) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path) as replies:
            hosts._connector = away
            cut(hosts)
            eventually(lambda: replies)
    assert [(reply.exit, reply.over) for reply in replies] == [(None, False)]
    assert replies[0].error == f"{made.hosts[0].name} stayed away for 0.5 s: cannot connect: it is gone"


def test_a_secret_that_straddles_the_cut_is_redacted(environment, tmp_path):
    app = replace(environment.app, env={"TOKEN": "hunter2hunter2"}, secrets=frozenset({"TOKEN"}))

    def between(hosts) -> None:
        eventually(lambda: hosts._agent.at > 0)
        with lost_and_found(hosts):
            cut(hosts)

    _, reply = notices(replace(environment, app=app), tmp_path, between, ("halves", "hunter2", "hunter2"))
    assert (reply.exit, reply.tail) == (0, "mark begun\nmark [REDACTED] mark finished\n")


def test_a_command_is_ended_when_that_is_asked_for(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path) as replies:
            hosts.end()
            eventually(lambda: replies)
    assert [(reply.exit, reply.asked, reply.timed_out) for reply in replies] == [(-signal.SIGTERM, True, False)]


def test_an_orphan_is_ended_when_that_is_asked_for(environment, tmp_path):
    def between(hosts) -> None:
        with lost_and_found(hosts):
            os.kill(agent_of(environment), signal.SIGKILL)
        hosts.end()
        eventually(lambda: hosts._agent.pid is None)

    _, reply = notices(environment, tmp_path, between)
    assert (reply.exit, reply.over, reply.asked, reply.tail) == (None, True, True, "mark begun\n")


def test_an_orphan_is_ended_at_its_timeout(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        replies = []
        words = ("wait_for", str(tmp_path / "go"), str(tmp_path / "w"))
        started = threading.Thread(target=lambda: replies.append(run(hosts, *words, timeout=4.0)))
        started.start()
        eventually((tmp_path / "w.begun").exists)
        os.kill(agent_of(environment), signal.SIGKILL)
        started.join(60)
    assert [(reply.exit, reply.over, reply.timed_out) for reply in replies] == [(None, True, True)]


def test_the_next_command_after_a_lost_connection_gets_a_new_one(environment):
    said = []
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST, notice=said.append)) as hosts:
        hosts.open()
        hosts._agent._line.close()
        eventually(lambda: hosts._agent.lost is not None)
        assert run(hosts, "show", "again").tail == '["again"]\n'
    assert [text.partition(" (")[0] for text in said] == [f"lost {environment.hosts[0].name} between two tenants"]


def test_secrets_leave_the_host_in_no_output(environment, tmp_path):
    (tmp_path / "env").write_text("# comment\nexport DB_PASSWORD='hunter2hunter2'\nDEBUG=1\nBROKEN\n")
    app = replace(
        environment.app,
        env={"DSN": "postgres://u:pa55word@h/db"},
        secrets=frozenset({"DSN"}),
        env_file=str(tmp_path / "env"),
    )
    with contextlib.closing(fleet.Fleet(replace(environment, app=app), places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        reply = run(hosts, "environment", "DB_PASSWORD", "DSN", "DEBUG", "PGAPPNAME")
        alone = run(hosts, "show", "x pa55word y")
    assert json.loads(reply.tail) == {
        "DB_PASSWORD": "[REDACTED]",
        "DSN": "[REDACTED]",
        "DEBUG": "1",
        "PGAPPNAME": "opskit/20261122T140200-test/acme",
    }
    assert alone.tail == '["x [REDACTED] y"]\n'


def test_settings_of_postgresql_stand_behind_those_that_the_host_has(environment, tmp_path):
    (tmp_path / "env").write_text("PGOPTIONS=-c search_path=acme\n")
    app = replace(environment.app, env_file=str(tmp_path / "env"))
    with contextlib.closing(fleet.Fleet(replace(environment, app=app), places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        without = run(hosts, "environment", "PGOPTIONS")
        hosts.settings.update(lock_timeout="5000ms", application_name="a b\\")
        told = run(hosts, "environment", "PGOPTIONS")
        question = model.Command(("environment", "PGOPTIONS"))
        asked = [hosts.ask(question).out, hosts.ask(question, configured=True).out]
    added = "-c search_path=acme -c lock_timeout=5000ms -c application_name=a\\ b\\\\"
    assert [{"PGOPTIONS": "-c search_path=acme"}, {"PGOPTIONS": added}] == [
        json.loads(reply.tail) for reply in (without, told)
    ]
    assert [{"PGOPTIONS": "-c search_path=acme"}, {"PGOPTIONS": added}] == [json.loads(out) for out in asked]


def test_the_usual_settings_stand_before_those_that_the_host_has_and_are_one_hosts(environment):
    app = replace(environment.app, env={"PGOPTIONS": "-c a=1"})
    question = model.Command(("environment", "PGOPTIONS"))
    with contextlib.closing(fleet.Fleet(replace(environment, app=app), places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        hosts.settings["b"] = "2"
        hosts.usual["another"] = {"c": "4"}
        without = run(hosts, "environment", "PGOPTIONS").tail
        hosts.usual[hosts.host] = {"c": "3"}
        told = run(hosts, "environment", "PGOPTIONS").tail
        asked = [hosts.ask(question, **how).out for how in ({}, {"usual": True}, {"configured": True})]
    expected = ["-c a=1 -c b=2", "-c c=3 -c a=1 -c b=2", "-c a=1", "-c c=3 -c a=1", "-c c=3 -c a=1 -c b=2"]
    assert expected == [json.loads(each)["PGOPTIONS"] for each in (without, told, *asked)]


def test_a_link_that_moves_in_mid_run_changes_nothing(environment, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "app")
    app = replace(environment.app, path=str(link))
    with contextlib.closing(fleet.Fleet(replace(environment, app=app), places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        link.unlink()
        link.symlink_to(tmp_path)
        assert json.loads(run(hosts, "where").tail) == [str(tmp_path / "app"), "manage.py"]


def test_a_wrapper_is_part_of_the_command(environment):
    app = replace(environment.app, wrapper=("env", "WRAPPED=it is"))
    with contextlib.closing(fleet.Fleet(replace(environment, app=app), places.HOLD, timing=places.FAST)) as hosts:
        hosts.open()
        assert run(hosts, "environment", "WRAPPED").tail == '{"WRAPPED": "it is"}\n'


WRONG = [
    ({"path": "/nowhere/app"}, "app.path `/nowhere/app`: No such file or directory"),
    ({"manage": "run.py"}, "app.manage `run.py`: there is no such file in `{app}`"),
    ({"env_file": "/nowhere/env"}, "app.env_file `/nowhere/env`: No such file or directory"),
    ({"state_dir": "/dev/null/x"}, "app.state_dir `/dev/null/x`: not a directory"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_a_wrong_place_is_named(environment, tmp_path, wrong, message):
    broken = replace(environment, app=replace(environment.app, **wrong))
    with pytest.raises(errors.RemoteError) as caught:
        fleet.Fleet(broken, places.HOLD, timing=places.FAST).open()
    assert message.format(app=tmp_path / "app") in str(caught.value)


def test_a_python_that_is_not_there_is_named(environment):
    broken = replace(environment, app=replace(environment.app, python="/nowhere/python"))
    with pytest.raises(errors.CannotStart) as caught:
        fleet.Fleet(broken, places.HOLD, timing=places.FAST).open()
    assert "/nowhere/python" in str(caught.value)


def test_a_python_that_is_no_python_is_a_clear_refusal(environment):
    broken = replace(environment, app=replace(environment.app, python="false"))
    with pytest.raises(errors.RemoteError) as caught:
        fleet.Fleet(broken, places.HOLD, timing=places.FAST).open()
    assert "the agent did not start" in str(caught.value)


# ---------------------------------------------------------------- silence, either way

DEAF = agent.Timing(beat=0.2, silence=1.5, start=30.0)


def test_a_host_that_falls_silent_is_given_up_and_its_command_is_unknown(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(never_again(environment), places.HOLD, timing=DEAF)) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path) as replies:
            frozen = agent_of(environment)
            os.kill(frozen, signal.SIGSTOP)
            eventually(lambda: replies)
            (tmp_path / "go").touch()
            os.kill(frozen, signal.SIGCONT)
    assert [(reply.exit, reply.error) for reply in replies] == [(None, "nothing was heard for 2 s")]
    eventually(lambda: opens(environment))


def test_an_agent_that_was_stopped_and_goes_on_has_written_down_how_its_command_ended(environment, tmp_path):
    def between(hosts) -> None:
        frozen = agent_of(environment)
        with lost_and_found(hosts):
            os.kill(frozen, signal.SIGSTOP)
        (tmp_path / "go").touch()
        os.kill(frozen, signal.SIGCONT)

    _, reply = notices(environment, tmp_path, between, timing=replace(DEAF, silence=4.0))
    assert (reply.exit, reply.tail) == (0, "mark begun\nmark finished\n")


def test_an_agent_that_stays_stopped_leaves_a_command_that_nobody_can_be_sure_of(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=DEAF)) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path) as replies:
            frozen = agent_of(environment)
            os.kill(frozen, signal.SIGSTOP)
            (tmp_path / "go").touch()
            eventually(lambda: replies)
            os.kill(frozen, signal.SIGKILL)
    assert [(reply.exit, reply.over, reply.error) for reply in replies] == [(None, False, "its agent does not stir")]


def test_whoever_is_refused_by_a_stopped_agent_is_told_its_process_and_what_to_type(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=DEAF)) as hosts:
        hosts.open()
        with at_work(hosts, tmp_path):
            frozen = agent_of(environment)
            os.kill(frozen, signal.SIGSTOP)
            error = refused(environment)
            os.kill(frozen, signal.SIGCONT)
    command = re.search(r"`acme` \(process \d+\) at work$", str(error))
    assert str(error) == (
        f"another run holds `test` on {environment.hosts[0].name}: the agent of run {places.HOLD.run} "
        f"(process {frozen}) is stopped there (SIGSTOP), with {command and command[0]}"
    )
    assert error.hint == f"there, `kill -CONT {frozen}` lets it go on, and `kill -KILL {frozen}` ends it."


def test_a_resumed_run_whose_own_agent_is_stopped_is_told_so_too(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=DEAF)
    hosts.open()
    with at_work(hosts, tmp_path) as replies:
        frozen = agent_of(environment)
        os.kill(frozen, signal.SIGSTOP)
        eventually(lambda: replies)
        with contextlib.closing(fleet.Fleet(environment, places.HOLD, resumes=True, timing=DEAF)) as again:
            again.open()
            (left,) = again.left
            (tmp_path / "go").touch()
            reply = again.take_up(left, (), lambda *_: None, timeout=60.0)
            with pytest.raises(errors.LockHeld) as caught:
                again.take_lock(at_once=True)
        os.kill(frozen, signal.SIGCONT)
    assert (reply.exit, reply.over, reply.error) == (None, False, "its agent does not stir")
    assert str(caught.value) == (
        f"this run itself holds `test` on {environment.hosts[0].name}: the agent of run {places.HOLD.run} "
        f"(process {frozen}) is stopped there (SIGSTOP)"
    )
    assert caught.value.hint.startswith(f"there, `kill -CONT {frozen}` lets it go on")
    eventually(lambda: opens(environment))


def refused(environment) -> errors.LockHeld:
    with pytest.raises(errors.LockHeld) as caught:
        fleet.Fleet(environment, OTHER, timing=places.FAST).open()
    return caught.value


def agent_of(environment) -> int:
    """The agent's process: above the command that its record names."""
    (record,) = Path(environment.app.state_dir).glob("*.json")
    return processes.agent_above(json.loads(record.read_text())["pid"])


def test_a_controller_that_falls_silent_is_given_up_and_its_command_goes_on(environment, tmp_path):
    hosts = fleet.Fleet(never_again(environment), places.HOLD, timing=DEAF)
    hosts.open()
    hosts._agent._closed.set()  # its beats stop, and its line stays open
    reply = run(hosts, "wait_for", str(tmp_path / "go"), str(tmp_path / "w"), timeout=60.0)
    assert (reply.exit, reply.error) == (None, "nothing was heard for 2 s")  # the agent has stopped speaking to us
    assert not opens(environment)
    (tmp_path / "go").touch()
    eventually(lambda: opens(environment))
    assert (tmp_path / "w").read_text() == "done"
    hosts.close()


def test_a_controller_that_is_kept_from_listening_loses_nothing(environment):
    slept = []

    def hear(_text: str, _partial: str) -> None:  # a terminal that was stopped with Ctrl-S takes nothing for a while
        if not slept:
            slept.append(time.sleep(2 * DEAF.silence))

    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=DEAF)) as hosts:
        hosts.open()
        reply = run(hosts, "much", "20", timeout=60.0, hear=hear)
        assert (reply.exit, reply.marks, reply.error) == (0, ("mark end",), "")
        assert run(hosts, "show", "again").tail == '["again"]\n'


def test_a_line_over_which_nothing_is_asked_for_longer_than_silence_lasts_is_kept(environment):
    """A stagger, or a pause until somebody says so."""
    notices = []
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, notice=notices.append, timing=DEAF)) as hosts:
        hosts.open()
        time.sleep(2.5 * DEAF.silence)
        assert hosts.serving
        assert run(hosts, "show", "again").tail == '["again"]\n'
    assert notices == []


# ---------------------------------------------------------------- a question that goes with the opening


def test_a_question_that_goes_with_the_opening_is_run_once_and_answers_who_asks_it(environment, tmp_path):
    (tmp_path / "go").touch()
    witness = tmp_path / "witness"
    question = model.Command(("wait_for", str(tmp_path / "go"), str(witness)), timeout=60.0)
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.ahead = question
        hosts.open()
        eventually(witness.exists)  # before anybody asks
        witness.unlink()
        assert "mark begun\nmark finished\n" == hosts.ask(question).out
        assert not witness.exists()
        assert "mark begun\nmark finished\n" == hosts.ask(question).out
        assert witness.exists()


def test_what_it_answers_is_not_anothers(environment):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.ahead = model.Command(("show", "first"))
        hosts.open()
        assert '["second"]\n' == run(hosts, "show", "second").tail
        assert '["third"]\n' == hosts.ask(model.Command(("show", "third"))).out


def test_who_leaves_without_the_answer_leaves_no_lock_behind(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, places.HOLD, timing=places.FAST)) as hosts:
        hosts.ahead = model.Command(("wait_for", str(tmp_path / "never"), str(tmp_path / "witness")))
        hosts.open()
        eventually((tmp_path / "witness.begun").exists)
    with contextlib.closing(fleet.Fleet(environment, OTHER, timing=places.FAST)) as hosts:
        hosts.open()


def test_it_is_not_asked_of_a_host_that_refuses_the_lock(environment, tmp_path):
    with contextlib.closing(fleet.Fleet(environment, OTHER, timing=places.FAST)) as others:
        others.open()
        hosts = fleet.Fleet(environment, places.HOLD, timing=places.FAST)
        hosts.ahead = model.Command(("wait_for", str(tmp_path / "never"), str(tmp_path / "witness")))
        with pytest.raises(errors.LockHeld):
            hosts.open()
        assert not (tmp_path / "witness.begun").exists()
