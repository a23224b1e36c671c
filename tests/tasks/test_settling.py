"""The wait until the database is done with a command: on a fake clock, with a scripted fleet."""

from __future__ import annotations

import json

import pytest

from opskit import frameworks, model, testing
from opskit.tasks import project, settling

ENVIRONMENT = model.Environment("prod", (model.Host("app1", "app1"),), model.App("/srv/acme"), "omnitenant")
TIMED_OUT = model.Outcome("acme", model.Status.FAILED, error="timed out after 3.0 s: its processes were ended")
PENDING = ("members.0001",)


def survey(pending=PENDING, *, busy=False, error="") -> model.Reply:
    state = {"tenant_id": "acme", "applied": 1, "latest": [], "pending": list(pending), "error": error}
    answer = {"v": 1, "shared": {"pending": []}, "tenants": [state], "busy": ["opskit/run/acme"] if busy else []}
    return model.Reply(exit=0, out=json.dumps(answer))


LOST = model.Reply(exit=None, error="the connection was closed")


def settled(*answers: model.Reply, limit: float = 60.0, narrow: bool = False):
    """The outcome, what was said, and how long it took."""
    left = list(answers)
    fleet = testing.ScriptedFleet({"status": lambda _: left.pop(0) if len(left) > 1 else left[0]})
    clock, said = testing.FakeClock(), []
    asked = project.Project(ENVIRONMENT, frameworks.get(ENVIRONMENT), fleet)
    settler = settling.Settling(asked, clock, said.append, narrow=narrow)
    return settler.settle(TIMED_OUT, lambda _: PENDING, limit), said, clock.monotonic()


def test_a_quiet_database_is_asked_once_and_nobody_is_bothered():
    outcome, said, took = settled(survey())
    assert (outcome.status, outcome.verified, said, took) == (model.Status.FAILED, True, [], 0.0)


def test_it_is_waited_for_a_connection_that_is_still_at_work_and_that_is_said_once():
    outcome, said, took = settled(survey(busy=True), survey(busy=True), survey(()))
    assert (outcome.status, outcome.applied, outcome.verified, took) == (model.Status.MIGRATED, PENDING, True, 4.0)
    assert said == [
        "`acme`: its connection is still at work in PostgreSQL, and may yet commit. waiting for that, 1m00s at most",
        "`acme`: timed out after 3.0 s: its processes were ended. nothing is pending there any more: it is home",
    ]


def test_a_connection_that_stays_at_work_is_unknown_after_the_limit():
    outcome, _, took = settled(survey(busy=True), limit=5.0)
    assert (outcome.status, took) == (model.Status.UNKNOWN, 5.0)
    assert outcome.error.endswith("its connection is still at work in PostgreSQL, and may yet commit")


@pytest.mark.parametrize("answer", [LOST, model.Reply(exit=1, tail="OperationalError: down"), survey(error="no room")])
def test_a_database_that_cannot_be_asked_is_asked_again_until_the_limit(answer):
    home, said, _ = settled(answer, answer, survey(()))
    outcome, _, took = settled(answer, limit=5.0)
    assert (home.status, outcome.status, took) == (model.Status.MIGRATED, model.Status.UNKNOWN, 5.0)
    assert said[0].startswith("`acme`: its database can't be asked: ")


def test_a_command_for_one_app_is_not_judged_by_what_is_pending():
    outcome, _, took = settled(survey(busy=True), survey(()), narrow=True)
    assert (outcome, took) == (TIMED_OUT, 2.0)
