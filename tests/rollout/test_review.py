"""What differs between the plan that was reviewed and what is there now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from opskit import model
from opskit.rollout import plan, review

AT = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
CODE = {"a.0001": "1111", "a.0002": "2222", "c.0001": "3333"}


def reviewed(states: dict[str, tuple[str, ...] | None], **more) -> model.Reviewed:
    """A plan of tenants with this pending; None is one that can't be asked."""
    tenants = tuple(map(model.Tenant, states))
    survey = model.Survey(
        shared=more.get("shared_pending", ()),
        tenants={
            name: model.TenantState(error="no database") if pending is None else model.TenantState(pending=pending)
            for name, pending in states.items()
        },
        code=CODE,
    )
    made = plan.make_plan(tenants, survey)
    fields = {
        "at": AT,
        "opskit": "1.0",
        "operator": "deploy@ops1",
        "machine": "ops1",
        "args": (),
        "environment": "prod",
        "revision": "abc",
        "code": review.code_of(survey, made),
        "shared": False,
        "shared_pending": (),
        "only": (),
        "exclude": (),
        "everything": False,
        "rollout": model.Controls(),
        "timeout": None,
        "plan": made,
    }
    return model.Reviewed(**{**fields, **more})


THEN = reviewed({"x": ("a.0001",), "y": ("a.0001", "a.0002"), "z": ()})


def told(then: model.Reviewed, now: model.Reviewed, code=CODE) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.what, each.tenants) for each in review.differences(then, now, code)]


def test_the_same_does_not_differ():
    later = replace(THEN, at=datetime(2027, 1, 1, tzinfo=UTC), operator="somebody@else")
    assert [] == told(THEN, later)


def test_the_order_of_what_is_pending_is_no_difference():
    assert [] == told(THEN, reviewed({"y": ("a.0002", "a.0001"), "z": (), "x": ("a.0001",)}))


def test_a_revision_differs_where_both_are_known():
    assert [("the code's revision was abc, and is abd", ())] == told(THEN, replace(THEN, revision="abd"))
    assert [] == told(THEN, replace(THEN, revision=""))
    assert [] == told(replace(THEN, revision=""), THEN)


def test_migrations_that_were_edited_and_that_went():
    code = {**CODE, "a.0001": "9999"}
    del code["a.0002"]
    assert [("the migrations are others: a.0001 (edited), a.0002 (gone)", ())] == told(THEN, THEN, code)
    assert [] == told(THEN, THEN, {})


def test_an_edit_of_a_migration_that_is_not_pending_is_none_of_the_plans_business():
    assert [] == told(THEN, THEN, {**CODE, "c.0001": "9999"})


def test_the_shared_databases_migrations_are_held_to_their_digests_too():
    then = reviewed({"x": ("a.0001",)}, shared_pending=("c.0001",))
    assert [("the migrations are others: c.0001 (edited)", ())] == told(then, then, {**CODE, "c.0001": "9999"})
    now = replace(then, shared_pending=())
    assert [("the shared database has nothing pending any more", ())] == told(then, now)


def test_tenants_that_appeared_and_went():
    assert [("appeared", ("w",)), ("gone", ("y", "z"))] == told(THEN, reviewed({"x": ("a.0001",), "w": ()}))


def test_eight_hundred_tenants_that_differ_alike_are_one_difference_and_the_largest_is_first():
    then = reviewed({f"t{number}": ("a.0001",) for number in range(800)})
    now = reviewed({f"t{number}": () if number < 10 else ("a.0001", "a.0002") for number in range(800)})
    found = review.differences(then, now, CODE)
    assert ["pending now, and not then: a.0002", "has nothing pending any more"] == [each.what for each in found]
    assert [790, 10] == [len(each.tenants) for each in found]
    assert [False, True] == [each.applied for each in found]


def test_a_part_of_what_was_pending_is_left():
    assert [("pending then, and not now: a.0001", ("y",))] == told(
        THEN, reviewed({"x": ("a.0001",), "y": ("a.0002",), "z": ()})
    )


def test_tenants_that_can_not_be_migrated_any_more_and_that_can_again():
    refused = reviewed({"x": ("a.0001",), "y": None, "z": ()})
    assert [("can't be migrated now: no database", ("y",))] == told(THEN, refused)
    assert [("could not be migrated then, and can be now", ("y",))] == told(refused, THEN)
    assert [] == told(refused, refused)


def test_who_could_not_be_asked_and_now_can_differs():
    unasked = replace(THEN, plan=replace(THEN.plan, pending={**THEN.plan.pending, "x": None}))
    assert [("can be asked what is pending at one time only", ("x",))] == told(unasked, THEN)
    assert [] == told(unasked, unasked)
