"""A run, folded from its events."""

import pytest

from opskit import model, testing
from opskit.rollout import run as runs

AT = testing.START
CUT_OFF = "the run ended while it was at work: it may still be running on the host"
A, B, C, D = (model.Tenant(name) for name in "abcd")
STATUS = model.Status


def plan_made(*tenants: model.Tenant, current=(), refused=None) -> model.PlanMade:
    return model.PlanMade(AT, model.Plan((model.Batch(tenants),), {}, current=current, refused=refused or {}))


def started(tenant: model.Tenant) -> model.TenantStarted:
    return model.TenantStarted(AT, tenant.id, 1, "app1", ())


def outcome(tenant: model.Tenant, status: model.Status, **more) -> model.Outcome:
    return model.Outcome(tenant.id, status, **more)


def finished(tenant: model.Tenant, status: model.Status, **more) -> model.TenantFinished:
    return model.TenantFinished(AT, outcome(tenant, status, **more))


def verified(tenant: model.Tenant, status: model.Status, **more) -> model.TenantVerified:
    return model.TenantVerified(AT, outcome(tenant, status, verified=True, **more))


def ended(reason: str = "done") -> model.RunFinished:
    return model.RunFinished(AT, reason, {})


RUN_STARTED = model.RunStarted(AT, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", ())


def test_nothing_folds_to_nothing():
    run = runs.fold([])
    assert (runs.Run(), (), 0) == (run, run.settled(), run.exit_code())
    assert dict.fromkeys((status.value for status in STATUS), 0) == run.counts()


def test_start_notices_and_end_are_kept():
    run = runs.fold([RUN_STARTED, model.Notice(AT, "one"), model.Notice(AT, "two"), ended()])
    assert (RUN_STARTED, ["one", "two"], ended()) == (run.started, run.notices, run.finished)


def test_what_is_only_reported_changes_nothing():
    assert runs.Run() == runs.fold([model.Output("a", "text\n"), model.Waiting(3.0, "a")])


def test_outcomes_stand_in_the_order_they_came_to_be():
    run = runs.fold(
        [
            plan_made(A, B, D, current=(C,), refused={"x": "no database"}),
            started(B),
            finished(B, STATUS.FAILED, error="it broke"),
            started(A),
            finished(A, STATUS.MIGRATED),
            verified(A, STATUS.MIGRATED),
        ]
    )
    expected = (
        outcome(C, STATUS.CURRENT, verified=True),
        model.Outcome("x", STATUS.FAILED, error="no database (no command was sent)"),
        outcome(B, STATUS.FAILED, error="it broke"),
        outcome(A, STATUS.MIGRATED, verified=True),
        outcome(D, STATUS.SKIPPED),
    )
    assert expected == run.settled()


def test_the_tenant_at_work_when_the_record_ends_is_unknown():
    run = runs.fold([plan_made(A, B), started(A)])
    expected = (
        outcome(A, STATUS.UNKNOWN, error=CUT_OFF, attempt=1, host="app1"),
        outcome(B, STATUS.SKIPPED),
    )
    assert expected == run.settled()


def test_a_tenant_started_again_is_unknown_until_it_ends_again():
    run = runs.fold([plan_made(A), started(A), finished(A, STATUS.FAILED), started(A)])
    assert (outcome(A, STATUS.UNKNOWN, error=CUT_OFF, attempt=1, host="app1"),) == run.settled()


def test_settling_does_not_change_the_run():
    run = runs.fold([plan_made(A, B), started(A)])
    assert run.settled() == run.settled()
    assert ({}, ["a"]) == (run.outcomes, list(run.at_work))


def test_two_plans_are_one_run():
    shared = model.PlanMade(AT, model.Plan((model.Batch((model.SHARED,), 0),), {}))
    run = runs.fold([shared, started(model.SHARED), finished(model.SHARED, STATUS.MIGRATED), plan_made(A)])
    assert (outcome(model.SHARED, STATUS.MIGRATED), outcome(A, STATUS.SKIPPED)) == run.settled()


def test_counts_name_every_status():
    run = runs.fold(
        [
            plan_made(A, B, C, D, current=(model.Tenant("e"), model.Tenant("f"))),
            finished(A, STATUS.MIGRATED),
            finished(B, STATUS.FAILED),
            started(C),
        ]
    )
    assert {"migrated": 1, "current": 2, "failed": 1, "unknown": 1, "skipped": 1} == run.counts()


EXIT_CODES = [
    ("everything migrated or current", [finished(A, STATUS.MIGRATED), finished(B, STATUS.CURRENT), ended()], 0),
    ("one failed", [finished(A, STATUS.MIGRATED), finished(B, STATUS.FAILED), ended()], 5),
    ("one skipped", [finished(A, STATUS.MIGRATED), finished(B, STATUS.SKIPPED), ended()], 5),
    ("one never reached", [finished(A, STATUS.MIGRATED), ended()], 5),
    ("one unknown", [finished(A, STATUS.MIGRATED), finished(B, STATUS.UNKNOWN), ended()], 6),
    ("unknown outranks failed", [finished(A, STATUS.FAILED), finished(B, STATUS.UNKNOWN), ended()], 6),
    ("at work at the end", [finished(A, STATUS.MIGRATED), started(B)], 6),
    ("interrupted outranks all", [finished(A, STATUS.UNKNOWN), ended("interrupted")], 130),
    (
        "verified to have failed",
        [finished(A, STATUS.MIGRATED), finished(B, STATUS.MIGRATED), verified(B, STATUS.FAILED)],
        5,
    ),
]


@pytest.mark.parametrize(("events", "expected"), [row[1:] for row in EXIT_CODES], ids=[row[0] for row in EXIT_CODES])
def test_the_exit_code(events, expected):
    assert expected == runs.fold([plan_made(A, B), *events]).exit_code()


def test_a_refused_tenant_is_not_home():
    assert 5 == runs.fold([plan_made(refused={"x": "no database"}), ended()]).exit_code()


def test_who_is_followed_is_at_work_and_lost_again_where_that_run_is_killed_too():
    followed = model.TenantFollowed(AT, A.id, 2, "app1", AT, 4711)
    resumed = model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ())
    run = runs.fold([RUN_STARTED, plan_made(A), started(A), resumed, followed])
    assert [each.attempt for each in run.at_work.values()] == [2]
    again = runs.fold([RUN_STARTED, plan_made(A), started(A), resumed, followed, resumed])
    assert (again.at_work, again.outcomes[A.id].status, again.outcomes[A.id].attempt) == ({}, STATUS.UNKNOWN, 2)


def test_who_went_to_another_host_was_lost_there():
    moved = model.TenantMoved(AT, A.id, 1, "app2")
    resumed = model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ())
    run = runs.fold([RUN_STARTED, plan_made(A), started(A), moved, resumed])
    assert "app2" == run.outcomes[A.id].host
    assert runs.fold([RUN_STARTED, plan_made(A)]) == runs.fold(
        [RUN_STARTED, plan_made(A), moved]
    )  # of no tenant at work
