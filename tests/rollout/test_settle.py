"""What becomes of a command that was killed, ended or lost: a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opskit import model
from opskit.rollout import settle

LOST = model.Outcome("acme", model.Status.UNKNOWN, error="nobody wrote down how it ended", seconds=3.0, attempt=1)
KILLED = replace(LOST, status=model.Status.FAILED, error="ended by signal 9: ")
ONE, TWO = ("members.0001",), ("members.0001", "members.0002")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (model.Reply(exit=0), False),
        (model.Reply(exit=1), False),
        (model.Reply(exit=255), False),
        (model.Reply(exit=-9), True),
        (model.Reply(exit=137), True),  # a shell in between says so
        (model.Reply(exit=0, timed_out=True), True),
        (model.Reply(exit=0, asked=True), True),
        (model.Reply(exit=None, over=True), True),
        (model.Reply(exit=None), False),  # it may still be at work: nothing can be settled
    ],
)
def test_what_has_to_be_settled_is_what_did_not_come_to_its_end(reply, expected):
    assert expected == settle.doubtful(reply)


@pytest.mark.parametrize("outcome", [LOST, KILLED])
def test_with_nothing_pending_any_more_a_tenant_is_home_however_its_command_ended(outcome):
    stands = settle.settled(outcome, TWO, model.TenantState())
    assert (model.Status.MIGRATED, TWO, True, "") == (stands.status, stands.applied, stands.verified, stands.error)
    assert model.Status.CURRENT == settle.settled(outcome, (), model.TenantState()).status
    assert model.Status.MIGRATED == settle.settled(outcome, None, model.TenantState()).status


def test_with_something_pending_a_lost_command_has_failed_and_may_be_tried_again():
    stands = settle.settled(LOST, TWO, model.TenantState(pending=TWO[1:]))
    assert (model.Status.FAILED, ONE, True, True) == (
        stands.status,
        stands.applied,
        stands.verified,
        stands.retryable,
    )
    assert "nobody wrote down how it ended; it is over, with 1 migration still pending" == stands.error


def test_with_something_pending_a_killed_command_stays_what_it_was():
    assert replace(KILLED, applied=ONE, verified=True) == settle.settled(
        KILLED, TWO, model.TenantState(pending=TWO[1:])
    )


def test_what_nobody_can_say_is_unknown():
    stands = settle.unsettled(replace(KILLED, retryable=True), "its database can't be asked")
    assert (model.Status.UNKNOWN, False) == (stands.status, stands.retryable)
    assert "ended by signal 9: ; its database can't be asked" == stands.error


def test_the_shared_database_is_asked_about_as_itself():
    survey = model.Survey(shared=ONE, tenants={"acme": model.TenantState(pending=TWO)})
    assert ONE == settle.state(survey, model.SHARED.id).pending
    assert TWO == settle.state(survey, "acme").pending
    assert settle.state(survey, "globex").error
    assert settle.state(replace(survey, shared=None), model.SHARED.id).error
