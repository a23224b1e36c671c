"""What was said, held against what was done."""

from dataclasses import replace

import pytest

from opskit import model
from opskit.rollout import verify

X, Y, Z, OTHER = "app.0001_x", "app.0002_y", "app.0003_z", "other.0001_initial"
MIGRATED, FAILED, UNKNOWN, SKIPPED, CURRENT = (
    model.Status.MIGRATED,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
    model.Status.CURRENT,
)


def said(status: model.Status, *applied: str, error: str = "") -> model.Outcome:
    return model.Outcome("acme", status, applied=applied, error=error, seconds=3.0, attempt=1, host="app1")


def now(*pending: str, error: str = "") -> model.TenantState:
    return model.TenantState(pending=pending, error=error)


def becomes(outcome: model.Outcome, **changes) -> model.Outcome:
    return replace(outcome, **changes)


def test_said_and_done_agree():
    outcome = said(MIGRATED, X, Y)
    assert becomes(outcome, verified=True) == verify.verify(outcome, (X, Y), now())


def test_what_was_applied_is_what_is_no_longer_pending_whatever_was_said():
    outcome = said(MIGRATED, X)
    assert becomes(outcome, applied=(X, Y, Z), verified=True) == verify.verify(outcome, (X, Y, Z), now())


def test_one_that_said_ok_and_has_something_pending_is_failed():
    outcome = said(MIGRATED, X, Y)
    error = f"it said OK, and 1 migration is still pending: {Y}"
    expected = becomes(outcome, status=FAILED, applied=(X,), verified=True, error=error)
    assert expected == verify.verify(outcome, (X, Y), now(Y))


def test_many_that_are_left_are_counted_and_three_named():
    left = tuple(f"app.{number:04}" for number in range(5))
    error = "it said OK, and 5 migrations are still pending: app.0000, app.0001, app.0002 and 2 more"
    assert error == verify.verify(said(MIGRATED), left, now(*left)).error


def test_a_failure_is_told_with_what_it_did_apply():
    outcome = said(FAILED, error="ProgrammingError: …")
    assert becomes(outcome, applied=(X,), verified=True) == verify.verify(outcome, (X, Y), now(Y))


def test_a_failure_that_left_nothing_pending_says_so_and_stays_one():
    outcome = said(FAILED, error="timed out")
    error = "timed out (nothing is pending any more)"
    assert becomes(outcome, applied=(X,), verified=True, error=error) == verify.verify(outcome, (X,), now())


@pytest.mark.parametrize("after", [None, model.TenantState(error="no route to host")])
def test_how_far_a_failure_came_is_not_known_where_nobody_could_be_asked_and_that_is_said_once(after):
    outcome = said(FAILED, error="too many clients")
    stands = verify.verify(outcome, (X,), after)
    assert "too many clients (what is pending could not be asked)" == stands.error
    assert stands == verify.verify(stands, (X,), after) == verify.taken_back(outcome, (X,), after)
    refused = replace(said(FAILED, error="no database (no command was sent)"), attempt=0)
    assert refused == verify.verify(refused, (X,), after)


def test_a_failure_that_had_nothing_to_do_is_not_said_to_have_done_it():
    outcome = said(FAILED, error="it broke")
    assert becomes(outcome, verified=True) == verify.verify(outcome, (), now())


def test_only_its_own_app_counts_for_what_was_pending_before_a_failure():
    outcome = said(FAILED, error="it broke")
    assert "it broke" == verify.verify(outcome, (OTHER,), now(), "app").error
    assert "it broke (nothing is pending any more)" == verify.verify(outcome, (X, OTHER), now(OTHER), "app").error


def test_with_nothing_pending_in_its_own_app_a_success_was_current():
    outcome = said(MIGRATED)
    assert becomes(outcome, status=CURRENT, verified=True) == verify.verify(outcome, (OTHER,), now(OTHER), "app")


@pytest.mark.parametrize("status", [FAILED, UNKNOWN])
def test_nobody_knows_how_one_ends_that_is_still_at_work_in_the_database(status):
    outcome = said(status, error="timed out after 2.0 s")
    error = "timed out after 2.0 s; its connection is still at work in PostgreSQL, and may yet commit"
    assert becomes(outcome, status=UNKNOWN, error=error) == verify.still_at_work(outcome)


def test_a_success_that_had_nothing_to_do_was_current():
    outcome = said(MIGRATED)
    assert becomes(outcome, status=CURRENT, verified=True) == verify.verify(outcome, (), now())


def test_one_that_went_backwards_was_not_current():
    outcome = said(MIGRATED)
    assert becomes(outcome, verified=True) == verify.verify(outcome, (), now(Z), "app", "0002")


def test_without_knowing_what_was_pending_the_word_of_the_command_is_kept():
    outcome = said(MIGRATED, X)
    assert becomes(outcome, verified=True) == verify.verify(outcome, None, now())


def test_an_unknown_outcome_stays_unknown_and_tells_the_evidence():
    outcome = said(UNKNOWN, error="lost app1")
    answers = [verify.verify(outcome, (X, Y), now(*left)) for left in ((), (Y,), (X, Y))]
    expected = [
        becomes(outcome, error="lost app1 (nothing is pending there now)"),
        becomes(outcome, error="lost app1 (asked just now, 1 migration is pending there)"),
        becomes(outcome, error="lost app1 (asked just now, 2 migrations are pending there)"),
    ]
    assert expected == answers


UNASKED = [
    (None, "it was not asked"),
    (now(error="OperationalError: no such database"), "OperationalError: no such database"),
]


@pytest.mark.parametrize(("after", "why"), UNASKED)
def test_a_success_that_nobody_could_look_at_is_unknown(after, why):
    outcome = said(MIGRATED, X)
    error = f"it said that it migrated; its database could not be asked: {why}"
    assert becomes(outcome, status=UNKNOWN, error=error) == verify.verify(outcome, (X,), after)


@pytest.mark.parametrize("after", [None, now(error="gone")])
def test_what_nobody_knows_stays_as_it_was_told_where_nobody_could_look(after):
    outcome = said(UNKNOWN, error="it broke")
    assert outcome == verify.verify(outcome, (X,), after)


@pytest.mark.parametrize("status", [SKIPPED, CURRENT])
@pytest.mark.parametrize("after", [None, now(), now(X)])
def test_who_got_no_command_is_not_judged(status, after):
    outcome = model.Outcome("acme", status)
    assert outcome == verify.verify(outcome, (X,), after)


TARGETS = [
    ("another app is not held against one app", (X, OTHER), (OTHER,), "app", "", MIGRATED),
    ("its own app is", (X, OTHER), (X, OTHER), "app", "", FAILED),
    ("what comes after the target is not", (X, Y, Z), (Z,), "app", "0002_y", MIGRATED),
    ("the target is", (X, Y, Z), (Y, Z), "app", "0002_y", FAILED),
    ("the target may be written short", (X, Y, Z), (Y, Z), "app", "0002", FAILED),
    ("the same name in another app is another migration", (X,), ("other.0001_x",), "app", "0001_x", MIGRATED),
]


@pytest.mark.parametrize(
    ("before", "left", "app", "name", "expected"), [row[1:] for row in TARGETS], ids=[row[0] for row in TARGETS]
)
def test_only_what_was_to_be_applied_counts(before, left, app, name, expected):
    assert expected is verify.verify(said(MIGRATED), before, now(*left), app, name).status
