"""The operator's own command before each tenant: its answer, and that none of its ways to go wrong is a yes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from opskit import model
from opskit.rollout import step
from opskit.tasks import gate

ACME = model.Tenant("acme")


def ask(command: str, tenant: model.Tenant = ACME, folder="/") -> model.GateAnswered:
    return gate.ask(command, tenant, {"OPSKIT_RUN": "r1", "OPSKIT_ENV": "prod"}, str(folder))


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("true", 0, ""),
        ("echo one; echo; echo two; echo", 0, "two"),
        ("echo lag >&2; exit 2", 2, "lag"),
        ("exit 1", 1, ""),
        ("kill -KILL $$", -9, ""),
        (r"printf 'a\033[2Jb\r\n'; exit 1", 1, r"a\x1b[2Jb"),
        ("echo https://u:hunter2hunter2@db/; exit 1", 1, "https://u:[REDACTED]@db/"),
        ('echo "$OPSKIT_RUN $OPSKIT_ENV $OPSKIT_TENANT"', 0, "r1 prod acme"),
        ("read line || exit 2", 2, ""),
    ],
)
def test_its_answer(command, code, said):
    answer = ask(command)
    assert (answer.tenant, answer.exit, answer.said) == ("acme", code, said)
    assert "hunter2" not in answer.output


def test_one_that_is_not_there():
    answer = ask("no-such-program-anywhere")
    assert answer.exit == 127
    assert answer.said.endswith("not found")


@pytest.mark.parametrize("tenant", ["a\0b", "x" * 3_000_000])
def test_an_id_that_no_environment_can_hold_is_no_yes(tenant):
    answer = ask("true", model.Tenant(tenant))
    assert answer.exit is None
    assert answer.said.startswith("it could not be started: ")
    assert step.gated(step.Progress(), answer).halted.startswith("the gate could not be asked: it could not be ")


def test_a_folder_that_is_gone_is_no_yes(tmp_path):
    answer = ask("true", folder=tmp_path / "gone")
    assert (answer.exit, answer.said) == (None, "it could not be started: no such file or directory")


def test_one_that_does_not_answer_is_ended_and_has_not_said_yes(monkeypatch, tmp_path):
    monkeypatch.setattr(gate, "LIMIT", 1.0)
    answer = ask("echo asking; sleep 1000 & echo $! > pid; wait", folder=tmp_path)
    assert (answer.exit, answer.said) == (None, "it timed out after 1.0 s: its processes were ended")
    assert answer.output == "asking\n"
    assert _gone(int((tmp_path / "pid").read_text()))


def test_of_a_flood_the_end_is_kept():
    answer = ask("yes flood | head -n 3000000; echo last; exit 2")
    assert (answer.exit, answer.said) == (2, "last")
    assert len(answer.output) == 4000


def test_one_that_leaves_a_daemon_behind_has_answered(tmp_path):
    answer = ask("sleep 1000 & echo $! > pid; exit 0", folder=tmp_path)
    assert answer.exit == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it lives: leaving one behind is allowed


def test_who_leaves_ends_it(tmp_path):
    def leave() -> None:
        while not (tmp_path / "pid").exists():
            threading.Event().wait(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=leave).start()
    with pytest.raises(KeyboardInterrupt):
        ask("echo $$ > new; mv new pid; sleep 1000", folder=tmp_path)
    assert _gone(int((tmp_path / "pid").read_text()))


def _gone(pid: int) -> bool:
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        threading.Event().wait(0.01)
    return False
