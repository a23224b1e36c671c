"""What is pending here, held against an environment that must have it first."""

from __future__ import annotations

import pytest

from opskit import model
from opskit.rollout import requires

CODE = {"a.0001": "1111", "a.0002": "2222", "b.0001": "3333"}
WANTED = requires.Wanted(frozenset({"a.0002"}), frozenset(), CODE)


def there(states: dict[str, tuple[str, ...]], shared=(), code=CODE) -> model.Survey:
    return model.Survey(
        shared, {name: model.TenantState(pending=pending) for name, pending in states.items()}, code=code
    )


def told(wanted: requires.Wanted, survey: model.Survey) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.what, each.names) for each in requires.lacks(wanted, survey)]


def test_what_is_applied_on_every_tenant_lacks_nothing():
    assert [] == told(WANTED, there({"x": (), "y": ("b.0001",)}, shared=("b.0001",)))


def test_tenants_that_lack_the_same_are_told_together():
    found = told(WANTED, there({"x": ("a.0002",), "y": (), "z": ("a.0002", "b.0001")}))
    assert [("tenants pending: a.0002", ("x", "z"))] == found


def test_a_migration_that_is_not_in_the_code_there_is_not_applied_there():
    code = {"a.0001": "1111"}
    assert [("not in its code", ("a.0002",))] == told(WANTED, there({"x": ()}, code=code))


def test_a_migration_of_another_source_is_another_migration():
    assert [("of another source there", ("a.0002",))] == told(WANTED, there({"x": ()}, code={**CODE, "a.0002": "9"}))
    assert [] == told(WANTED, there({"x": ()}, code={**CODE, "a.0002": ""}))


def test_the_shared_database_is_held_against_the_shared_one_there():
    wanted = requires.Wanted(shared=frozenset({"b.0001"}), code=CODE)
    assert [("pending in its shared database", ("b.0001",))] == told(wanted, there({}, shared=("b.0001",)))
    assert [("nobody can say what is pending in its shared database", ())] == told(wanted, there({}, shared=None))
    assert [] == told(wanted, there({"x": ("b.0001",)}))


def test_nobody_there_is_no_proof():
    assert [("it has no tenants that could show it", ())] == told(WANTED, there({}))
    assert [("its framework can't tell which migrations its code has", ())] == told(WANTED, there({"x": ()}, code={}))


def test_a_tenant_that_can_not_be_asked_has_not_shown_it():
    survey = model.Survey((), {"x": model.TenantState(error="no database")}, code=CODE)
    assert [("tenants can't be asked: no database", ("x",))] == told(WANTED, survey)


PENDING = ("b.0001_x", "a.0001_y", "b.0002_z", "a.0002_w", "b.0003_v")


@pytest.mark.parametrize(
    ("app", "name", "applied"),
    [
        ("", "", PENDING),
        ("a", "", PENDING[:4]),
        ("a", "0001", PENDING[:2]),
        ("b", "0003_v", PENDING),
        ("a", "zero", ()),
        ("c", "", ()),
    ],
)
def test_what_a_command_applies_at_most(app, name, applied):
    assert applied == requires.meant(PENDING, app, name)
