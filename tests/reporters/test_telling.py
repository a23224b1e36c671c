"""Events as lines: a level, a tenant, a sentence, each said once."""

from dataclasses import replace

import pytest

from opskit import model, testing
from opskit.reporters import telling

AT = testing.START
MIGRATED, CURRENT, FAILED, UNKNOWN, SKIPPED = (
    model.Status.MIGRATED,
    model.Status.CURRENT,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
)
A, B = model.Tenant("a"), model.Tenant("b")


def told(*events: model.Event) -> list[tuple[str, str, str]]:
    """(level, tenant, text) of all that is said of the events."""
    teller = telling.Teller()
    return [(line.level, line.tenant, line.text) for event in events for line in teller.tell(event)]


def plan_made(*tenants, current=(), refused=None, retries=0) -> model.PlanMade:
    plan = model.Plan((model.Batch(tenants),), {}, current=current, refused=refused or {}, retries=retries)
    return model.PlanMade(AT, plan)


def finished(status, tenant="a", **more) -> model.TenantFinished:
    return model.TenantFinished(AT, model.Outcome(tenant, status, **more))


def verified(status, tenant="a", **more) -> model.TenantVerified:
    return model.TenantVerified(AT, model.Outcome(tenant, status, verified=True, **more))


RUN = model.RunStarted(AT, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", (), host="app1")

SENTENCES = [
    (RUN, ("INFO", "", "run 20261122T140200-prod of prod on app1, by deploy@ops1")),
    (model.Notice(AT, "app1 does not serve"), ("WARNING", "", "app1 does not serve")),
    (
        model.Said(AT, "hooks.before[0]", "\nlock \x1b[1mthe doors\n"),
        ("DEBUG", "", "hooks.before[0] | lock \\x1b[1mthe doors"),
    ),
    (model.Said(AT, "hooks.tenant_before[0]", "started", "a"), ("DEBUG", "a", "hooks.tenant_before[0] | started")),
    (plan_made(A, B, current=(model.Tenant("c"),)), ("INFO", "", "2 tenants to migrate, 1 with nothing pending")),
    (plan_made(A), ("INFO", "", "1 tenant to migrate, 0 with nothing pending")),
    (finished(MIGRATED, applied=("x.1", "x.2"), seconds=3.21), ("INFO", "a", "finished: 2 migrations, 3.2 s")),
    (finished(MIGRATED, applied=("x.1",), seconds=125), ("INFO", "a", "finished: 1 migration, 2m05s")),
    (finished(MIGRATED), ("INFO", "a", "finished: no migrations reported, 0.0 s")),
    (finished(FAILED, error="it broke", seconds=3.2), ("ERROR", "a", "failed after 3.2 s: it broke")),
    (finished(FAILED, error="not sent"), ("ERROR", "a", "failed: not sent")),
    (finished(UNKNOWN, error="lost app1", seconds=61), ("ERROR", "a", "unknown after 1m01s: lost app1")),
    (finished(SKIPPED, error="not started: x"), ("WARNING", "a", "skipped: not started: x")),
    (verified(FAILED, error="it said OK"), ("ERROR", "a", "failed: it said OK")),
    (verified(UNKNOWN, error="not asked"), ("ERROR", "a", "unknown: not asked")),
    (
        model.RunFinished(AT, "done", {"migrated": 2, "current": 0, "failed": 1}),
        ("INFO", "", "run ended: done: 2 migrated, 1 failed"),
    ),
    (model.RunFinished(AT, "interrupted", {}), ("INFO", "", "run ended: interrupted: no tenants")),
    (
        model.RunFinished(AT, "2 failed, 1 allowed", {"failed": 2}),
        ("WARNING", "", "run ended: 2 failed, 1 allowed: 2 failed"),
    ),
    (
        model.RunFinished(AT, "there is no tenant `x` among 3", {"failed": 0}),
        ("ERROR", "", "run ended: there is no tenant `x` among 3: no tenants"),
    ),
]


@pytest.mark.parametrize(("event", "expected"), SENTENCES, ids=[type(event).__name__ for event, _ in SENTENCES])
def test_an_event_is_a_sentence(event, expected):
    assert [expected] == told(event)


def test_every_line_has_its_time():
    assert [AT] == [line.at for line in telling.Teller().tell(RUN)]


def test_what_goes_by_is_not_told():
    assert [] == told(model.Output("a", "text\n"), model.Waiting(3.0, "a"))


def test_tenants_are_counted_as_they_start_over_all_plans():
    started = [model.TenantStarted(AT, name, 1, "app1", pending) for name, pending in (("a", ("x.1",)), ("b", None))]
    expected = [
        ("INFO", "a", "migrating, 1 of 2 (1 pending)"),
        ("INFO", "b", "migrating, 2 of 2"),
    ]
    assert expected == told(plan_made(A, B), *started)[1:]


def test_who_is_followed_says_where_and_since_when_as_far_as_that_is_known():
    followed = [model.TenantFollowed(AT, "a", 1, "app1", AT, 4711), model.TenantFollowed(AT, "b", 1, "app1")]
    expected = [
        ("INFO", "a", "still at work on app1 since 2026-11-22 14:02 UTC (process 4711): following"),
        ("INFO", "b", "still at work on app1: following"),
    ]
    assert expected == told(*followed)


def test_who_goes_to_another_host_than_was_said_says_so():
    assert [("INFO", "a", "goes to app2")] == told(model.TenantMoved(AT, "a", 1, "app2"))


def test_the_shared_database_has_no_line_of_its_own_for_its_plan():
    assert [] == told(plan_made(model.SHARED))


def test_refused_tenants_are_errors_before_the_plan():
    expected = [
        ("ERROR", "x", "no database (no command was sent)"),
        ("ERROR", "y", "no schema (no command was sent)"),
        ("INFO", "", "1 tenant to migrate, 0 with nothing pending"),
    ]
    assert expected == told(plan_made(A, refused={"x": "no database", "y": "no schema"}))


CONFIRMED = [
    (finished(MIGRATED, applied=("x.1",)), verified(MIGRATED, applied=("x.1",))),
    (finished(MIGRATED), verified(CURRENT)),
    (finished(FAILED, error="it broke"), verified(FAILED, error="it broke", applied=("x.1",))),
    (finished(UNKNOWN, error="lost"), verified(UNKNOWN, error="lost")),
    (finished(SKIPPED, error="not started"), verified(SKIPPED, error="not started")),
]


@pytest.mark.parametrize(("first", "second"), CONFIRMED)
def test_a_verification_that_only_confirms_says_nothing(first, second):
    assert told(first) == told(first, second)


def test_a_verification_that_knows_more_is_told():
    expected = [
        ("INFO", "a", "finished: 1 migration, 0.0 s"),
        ("ERROR", "a", "failed: it said OK, and 1 is pending"),
    ]
    first = finished(MIGRATED, applied=("x.1",))
    assert expected == told(first, verified(FAILED, error="it said OK, and 1 is pending"))


def test_a_verification_that_only_tells_more_of_a_failure_is_no_second_failure():
    expected = [
        ("ERROR", "a", "failed: timed out"),
        ("WARNING", "a", "failed: timed out (nothing is pending any more)"),
    ]
    first = finished(FAILED, error="timed out")
    after = verified(FAILED, error="timed out (nothing is pending any more)")
    assert expected == told(first, after, after)


LOCK = {"error": "lock timeout", "retryable": True}


def test_a_failure_that_is_tried_again_is_no_error_yet_and_no_further_tenant():
    again = [model.TenantStarted(AT, "a", attempt, "app1", None) for attempt in (1, 2, 3)]
    expected = [
        ("INFO", "a", "migrating, 1 of 2"),
        ("WARNING", "a", "failed: lock timeout; it is tried again"),
        ("INFO", "a", "migrating, 1 of 2, attempt 2"),
        ("WARNING", "a", "failed: lock timeout; it is tried again"),
        ("INFO", "a", "migrating, 1 of 2, attempt 3"),
        ("ERROR", "a", "failed: lock timeout"),
        ("INFO", "", "run ended: done: 1 failed"),
    ]
    heard = [event for n in range(3) for event in (again[n], finished(FAILED, attempt=n + 1, **LOCK))]
    assert expected == told(plan_made(A, B, retries=2), *heard, model.RunFinished(AT, "done", {"failed": 1}))[1:]


def test_a_failure_that_the_run_did_not_try_again_is_an_error_in_the_end():
    expected = [
        ("WARNING", "a", "failed: lock timeout; it is tried again"),
        ("ERROR", "a", "failed: lock timeout; it was not tried again"),
        ("INFO", "", "run ended: interrupted: 1 failed"),
    ]
    heard = [
        finished(FAILED, attempt=1, **LOCK),
        verified(FAILED, attempt=1, **LOCK),
        model.RunFinished(AT, "interrupted", {"failed": 1}),
    ]
    assert expected == told(plan_made(A, B, retries=2), *heard)[1:]


def test_a_success_after_another_try_was_no_failure():
    heard = [
        finished(FAILED, attempt=1, **LOCK),
        finished(MIGRATED, attempt=2),
        model.RunFinished(AT, "done", {"migrated": 1}),
    ]
    assert [] == [line for line in told(plan_made(A, retries=1), *heard) if line[0] == "ERROR"]


def test_a_failure_that_turns_out_to_be_unknown_is_told_as_such():
    expected = [("ERROR", "a", "failed: timed out"), ("ERROR", "a", "unknown: timed out; still at work")]
    assert expected == told(finished(FAILED, error="timed out"), verified(UNKNOWN, error="timed out; still at work"))


def test_a_verification_without_an_outcome_before_it_is_told_once():
    event = verified(FAILED, error="it broke")
    assert [("ERROR", "a", "failed: it broke")] == told(event, event)


def test_one_tenants_news_is_not_anothers():
    expected = [("ERROR", "a", "failed: it broke"), ("ERROR", "b", "failed: it broke")]
    assert expected == told(finished(FAILED, error="it broke"), verified(FAILED, "b", error="it broke"))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, "no tenants"),
        ({"migrated": 0}, "no tenants"),
        ({"migrated": 3, "current": 0, "failed": 1}, "3 migrated, 1 failed"),
    ],
)
def test_counts_name_what_is_not_zero(counts, text):
    assert text == telling.counted(counts)


def test_a_run_that_takes_another_one_back_says_so():
    started = replace(RUN, undoes="20261121T140200-prod")
    made = model.PlanMade(AT, model.Plan((model.Batch((A,)),), {}, current=(B,), back={"a": ("x.1",)}))
    assert [("INFO", "", "1 tenant to take back, 1 with nothing to take back")] == told(started, made)[1:]
    begun = model.TenantStarted(AT, "a", 1, "app1", None)
    assert [
        ("INFO", "a", "taking back, 1 of 1"),
        ("INFO", "a", "finished: 1.2 s"),
    ] == told(started, made, begun, finished(MIGRATED, seconds=1.2))[2:]
