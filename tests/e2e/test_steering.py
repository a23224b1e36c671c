"""`pause`, `continue`, `stop`, `status` from another terminal, the pause after the canary, and the gate."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from e2e import operator

ASKABLE = {**operator.FRAMEWORK, "pending": ["pending"]}
LIES = "print(f'Migrated {tenant}')\nsys.exit(0)\n"  # and is not among the migrated: manage.py ends here
PAUSED = re.compile(r"paused by \S+@\S+\.")


def statuses(result: operator.Result) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in json.loads(result.out)["outcomes"]}


def status(desk, *argv: str) -> list[dict]:
    result = desk.run("status", "--format=json", *argv)
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def reason(desk) -> str:
    return desk.journal()[-1]["reason"]


@pytest.fixture(params=["local", "ssh"])
def anywhere(desk, sshd, request):
    if request.param == "ssh":
        desk.over_ssh(sshd, known_hosts=sshd.known_hosts)
    return desk


# ---------------------------------------------------------------- from another terminal


def test_a_run_is_paused_looked_at_and_let_go_on(anywhere):
    desk = anywhere
    with desk.held("migrate-all") as running:
        (before,) = status(desk)
        paused = desk.run("pause")
        (pausing,) = status(desk, "--env=prod")
        desk.let_go()
        running.says("waiting before globex: paused by ")
        (waiting,) = status(desk, f"--run={desk.runs[0].name}")
        assert desk.asked == ["acme"]
        gone_on = desk.run("continue", "--env=prod")
        result = running.end()

    name = desk.runs[0].name
    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert (paused.code, paused.out, paused.err) == (
        0,
        f"{name}: `acme` is finished first; nothing else starts until `invoke continue --env=prod`.\n",
        "",
    )
    assert (gone_on.code, gone_on.out) == (0, f"{name}: it goes on. `invoke status --env=prod` shows how far it is.\n")
    host = desk.journal()[0]["host"]
    assert (before["run_id"], before["environment"], before["host"], before["total"]) == (name, "prod", host, 3)
    assert (before["state"], before["tenant"], before["attempt"], before["done"]) == ("migrating", "acme", 1, 0)
    assert before["seconds"] > 0
    assert (pausing["state"], pausing["tenant"]) == ("pausing", "acme")
    assert PAUSED.fullmatch(waiting["state"] + ".")
    assert (waiting["tenant"], waiting["seconds"], waiting["done"]) == ("", None, 1)
    notices = [each["text"] for each in desk.journal() if each["event"] == "Notice"]
    assert PAUSED.match(notices[0])
    assert notices[0].endswith("`invoke continue --env=prod` goes on, `invoke stop --env=prod` ends the run")
    assert notices[1].endswith(" said continue")
    assert status(desk) == []
    assert desk.run("status").out == "no run is going on here.\n"


def test_a_run_is_stopped_while_it_pauses(desk):
    with desk.held("migrate-all", "--format=json") as running:
        desk.run("pause")
        desk.let_go()
        running.says("waiting before globex")
        stopped = desk.run("stop")
        result = running.end()

    assert stopped.out.endswith(": nothing else starts. `invoke migrate-all --env=prod --resume` goes on later.\n")
    assert (result.code, statuses(result)["globex"], desk.asked) == (5, "skipped", ["acme"])
    assert re.fullmatch(r"\S+@\S+ said stop", reason(desk))


def test_what_is_said_during_the_stagger_is_heard_before_its_end(desk):
    with desk.running("migrate-all", "--stagger=10m", "--format=json") as running:
        running.says(" before globex")
        (waiting,) = status(desk)
        desk.run("pause")
        running.says("waiting before globex: paused by ")
        desk.run("continue")
        running.says(" said continue")
        desk.run("stop")
        result = running.end()

    assert (waiting["state"], waiting["tenant"], waiting["done"]) == ("waiting", "", 1)
    assert (result.code, statuses(result)["globex"], desk.asked) == (5, "skipped", ["acme"])


def test_ctrl_c_ends_a_pause(desk):
    with desk.held("migrate-all", "--format=json") as running:
        desk.run("pause")
        desk.let_go()
        running.says("waiting before globex")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, reason(desk), desk.asked) == (130, "interrupted", ["acme"])


def test_the_time_limit_goes_on_counting_in_a_pause(desk):
    with desk.held("migrate-all", "--max-duration=4s") as running:
        desk.run("pause")
        desk.let_go()
        result = running.end()

    assert (result.code, reason(desk), desk.asked) == (5, "its time is up", ["acme"])


def test_a_word_that_somebody_broke_does_not_end_a_pause(desk):
    with desk.held("migrate-all") as running:
        desk.run("pause")
        desk.let_go()
        running.says("waiting before globex")
        (desk.runs[0] / "control.json").write_text('{"word":')
        desk.inventory("staging")
        assert desk.run("status", "--env=staging").out == "no run is going on here.\n"
        assert desk.asked == ["acme"]
        desk.run("continue")
        assert running.end().code == 0


def test_what_was_said_to_a_run_that_ended_is_forgotten_when_it_is_resumed(desk):
    with desk.held("migrate-all") as running:
        desk.run("pause")
        running.press_ctrl_c()
        running.says("interrupted: finishing")
        desk.let_go()
        running.end()

    assert desk.run("migrate-all", "--resume").code == 0
    assert desk.migrated == list(operator.TENANTS)


def test_opskit_says_opskit(desk):
    with desk.held("migrate-all", program="opskit") as running:
        paused = desk.run("pause", program="opskit")
        desk.let_go()
        running.says("`opskit continue --env=prod` goes on, `opskit stop --env=prod` ends the run")
        desk.run("continue", program="opskit")
        running.end()

    assert paused.out.endswith("until `opskit continue --env=prod`.\n")


def test_a_run_that_was_not_paused_is_said_not_to_be(desk):
    with desk.held("migrate-all") as running:
        said = desk.run("continue")
        desk.let_go()
        result = running.end()

    name = desk.runs[0].name
    assert said.out == f"{name}: it was not paused. `invoke status --env=prod` shows how far it is.\n"
    assert "said continue" not in result.err
    assert not (desk.runs[0] / "control.json").exists()


def test_nothing_is_going_on(desk):
    desk.run("migrate-all")
    hint = "`invoke runs` lists what there was."
    operator.refuses(desk.run("pause"), 2, "no run is going on here", hint)
    operator.refuses(desk.run("stop", "--env=prod"), 2, "no run of `prod` is going on here", hint)
    assert desk.run("continue", "--env=prd").code == 2
    assert desk.run("stop", "--run=1999").message == "--run=`1999` names no run. `invoke runs` lists them."
    assert not (desk.runs[0] / "control.json").exists()


def test_of_two_runs_one_has_to_be_named_and_only_that_one_pauses(desk):
    other = desk.folder / "other"
    other.mkdir()
    second = operator.Desk(other)
    second.project(migrate=operator.HELD + operator.MIGRATE)
    desk.inventory("staging", app={"path": str(second.app), "state_dir": str(desk.folder / "second")})
    with contextlib.ExitStack() as stack:
        prod = stack.enter_context(desk.held("migrate-all", "--env=prod"))
        out, err = desk.folder / "out", desk.folder / "err"
        out.rename(desk.folder / "out1")
        err.rename(desk.folder / "err1")
        staging = stack.enter_context(desk.running("migrate-all", "--env=staging"))
        stack.callback(second.let_go)
        operator.until((second.app / "begun").exists, "a beginning", staging)
        newer, older = (folder.name for folder in reversed(desk.runs))

        operator.refuses(
            desk.run("pause"),
            2,
            f"more than one run is going on (`{newer}`, `{older}`): --run says which",
            "`invoke status` shows them.",
        )
        assert desk.run("pause", "--env=prod", f"--run={newer}").message.startswith(
            "no run of `prod` is going on here."
        )
        assert desk.run("pause", "--env=staging").out.startswith(f"{newer}: ")
        assert {each["environment"]: each["state"] for each in status(desk)} == {
            "prod": "migrating",
            "staging": "pausing",
        }
        assert [each["environment"] for each in status(desk, "--env=prod")] == ["prod"]
        desk.let_go()
        assert prod.process.wait(operator.PATIENCE) == 0
        second.let_go()
        staging.says("waiting before globex")
        desk.run("stop", f"--run={newer}")
        assert staging.end().code == 5


def test_status_for_people_tells_how_long_it_usually_takes(desk):
    desk.run("migrate-all")
    with desk.held("migrate-all", "--stagger=1m"):
        lines = desk.run("status").out.splitlines()

    assert lines[0].split() == ["run", "by", "state", "done", "at", "work", "for", "left"]
    assert f"{desk.runs[1].name}  " in lines[2]
    assert re.search(r" migrating +0 of 3 +acme on local +\S+ m?s \(usually \S+ m?s\) +(1m\d+|2m0?)", lines[2])


# ---------------------------------------------------------------- at the run's own terminal


def in_front(desk, master: list[int], meanwhile, *argv) -> operator.Result:
    """Type a command at a terminal that is its own, as a shell has it. `master` gets the other end of it."""
    ours, theirs = pty.openpty()
    master.append(ours)
    said, patience = b"", time.monotonic() + operator.PATIENCE
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *argv],
        cwd=desk.folder,
        env=desk.environ(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            with contextlib.suppress(OSError):  # Linux says so when the last writer is gone
                while select.select([ours], [], [], operator.PATIENCE)[0] and (piece := os.read(ours, 65536)):
                    assert time.monotonic() < patience, said.decode(errors="replace")
                    said += piece
                    meanwhile(said.decode(errors="replace"))
        finally:
            os.close(ours)  # hangs up on whoever is there still
    return operator.Result(process.returncode, said.decode(errors="replace"), "")


CANARY = (operator.BIN / "invoke", "migrate-all", "--canary=1", "--pause-after-canary")


@pytest.mark.parametrize(
    ("typed", "code", "asked"),
    [("", 0, 3), ("continue", 0, 3), ("stop", 5, 1), ("yes", 5, 1), ("\x04", 5, 1)],
)
def test_enter_goes_on_after_the_canary_and_anything_else_ends_the_run(desk, typed, code, asked):
    def answer(said: str) -> None:
        if "Enter goes on" in said and not done:
            done.append(os.write(master.pop(), (typed if typed == "\x04" else f"{typed}\n").encode()))

    done: list[int] = []
    master: list[int] = []
    result = in_front(desk, master, answer, *CANARY)

    assert (result.code, len(desk.asked)) == (code, asked)
    assert "the canary is home: the others wait. Enter goes on, `stop` and Enter ends the run; or, elsewhere, " in (
        " ".join(result.out.split())
    )


def test_what_was_typed_before_the_question_is_no_answer(desk):
    desk.project(migrate=operator.HELD + operator.MIGRATE)
    steps: list[str] = []

    def meanwhile(said: str) -> None:
        if "starting" in said and not steps:
            os.write(master[0], b"\n\n")  # an impatient Enter, long before
            steps.append("typed")
            desk.let_go()
        if "Enter goes on" in said and len(steps) == 1:
            steps.append("asked")
        if "waits: the canary is home" in said and len(steps) == 2:
            steps.append("waits")
            os.write(master[0], b"stop\n")

    master: list[int] = []
    result = in_front(desk, master, meanwhile, *CANARY)

    assert (steps, result.code, desk.asked) == (["typed", "asked", "waits"], 5, ["acme"])


def test_a_run_in_the_background_of_its_terminal_is_not_stopped_by_it(desk):
    """Whoever reads or flushes a terminal from the background is stopped by the kernel, and the run with it."""
    desk.project(migrate=operator.HELD + operator.MIGRATE)
    script = desk.folder / "shell"
    script.write_text(
        f"set -m\n{operator.BIN}/invoke migrate-all --canary=1 --until=23:59 2>err &\n"
        f"while ! [ -e app/begun ]; do sleep 0.05; done\n{operator.BIN}/invoke pause\ntouch app/go\n"
        "while ! grep -q 'waiting before globex' err; do sleep 0.05; done\nread line\n"
        f"{operator.BIN}/invoke continue\nwait %1\n"
    )

    def meanwhile(said: str) -> None:
        if "nothing else starts" in said and master:
            os.write(master.pop(), b"hello\n")

    master: list[int] = []
    result = in_front(desk, master, meanwhile, "bash", script)

    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert "Enter goes on" not in (desk.folder / "err").read_text()


def test_without_a_terminal_somebody_elsewhere_says_continue(desk):
    with desk.running("migrate-all", "--canary=1", "--pause-after-canary", "--max-duration=1h") as running:
        running.says("the canary is home: the others wait. `invoke continue --env=prod` goes on")
        running.says("waiting before globex")
        (seen,) = status(desk)
        desk.run("continue")
        result = running.end()

    assert (result.code, seen["state"], desk.asked) == (0, "the canary is home", list(operator.TENANTS))


@pytest.mark.parametrize(
    ("flags", "complaint", "hint"),
    [
        (
            ["--pause-after-canary"],
            "--pause-after-canary needs a canary: --canary, or the inventory's `rollout.canary`",
            "",
        ),
        (
            ["--pause-after-canary", "--canary=1"],
            "--pause-after-canary waits for a person, and there is no terminal",
            "`--gate` can answer instead; with `--until` or `--max-duration`, `invoke continue` can until then.",
        ),
        (["--gate= "], "--gate: expected a command, found nothing", ""),
    ],
)
def test_a_wait_that_nobody_would_end_is_refused(desk, flags, complaint, hint):
    operator.refuses(desk.run("migrate-all", *flags), 2, complaint, hint)
    assert desk.asked == []


def test_a_canary_that_only_said_so_stops_the_run_before_anybody_else(desk):
    desk.inventory(framework=ASKABLE)
    desk.project(migrate=LIES)

    result = desk.run("migrate-all", "--canary=1", "--pause-after-canary", "--max-duration=1h", "--format=json")

    assert (result.code, desk.asked) == (5, ["acme"])
    assert statuses(result) == {"acme": "failed", "globex": "skipped", "initech": "skipped"}
    assert reason(desk).startswith("the canary `acme` is not migrated: it said OK, and 1 migration is still pending")


# ---------------------------------------------------------------- the gate


def gates(desk) -> list[tuple[str, int | None, str]]:
    return [(each["tenant"], each["exit"], each["said"]) for each in desk.journal() if each["event"] == "GateAnswered"]


def test_the_gate_is_asked_before_each_and_knows_whom_it_is_asked_about(desk):
    result = desk.run("migrate-all", '--gate=echo "looking"; echo "$OPSKIT_ENV $OPSKIT_TENANT"; pwd > here')

    assert (result.code, desk.asked) == (0, list(operator.TENANTS))
    assert gates(desk) == [(name, 0, f"prod {name}") for name in operator.TENANTS]
    assert (desk.folder / "here").read_text() == f"{desk.folder}\n"
    assert " tenant=globex gate: looking" in desk.log()
    assert "the gate says" not in result.err


def test_a_gate_that_says_wait_is_asked_again_and_its_wait_can_be_interrupted(desk):
    with desk.running("migrate-all", "--gate=echo lag 9 s; exit 2", "--format=json") as running:
        running.says("acme: the gate says wait: lag 9 s")
        running.says("before acme: the gate said wait")
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, desk.asked, reason(desk)) == (130, [], "interrupted")


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ("exit 1", "the gate said stop"),
        ("echo replica is 90 s behind; exit 1", "the gate said stop: replica is 90 s behind"),
        ("exit 7", "the gate could not be asked (exit 7; it may say 0, 1 or 2)"),
        ("kill -9 $$", "the gate could not be asked (it was ended by signal 9)"),
    ],
)
def test_a_gate_that_says_anything_else_stops_the_run(desk, gate, why):
    result = desk.run("migrate-all", f"--gate=[ $OPSKIT_TENANT = acme ] && exit 0; {gate}", "--format=json")

    assert (result.code, desk.asked, reason(desk)) == (5, ["acme"], why)
    assert statuses(result) == {"acme": "migrated", "globex": "skipped", "initech": "skipped"}
    assert f"run ended: {why}: 1 migrated, 2 skipped" in desk.log()


def test_the_first_ctrl_c_lets_the_gate_answer_and_the_second_ends_it(desk):
    with desk.running("migrate-all", "--gate=echo $$ > pid; touch asked; sleep 1000", "--format=json") as running:
        operator.until((desk.folder / "asked").exists, "a gate", running)
        running.press_ctrl_c()
        running.says("interrupted: finishing")
        assert running.process.poll() is None
        running.press_ctrl_c()
        result = running.end()

    assert (result.code, desk.asked) == (130, [])
    assert "Traceback" not in result.err
    pid = int((desk.folder / "pid").read_text())
    operator.until(lambda: not Path(f"/proc/{pid}").exists(), "an end of the gate")


def test_the_gate_answers_instead_of_a_person_after_the_canary(desk):
    result = desk.run("migrate-all", "--canary=1", "--pause-after-canary", "--gate=true")

    assert (result.code, desk.asked) == (0, list(operator.TENANTS))
