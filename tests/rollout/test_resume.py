"""What a run left open, and what becomes of it."""

from __future__ import annotations

import pytest

from opskit import model, testing
from opskit.rollout import resume
from opskit.rollout import run as runs

AT = testing.START
STATUS = model.Status
A, B, C = (model.Tenant(name) for name in "abc")
STARTED = model.RunStarted(AT, "20261122T140200-prod", "prod", "1.0", "deploy@ops1", "ops1", ())
RESUMED = model.RunResumed(AT, "1.0", "deploy@ops1", "ops1", ())
X, Y, Z = "app.0001_x", "app.0002_y", "app.0003_z"


def plan(*tenants: model.Tenant, pending=None, **more) -> model.Plan:
    return model.Plan((model.Batch(tenants),), pending or {}, **more)


def made(*tenants: model.Tenant, **more) -> model.PlanMade:
    return model.PlanMade(AT, plan(*tenants, **more))


def begun(tenant: model.Tenant) -> model.TenantStarted:
    return model.TenantStarted(AT, tenant.id, 2, "app1", None)


def ended(tenant: model.Tenant, status: model.Status, **more) -> model.TenantFinished:
    return model.TenantFinished(AT, model.Outcome(tenant.id, status, attempt=1, **more))


def fold(*events) -> runs.Run:
    return runs.fold([STARTED, *events])


@pytest.mark.parametrize(
    ("status", "verified", "asked", "open_"),
    [
        (STATUS.MIGRATED, True, True, False),
        (STATUS.MIGRATED, False, True, True),
        (STATUS.MIGRATED, False, False, False),
        (STATUS.CURRENT, True, True, False),
        (STATUS.FAILED, True, True, True),
        (STATUS.FAILED, False, False, True),
        (STATUS.UNKNOWN, False, False, True),
    ],
)
def test_who_is_left(status, verified, asked, open_):
    run = fold(made(A, model.SHARED), ended(A, status, verified=verified), ended(model.SHARED, STATUS.FAILED))
    assert list(resume.left(run, asked=asked)) == (["a"] if open_ else [])


def test_who_was_never_reached_is_left_and_who_was_refused_and_who_was_at_work():
    run = fold(made(A, B, C, refused={"d": "no database"}, current=(model.Tenant("e"),)), begun(B))
    found = {name: outcome.status for name, outcome in resume.left(run).items()}
    assert found == {"a": STATUS.SKIPPED, "b": STATUS.UNKNOWN, "c": STATUS.SKIPPED, "d": STATUS.FAILED}


def test_who_was_at_work_when_the_run_was_killed_is_not_at_work_when_it_is_resumed():
    run = fold(made(A, B), begun(A), RESUMED)
    assert (run.at_work, run.ahead) == ({}, set())
    outcome = run.outcomes["a"]
    assert (outcome.status, outcome.attempt, outcome.host) == (STATUS.UNKNOWN, 2, "app1")
    again = fold(made(A, B), begun(A), RESUMED, made(A), begun(A))
    assert (list(again.at_work), again.ahead) == (["a"], {"a"})


def test_a_run_has_a_plan_once_its_tenants_do():
    assert not resume.planned(fold())
    assert not resume.planned(fold(made(model.SHARED)))
    assert resume.planned(fold(made(model.SHARED), made(A)))
    assert resume.planned(fold(model.PlanMade(AT, model.Plan((), {}, current=(A,)))))


def test_what_was_pending_is_all_that_ever_was_apart_from_what_is_gone():
    run = fold(
        made(A, pending={"a": (X, Y), "b": (), "c": None}, refused={"b": "no database"}),
        made(A, pending={"a": (Y, Z), "b": (X,), "c": None}),
    )
    assert resume.before(run, {}) == {"a": (X, Y, Z), "b": (X,), "c": None}
    assert resume.before(run, {Y: "1", Z: "2"}) == {"a": (Y, Z), "b": (), "c": None}


@pytest.mark.parametrize(
    ("status", "host", "serving", "open_"),
    [
        (STATUS.UNKNOWN, "app1", "app1", False),
        (STATUS.UNKNOWN, "app1", "app2", True),
        (STATUS.FAILED, "app1", "app2", False),
        (STATUS.UNKNOWN, "", "app2", False),
    ],
)
def test_the_lock_says_nothing_of_another_host(status, host, serving, open_):
    outcome = model.Outcome("a", status)
    assert bool(resume.still_open(outcome, host, (serving,))) == open_


NOTHING, SOME = model.TenantState(), model.TenantState(pending=(Y,))


@pytest.mark.parametrize(
    ("status", "now", "stands"),
    [
        (STATUS.UNKNOWN, NOTHING, (STATUS.MIGRATED, (X,))),
        (STATUS.MIGRATED, NOTHING, (STATUS.MIGRATED, (X,))),
        (STATUS.FAILED, NOTHING, (STATUS.CURRENT, ())),
        (STATUS.SKIPPED, NOTHING, (STATUS.CURRENT, ())),
        (STATUS.UNKNOWN, SOME, None),
        (STATUS.UNKNOWN, model.TenantState(error="no such database"), None),
        (STATUS.UNKNOWN, None, None),
    ],
)
def test_what_the_database_alone_proves(status, now, stands):
    found = resume.settled(model.Outcome("a", status, error="lost"), (X,), now)
    assert (found and (found.status, found.applied)) == stands
    assert found is None or (found.verified, found.error) == (True, "")


PLANS = [plan(A, pending={"a": (X, Y), "b": ()}, refused={"b": "no database"}, code={X: "1", Y: "2"})]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ({X: "1", Y: "2", Z: "9"}, []),
        ({X: "1", Y: "3"}, [f"{Y} (edited)"]),
        ({Y: "2"}, [f"{X} (gone)"]),
        ({}, []),
    ],
)
def test_how_the_code_has_changed(code, found):
    assert resume.changes(PLANS, code) == found


def test_a_migration_is_new_where_it_was_not_pending_and_not_where_nobody_could_ask():
    states = {"a": model.TenantState(pending=(Y, Z)), "b": model.TenantState(pending=(X, Y))}
    assert resume.added(PLANS, states, {"a": 1, "b": 1}) == [f"{Z} (new)"]
    assert resume.added(PLANS, states, {"b": 1, "c": 1}) == []
