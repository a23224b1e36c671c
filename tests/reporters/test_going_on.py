"""What a run that is going on is doing, as its journal tells it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from opskit import control, journal, model, testing
from opskit.reporters import status

AT = testing.START
NOW = AT + timedelta(seconds=30)
A, B, C = (model.Tenant(name) for name in "abc")
STARTED = model.RunStarted(AT, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", (), host="app1")
RESUMED = model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ())
PLAN = model.PlanMade(
    AT, model.Plan((model.Batch((A, B, C)),), {}, stagger=10.0, expected={"a": 20.0, "b": 40.0, "c": 60.0})
)


def begun(tenant: model.Tenant, attempt: int = 1) -> model.TenantStarted:
    return model.TenantStarted(AT + timedelta(seconds=25), tenant.id, attempt, "app2", None)


def ended(tenant: model.Tenant, status_=model.Status.MIGRATED) -> model.TenantFinished:
    return model.TenantFinished(AT, model.Outcome(tenant.id, status_, seconds=20.0, attempt=1))


@pytest.fixture
def told(tmp_path):
    """Write events as a run's journal; its folder."""
    with contextlib.ExitStack() as stack:

        def write(*events: model.Journalled):
            record = stack.enter_context(contextlib.closing(journal.create(tmp_path, STARTED.run_id, sync=False)))
            for event in events:
                record.append(event)
            return record.folder

        yield write


def test_before_the_plan_it_asks(told):
    now = status.look(told(STARTED), NOW)
    assert (now.state, now.host, now.done, now.total, now.left) == ("asking", "app1", 0, 0, 0.0)


def test_at_work(told):
    now = status.look(told(STARTED, PLAN, ended(A), begun(B)), NOW)
    assert (now.state, now.tenant, now.attempt, now.host) == ("migrating", "b", 1, "app2")
    assert (now.seconds, now.usual, now.done, now.total) == (5.0, 40.0, 1, 3)
    assert now.left == 40 + 60 + 10 - 5


def test_between_two_tenants_it_waits_and_after_the_last_it_asks(told):
    assert status.look(told(STARTED, PLAN, ended(A)), NOW).state == "waiting"


@pytest.mark.parametrize(("seconds", "left"), [(4, 110 + 6), (30, 110)])
def test_what_is_left_of_a_pause_counts(told, seconds, left):
    now = status.look(told(STARTED, PLAN, ended(A)), AT + timedelta(seconds=seconds))
    assert now.left == left


def test_a_run_that_is_resumed_pauses_before_nobody_yet(told):
    again = model.PlanMade(AT, model.Plan((model.Batch((B, C)),), {}, stagger=10.0, expected={"b": 40.0, "c": 60.0}))
    assert status.look(told(STARTED, PLAN, ended(A), RESUMED, again), AT).left == 40 + 60 + 10


def test_after_the_last_it_asks(told):
    now = status.look(told(STARTED, PLAN, ended(A), ended(B), ended(C)), NOW)
    assert (now.state, now.done, now.left) == ("asking", 3, 0.0)


def test_a_second_attempt_is_not_done(told):
    now = status.look(told(STARTED, PLAN, ended(A, model.Status.FAILED), begun(A, 2)), NOW)
    assert (now.attempt, now.done) == (2, 0)


def test_a_resumed_run_counts_those_that_are_to_be_tried_again_as_not_done(told):
    again = model.PlanMade(AT, model.Plan((model.Batch((B, C)),), {}))
    now = status.look(told(STARTED, PLAN, ended(A), begun(B), RESUMED, again), NOW)
    assert (now.state, now.tenant, now.done, now.total) == ("waiting", "", 1, 3)


@pytest.mark.parametrize(
    ("said", "idle", "busy"),
    [
        (control.Said(control.PAUSE, "ann@ops2"), "paused by ann@ops2", "pausing"),
        (control.Said(control.PAUSE, why="the canary is home"), "the canary is home", "pausing"),
        (control.Said(control.CONTINUE, "ann@ops2"), "waiting", "migrating"),
        (control.Said(control.STOP, "ann@ops2"), "stopping", "stopping"),
    ],
)
def test_what_was_said_to_it(told, tmp_path, said, idle, busy):
    folder = told(STARTED, PLAN)
    control.say(folder, said)
    assert status.look(folder, NOW).state == idle
    with (folder / "journal.jsonl").open("a") as file:
        file.write(journal.encode(begun(A), 3) + "\n")
    assert status.look(folder, NOW).state == busy


def test_machines_get_every_field(told):
    (found,) = json.loads(status.as_json([told(STARTED, PLAN, begun(A))], NOW))
    assert list(found) == [
        *("run_id", "environment", "operator", "host", "state", "tenant", "attempt", "seconds", "usual"),
        *("done", "total", "left", "at_work"),
    ]
    assert found["at_work"] == [{"tenant": "a", "host": "app2", "attempt": 1, "seconds": 5.0, "usual": 20.0}]
    assert json.loads(status.as_json([], NOW)) == []


def test_all_that_are_at_work_are_shown_and_finished_first(told):
    folder = told(STARTED, PLAN, begun(A), replace(begun(B), host="app3"))
    (found,) = json.loads(status.as_json([folder], NOW))
    assert [(each["tenant"], each["host"]) for each in found["at_work"]] == [("a", "app2"), ("b", "app3")]
    lines = status.as_table([folder], NOW).splitlines()
    assert ("a on app2" in lines[2], "b on app3" in lines[3]) == (True, True)
    assert "`a` and `b` are finished first" in status.obeyed(journal.load(folder), folder, control.STOP, new=True)


def test_people_get_a_table_and_a_record_that_is_broken_hides_no_other(told, tmp_path):
    good = told(STARTED, PLAN, begun(A))
    bad = tmp_path / "20261122T150000-prod"
    bad.mkdir()
    (bad / "journal.jsonl").write_text("{}\n")
    lines = status.as_table([bad, good], NOW).splitlines()
    assert "can't be read" in lines[2]
    assert lines[3].split() == [
        *("20261122T140200-prod", "deploy@ops1", "migrating", "0", "of", "3", "a", "on", "app2"),
        *("5.0", "s", "(usually", "20.0", "s)", "2m15s"),
    ]
    assert status.as_table([], NOW) == "no run is going on here."


@pytest.mark.parametrize(("width", "heads"), [(None, "run by state done at work for left"), (100, None), (80, None)])
def test_the_table_is_as_wide_as_the_terminal_and_leaves_out_who_before_it_stacks(told, width, heads):
    folder = told(STARTED, PLAN, begun(A), begun(B))
    lines = status.as_table([folder], NOW, width).splitlines()
    assert ("by" in lines[0].split()) == (width != 80)
    assert heads is None or heads == " ".join(lines[0].split())
    assert max(map(len, lines)) <= (width or 200)
    assert [["a", "b"]] == [[word for line in lines[2:] for word in line.split() if word in "ab"]]


def test_on_a_narrow_terminal_a_run_is_a_line_a_cell(told):
    lines = status.as_table([told(STARTED, PLAN, begun(B))], NOW, 40).splitlines()
    assert (f"run: {STARTED.run_id}", True) == (lines[0], any(line.startswith("  for: 5.0 s") for line in lines))
    assert {"  state: migrating", "  done: 0 of 3", "  at work: b on app2"} <= set(lines)
