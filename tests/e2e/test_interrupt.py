"""Ctrl-C and SIGTERM: once finishes the tenant at work, twice ends it, three times leaves it."""

from __future__ import annotations

import fcntl
import json
import signal
import socket

import pytest

from e2e import operator

ASKED = "interrupted: finishing what is at work, then stopping. once more ends it."
ENDING = "interrupted again: ending what is at work. once more leaves it to itself."


def statuses(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_finishes_the_tenant_at_work_and_starts_no_more(desk, number):
    with desk.held("migrate-all", "--format=json") as running:
        running.process.send_signal(number)
        running.says(ASKED)
        desk.let_go()
        result = running.end()

    assert result.code == 130
    assert statuses(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert (desk.asked, desk.migrated) == (["acme"], ["acme"])
    assert desk.journal()[-1]["reason"] == "interrupted"


def test_over_ssh_it_is_the_same_and_the_summary_tells_how_to_go_on(desk, sshd):
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts)

    with desk.held("migrate-all") as running:
        running.press_ctrl_c()
        running.says(ASKED)
        desk.let_go()
        result = running.end()

    assert (result.code, desk.migrated) == (130, ["acme"])
    assert "3 tenants: 1 migrated, 2 skipped. the run stopped: interrupted." in result.out
    assert "next: `invoke migrate-all --env=prod --resume` goes on with those that are left." in result.out
    assert "Traceback" not in result.err


def test_the_second_signal_ends_the_command_and_says_what_became_of_it(desk):
    with desk.held("migrate-all", "--format=json") as running:
        running.press_ctrl_c()
        running.says(ASKED)
        running.press_ctrl_c()
        running.says(ENDING)
        result = running.end()

    shown = desk.run("show-run").out.splitlines()[-1]
    assert (result.code, desk.migrated) == (130, [])
    assert shown == "next: `invoke migrate-all --env=prod --resume` goes on with those that are left, `acme` included."
    assert statuses(result) == {"acme": "failed", "globex": "skipped", "initech": "skipped"}
    (acme,) = [each for each in json.loads(result.out)["outcomes"] if each["tenant_id"] == "acme"]
    assert acme["error"].startswith("interrupted after ")
    assert acme["error"].endswith(": its processes were ended")
    assert desk.journal()[-1]["reason"] == "interrupted"
    assert [each for each in (desk.folder / "state").iterdir() if each.suffix not in {".lock", ".holder"}] == []


def test_a_command_that_hears_no_sigterm_is_killed_after_a_grace(desk):
    with desk.held("migrate-all", "--format=json", stubborn=True) as running:
        running.press_ctrl_c()
        running.says(ASKED)
        running.process.send_signal(signal.SIGTERM)
        result = running.end()

    assert (result.code, desk.migrated, statuses(result)["acme"]) == (130, [], "failed")


def leave(desk, running) -> operator.Result:
    """Press Ctrl-C three times."""
    running.press_ctrl_c()
    running.says(ASKED)
    running.press_ctrl_c()
    running.says(ENDING)
    running.press_ctrl_c()
    return running.end()


def test_the_third_signal_leaves_the_command_and_says_where_it_is_and_how_to_pick_it_up(desk):
    with desk.held("migrate-all", "--format=json", stubborn=True) as running:
        result = leave(desk, running)
        (record,) = (desk.folder / "state").glob("*.json")
        child = json.loads(record.read_text())["pid"]
        meanwhile = desk.run("migrate-all")

    again = f"`invoke migrate-all --env=prod --resume={desk.runs[0].name}`"
    assert result.code == 130
    assert statuses(result) == {"globex": "skipped", "initech": "skipped", "acme": "unknown"}
    said = f"left `acme` on local (process {child}): it is being ended, and how is written down there. "
    said += f"{again} picks it up"
    assert said in result.err
    assert "Traceback" not in result.err
    assert (meanwhile.code, meanwhile.out, desk.asked) == (4, "", ["acme"])
    assert desk.runs[0].name in meanwhile.message


@pytest.mark.parametrize("times", [1, 2, 3])
def test_summary_and_log_are_written_however_often_it_is_pressed(desk, times):
    with desk.held("migrate-all", stubborn=True) as running:
        for said in (ASKED, ENDING, "")[:times]:
            running.press_ctrl_c()
            running.says(said)
        if times == 1:
            desk.let_go()
        result = running.end()

    became = {1: "1 migrated, 2 skipped", 2: "1 failed, 2 skipped", 3: "1 unknown, 2 skipped"}[times]
    assert result.code == 130
    assert f"3 tenants: {became}. the run stopped: interrupted." in result.out.splitlines()
    assert desk.log().splitlines()[-1].endswith(f" INFO run ended: interrupted: {became}")
    assert (desk.journal()[-1]["event"], desk.journal()[-1]["reason"]) == ("RunFinished", "interrupted")


def test_the_run_after_that_hears_how_the_command_ended(desk):
    with desk.held("migrate-all", stubborn=True) as running:
        leave(desk, running)
        (left,) = desk.runs
        records = desk.folder / "state"
        operator.until(lambda: any('"ended"' in each.read_text() for each in records.glob("*.json")), "a record of it")

    operator.until(lambda: _lock_is_free(records), "an end of the agent")
    result = desk.run("migrate-all")

    assert result.code == 0
    notice = f"WARNING run {left.name} was cut off while it migrated `acme`: that command ended with exit -9"
    assert notice in result.err
    assert [each for each in records.iterdir() if each.suffix not in {".lock", ".holder"}] == []


def test_whoever_waits_for_the_lock_is_told_whose_it_is_and_goes_on_when_it_is_free(desk):
    with desk.held("migrate-all") as running:
        waiting = desk.running("migrate-all", "--lock-wait=1m", into="waiting")
        with waiting as second:
            second.says(" at most")
            desk.let_go()
            first, result = running.end(), second.end()

    assert (first.code, result.code) == (0, 0)
    assert "another run holds `prod`: started " in result.err
    assert f", run {desk.runs[0].name}. waiting for it, 1m00s at most" in result.err


def test_ctrl_c_ends_the_waiting_for_a_lock(desk):
    with desk.held("migrate-all") as running:
        with desk.running("migrate-all", "--lock-wait=1m", into="waiting") as second:
            second.says(" at most")
            second.press_ctrl_c()
            result = second.end()
        desk.let_go()
        assert running.end().code == 0

    assert (result.code, result.message.splitlines()[-1]) == (130, "interrupted. nothing was migrated.")


def test_what_a_cut_off_command_printed_is_kept_by_the_next_run_and_apart_from_the_other_tenants(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})
    with desk.held("migrate-all") as running:
        running.process.kill()
        running.end()
    records = desk.folder / "state"
    operator.until(lambda: any('"tail"' in each.read_text() for each in records.glob("*.json")), "a record of its end")
    operator.until(lambda: _lock_is_free(records), "an end of the agent")

    result = desk.run("migrate-all", "--format=json")

    assert statuses(result) == {"acme": "current", "globex": "migrated", "initech": "migrated"}
    assert {file.name.partition("-")[0]: file.read_text() for file in (desk.runs[-1] / "tenants").iterdir()} == {
        name: f"  Applying members.0001_initial... OK\nMigrated {name}\n" for name in operator.TENANTS
    }


def _lock_is_free(records) -> bool:
    (lock,) = records.glob("*.lock")
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_during_the_stagger_the_next_tenant_is_not_started(desk):
    with desk.running("migrate-all", "--stagger=10m", "--format=json") as running:
        running.says(" before globex")
        running.press_ctrl_c()
        running.says("interrupted: nothing is at work, and nothing more starts.")
        result = running.end()

    assert result.code == 130
    assert statuses(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert desk.asked == ["acme"]


def test_ctrl_c_in_a_pause_says_that_nothing_is_at_work(desk):
    with desk.held("migrate-all", "--format=json") as running:
        desk.run("pause")
        desk.let_go()
        running.says("waiting before globex")
        running.press_ctrl_c()
        running.says("interrupted: nothing is at work, and nothing more starts.")
        result = running.end()

    assert (result.code, desk.asked) == (130, ["acme"])


def test_ctrl_c_while_the_gate_is_asked_lets_it_answer_and_does_not_say_that_nothing_is_at_work(desk):
    gate = 'while [ "$OPSKIT_TENANT" = globex ] && touch asked && [ ! -e answer ]; do sleep 0.05; done'
    with desk.running("migrate-all", "--stagger=1s", f"--gate={gate}") as running:
        operator.until((desk.folder / "asked").exists, "a question to the gate", running)
        running.press_ctrl_c()
        running.says(ASKED)
        (desk.folder / "answer").touch()
        result = running.end()

    assert (result.code, desk.asked) == (130, ["acme"])


def test_before_the_first_tenant_one_signal_is_enough(desk):
    with desk.held("migrate-all", listing=True) as running:
        running.press_ctrl_c()
        result = running.end()

    operator.refuses(result, 130, "interrupted")
    assert desk.asked == []


def test_while_connecting_one_signal_is_enough(desk):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = {"address": "127.0.0.1", "port": listener.getsockname()[1], "user": "deploy"}
        desk.over_ssh(host, known_hosts=desk.folder / "known_hosts", ssh={"connect_timeout": "10m"})
        with desk.running("migrate-all") as running:
            listener.settimeout(operator.PATIENCE)
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)  # its greeting: it waits for ours
                running.press_ctrl_c()
                result = running.end()

    operator.refuses(result, 130, "interrupted")


def test_the_other_tasks_end_without_a_traceback(desk):
    with desk.held("show-tenants", listing=True) as running:
        running.press_ctrl_c()
        result = running.end()

    assert result == operator.Result(130, "", "interrupted.\n")
