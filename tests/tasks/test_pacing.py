"""The flags that pace a rollout, and that a pause has somebody to end it."""

from __future__ import annotations

import inspect
import io
import os
import pty
import sys
from datetime import datetime, timedelta

import pytest

from opskit import errors, model, testing
from opskit.tasks import migrate, pacing

PAUSING = model.Controls(canary=model.Canary(1), pause_after_canary=True)


def changes(**flags):
    return pacing.changes(flags)


def test_flags_that_were_not_typed_change_nothing():
    assert changes() == {}


class Listened(dict):
    """No flag was typed; `asked` has the names of those that were asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return default


def test_each_flag_that_is_read_can_be_typed():
    given = Listened()
    pacing.changes(given)
    assert {"stagger", "until", "go_on"} <= given.asked <= set(inspect.signature(migrate.migrate_all.body).parameters)


def test_each_flag_changes_its_own_control():
    assert changes(
        stagger="1m", canary="2", max_failures="5%", stop_after_same="3", retries="3", order="name", gate="a b"
    ) == {
        "stagger": 60.0,
        "canary": model.Canary(2),
        "max_failures": model.Allowance(5, True),
        "stop_after_same": 3,
        "retries": 3,
        "order": "name",
        "gate": "a b",
    }
    assert changes(stagger="0", pause_after_canary=True, go_on=True) == {
        "stagger": 0.0,
        "pause_after_canary": True,
        "go_on": True,
    }


def test_a_canary_may_stand_in_a_file_where_digits_are_a_tenant(tmp_path):
    (tmp_path / "first").write_text("# ours\n3\n=4\ntest-*\n")
    (tmp_path / "first.json").write_text('["a,b", "@at"]')
    text = f"@{tmp_path}/first, =@one,=7,acme,@{tmp_path}/first.json"
    names = ("3", "=4", "test-*", "@one", "7", "acme", "a,b", "@at")
    assert changes(canary=text) == {"canary": model.Canary(patterns=names)}


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        ("@nowhere", "`@nowhere` can't be read: no such file or directory"),
        ("@", "`@` can't be read: "),
        ("@/dev/null", "`@/dev/null` names nobody"),
        ("@/dev/null,", "expected ids or globs with commas between them, found `@/dev/null,`"),
        ("@/dev/null,=", "expected ids or globs with commas between them, found `@/dev/null,=`"),
    ],
)
def test_a_canarys_file_that_names_nobody_is_an_error(canary, said):
    with pytest.raises(errors.UsageError, match=f"^--canary: {said}"):
        changes(canary=canary)


def test_a_duration_ends_that_much_later():
    before = datetime.now().astimezone()
    found = changes(max_duration="2h")["deadline"]
    assert before <= found - timedelta(hours=2) <= datetime.now().astimezone()


@pytest.mark.parametrize("gate", ["if [", "echo 'a", "(true", "-x", "case"])
def test_a_gate_that_no_shell_can_read_is_refused(gate):
    with pytest.raises(errors.UsageError, match=r"^--gate: /bin/sh can't read it: .+"):
        changes(gate=gate)


@pytest.mark.parametrize("gate", ["", " ", "\t\n"])
def test_a_gate_is_a_command(gate):
    with pytest.raises(errors.UsageError, match=r"^--gate: expected a command, found nothing$"):
        changes(gate=gate)


@pytest.mark.parametrize(
    ("stdin", "how", "refused"),
    [
        (None, model.Controls(), ""),
        (None, PAUSING, "there is no terminal"),
        (io.StringIO("\n"), PAUSING, "there is no terminal"),
        (None, model.Controls(pause_after_canary=True), "needs a canary"),
        (None, model.Controls(canary=model.Canary(patterns=("a",)), pause_after_canary=True, gate="true"), ""),
        (None, model.Controls(canary=model.Canary(1), pause_after_canary=True, deadline=testing.START), ""),
    ],
)
def test_a_pause_needs_somebody_to_end_it(monkeypatch, stdin, how, refused):
    monkeypatch.setattr(sys, "stdin", stdin)
    if not refused:
        pacing.someone_to_ask(how)
        return
    with pytest.raises(errors.UsageError, match=refused):
        pacing.someone_to_ask(how)


def test_a_person_at_the_terminal_can_end_it(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        pacing.someone_to_ask(PAUSING)
    os.close(ours)
