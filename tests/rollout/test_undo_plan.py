"""What a run changed, and the plan that takes it back."""

from __future__ import annotations

import pytest

from opskit import errors, model, testing
from opskit.rollout import run as runs
from opskit.rollout import undo, verify

AT = testing.START
STATUS = model.Status
X, Y = "app.0001_x", "app.0002_y"
TENANTS = tuple(map(model.Tenant, "abcd"))
BACK = model.WayBack((X,), (("app", "zero"),))


def run(*outcomes: model.Outcome) -> runs.Run:
    plan = model.Plan((model.Batch(TENANTS),), {})
    return runs.fold([model.PlanMade(AT, plan), *(model.TenantVerified(AT, each) for each in outcomes)])


def outcome(tenant: str, status=STATUS.MIGRATED, applied=(X,), verified=True, attempt=1) -> model.Outcome:
    return model.Outcome(tenant, status, applied, verified, attempt=attempt)


def test_what_the_databases_confirmed_is_what_a_run_changed_a_failed_tenant_too():
    found = run(outcome("a"), outcome("b", STATUS.FAILED), outcome("c", applied=()), outcome("(shared)", applied=(Y,)))
    assert {"a": (X,), "b": (X,)} == undo.changed(found)
    assert (Y,) == undo.shared(found)
    assert () == undo.uncertain(found)


def test_who_was_lost_or_never_asked_is_uncertain():
    lost = outcome("a", STATUS.UNKNOWN, (), verified=False)
    said = outcome("b", verified=False)
    found = run(lost, said, outcome("c", STATUS.CURRENT, (), attempt=0))
    assert ({}, ("a", "b")) == (undo.changed(found), undo.uncertain(found))


def test_the_plan_has_those_that_can_go_back_and_names_the_others():
    ways = {"a": BACK, "b": model.WayBack(), "c": model.WayBack((X,), refusal="no"), "d": BACK, "gone": BACK}
    how = model.Controls(stagger=3.0, canary=model.Canary(1), max_failures=model.Allowance(0), retries=2)
    made = undo.make_plan(TENANTS, ways, {"d": "at work"}, how)
    assert [["a"]] == [[each.id for each in batch.tenants] for batch in made.batches]
    assert ("b",) == tuple(each.id for each in made.current)
    assert {"c": "no", "d": "at work", "gone": "the project does not list it any more"} == made.refused
    assert ({"a": (X,)}, 3.0, 1, 2) == (made.back, made.stagger, made.canaries, made.retries)


def test_who_has_nothing_left_needs_no_start_whatever_an_earlier_try_does():
    made = undo.make_plan(TENANTS, {"a": model.WayBack()}, {"a": "at work"}, model.Controls())
    assert (("a",), {}) == (tuple(each.id for each in made.current), dict(made.refused))


def test_a_canary_that_can_not_go_back_stops_it():
    how = model.Controls(canary=model.Canary(patterns=("a",)))
    with pytest.raises(errors.CannotStart, match="the canary `a` can't be migrated: no"):
        undo.make_plan(TENANTS, {"a": model.WayBack((X,), refusal="no"), "b": BACK}, {}, how)


def test_with_nothing_to_do_there_are_no_batches():
    assert () == undo.make_plan(TENANTS, {}, {}, model.Controls()).batches


# ---------------------------------------------------------------- said and done


def state(*pending: str, error: str = "") -> model.TenantState:
    return model.TenantState(pending=pending, error=error)


def test_what_is_pending_again_was_taken_back():
    stands = verify.taken_back(outcome("a", applied=(), verified=False), (X, Y), state(X, Y, "b.0001"))
    assert (STATUS.MIGRATED, (X, Y), (), True) == (stands.status, stands.taken_back, stands.applied, stands.verified)


def test_what_said_ok_and_is_still_applied_has_failed():
    stands = verify.taken_back(outcome("a", applied=(), verified=False), (X, Y), state(Y))
    assert (STATUS.FAILED, (Y,), "it said OK, and 1 migration is still applied: app.0001_x") == (
        stands.status,
        stands.taken_back,
        stands.error,
    )


def test_a_failure_that_took_everything_back_says_so():
    failed = model.Outcome("a", STATUS.FAILED, error="it broke", attempt=1)
    assert "it broke (all of it is taken back)" == verify.taken_back(failed, (X,), state(X)).error
    assert "it broke" == verify.taken_back(failed, (X, Y), state(X)).error


def test_who_can_not_be_asked_is_not_known_to_be_back():
    for after in (None, state(error="no database")):
        assert STATUS.UNKNOWN is verify.taken_back(outcome("a", verified=False), (X,), after).status


def test_a_lost_one_stays_unknown_with_what_was_seen():
    lost = model.Outcome("a", STATUS.UNKNOWN, error="lost", attempt=1)
    assert "lost (asked just now, 1 migration is pending there)" == verify.taken_back(lost, (X,), state(X)).error


def test_of_whom_nobody_knows_what_the_run_did_is_named_and_not_touched():
    made = undo.make_plan(TENANTS, {"a": BACK}, {}, model.Controls(), {"b": "nobody knows"})
    assert ([["a"]], {"b": "nobody knows"}) == (
        [[each.id for each in batch.tenants] for batch in made.batches],
        made.refused,
    )
