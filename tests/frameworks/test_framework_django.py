"""Django's ground rules: what was applied, and why it failed."""

import pytest

from opskit import model
from opskit.frameworks import django

LINES = [
    ("  Applying app.0001_x... OK", ("app.0001_x",)),
    ("  Applying app.0001_x... FAKED", ("app.0001_x",)),
    ("  Applying app.0001_x... OK   ", ("app.0001_x",)),
    ("  Applying app.0001_x... OK\r", ("app.0001_x",)),
    ("  Applying app.0001_x... counting members OK", ("app.0001_x",)),
    ("[1/300 (0%) standard:acme]   Applying app.0001_x... OK", ("app.0001_x",)),
    ("  Applying app.0001_v1.2_x... OK", ("app.0001_v1.2_x",)),
    ("  Applying app.0001_x...", ()),
    ("  Applying app.0001_x...Migrations failed for tenant 'a': no", ()),
    ("  Applying app.0001_x... OK?", ()),
    ("Operations to perform:", ()),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_what_is_said_to_be_applied(line, expected):
    assert expected == django.applied((line,))


def test_the_order_is_kept():
    assert ("b.2", "a.1") == django.applied(("  Applying b.2... OK", "noise", "  Applying a.1... OK"))


TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    raise
psycopg.errors.DuplicateColumn: column "phone" already exists

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
django.db.utils.ProgrammingError: column "phone" already exists
LINE 1: ALTER TABLE x
                    ^
"""

REASONS = [
    ("nothing said", "", ""),
    ("only blanks", "\n  \n", ""),
    ("the last line, where there is no exception", "one\ntwo\n\n", "two"),
    ("the last exception's sentence, without its module", TRACEBACK, 'ProgrammingError: column "phone" already exists'),
    ("an exception without a sentence", "x\nKeyboardInterrupt\n", "KeyboardInterrupt"),
    ("a CommandError", "CommandError: no such tenant\n", "CommandError: no such tenant"),
    ("a class of the project", "acme.billing.PaymentFailed: 3 left\nbye\n", "PaymentFailed: 3 left"),
    ("a sentence with a colon is no exception", "note: OK\nlast: line\n", "last: line"),
    ("argparse", "usage: manage.py\nmanage.py x: error: unrecognized\n", "manage.py x: error: unrecognized"),
    ("a password in it is not told", "OperationalError: postgres://u:hunter2@db/x\n", "OperationalError: postgres://u:[REDACTED]@db/x"),
    ("blanks become one", "ValueError: a\tb    c\n", "ValueError: a b c"),
]  # fmt: skip


@pytest.mark.parametrize(("tail", "expected"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS])
def test_the_reason_is_one_line(tail, expected):
    assert expected == django.reason(tail)


RAISED = [
    ("", ""),
    ("one\ntwo\n", ""),
    ("note: OK\n", ""),
    (TRACEBACK, 'ProgrammingError: column "phone" already exists'),
    ("ValueError: one\nKeyError: two\nbye\n", "KeyError: two"),
]


@pytest.mark.parametrize(("tail", "expected"), RAISED)
def test_an_exception_is_the_last_one_and_nothing_that_was_only_said(tail, expected):
    assert expected == django.exception(tail)


def test_a_long_reason_is_cut_and_shows_it():
    cut = django.reason(f"ValueError: {'x' * 1000}")
    assert (500, "ValueError: xxx", "x…") == (len(cut), cut[:15], cut[-2:])


def test_a_secret_that_straddles_the_cut_is_not_told():
    assert "hunter2"[:3] not in django.one_line(f"{'x' * 485} password=hunter2hunter2hunter2")


ENDS = [
    (model.Reply(exit=0), model.Status.MIGRATED, ""),
    (model.Reply(exit=None), model.Status.UNKNOWN, "nobody knows how it ended"),
    (model.Reply(exit=None, error="lost app1"), model.Status.UNKNOWN, "lost app1"),
    (model.Reply(exit=None, timed_out=True), model.Status.UNKNOWN, "nobody knows how it ended"),
    (model.Reply(exit=0, timed_out=True, seconds=3600), model.Status.FAILED, "timed out after 1h00m: its processes were ended"),
    (model.Reply(exit=127, error="not started: x"), model.Status.FAILED, "not started: x"),
    (model.Reply(exit=-9), model.Status.FAILED, "ended by signal 9: "),
    (model.Reply(exit=1, tail="CommandError: no\n"), model.Status.FAILED, "CommandError: no"),
    (model.Reply(exit=1), model.Status.FAILED, "it exited 1, and said last: nothing"),
    (model.Reply(exit=1, tail="\n \n"), model.Status.FAILED, "it exited 1, and said last: nothing"),
    (model.Reply(exit=2, tail="usage: x\nx: error: no such option\n\n"), model.Status.FAILED, "it exited 2, and said last: x: error: no such option"),
    (model.Reply(exit=2, tail=TRACEBACK), model.Status.FAILED, 'ProgrammingError: column "phone" already exists'),
    (model.Reply(exit=1, tail="password=hunter2\n"), model.Status.FAILED, "it exited 1, and said last: password=[REDACTED]"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "status", "error"), ENDS)
def test_the_end_of_the_process_alone(reply, status, error):
    outcome = django.judge(model.Tenant("acme"), reply)
    assert (status, error.strip()) == (outcome.status, outcome.error)


def test_an_outcome_carries_what_the_reply_knows():
    reply = model.Reply(exit=1, marks=("  Applying a.1... OK",), tail="ValueError: x\n", seconds=2.5)
    expected = model.Outcome(
        "acme",
        model.Status.FAILED,
        applied=("a.1",),
        error="ValueError: x",
        seconds=2.5,
        fingerprint=model.Fingerprint("ValueError", text="x"),
    )
    assert expected == django.judge(model.Tenant("acme"), reply)
