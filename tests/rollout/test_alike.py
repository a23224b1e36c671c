"""A fleet at a glance."""

import pytest

from opskit import errors, model
from opskit.rollout import alike

CODE = ["users.0001_initial", "users.0004_x", "users.0005_age", "users.0005_agent", "products.0001_initial"]


def state(*pending: str, newest: str = "", **more) -> model.TenantState:
    return model.TenantState(applied=3, latest=(newest,) if newest else (), pending=pending, **more)


def survey(shared=(), replaces=None, **tenants: model.TenantState) -> model.Survey:
    return model.Survey(shared=shared, tenants=tenants, replaces=replaces or {})


def test_tenants_are_together_that_have_the_same_to_do_and_what_drifted_stands_on_top():
    states = {f"t{n:03}": state(newest="users.0005_age") for n in range(288)}
    states |= {name: state("products.0002_x", "users.0005_age", newest="users.0004_x") for name in ("a", "b", "c")}
    states |= {
        "z": state("users.0005_age"),
        "down": state(error="no such database"),
        "gone": state(error="no such database"),
    }
    assert [(len(each.tenants), each.pending, each.newest, each.error) for each in alike.groups(states)] == [
        (2, (), "", "no such database"),
        (1, ("users.0005_age",), "", ""),
        (3, ("products.0002_x", "users.0005_age"), "users.0004_x", ""),
        (288, (), "users.0005_age", ""),
    ]
    assert alike.groups(states)[0].tenants == ("down", "gone")


def test_the_newest_is_that_of_most():
    states = {"a": state(newest="x.1"), "b": state(newest="x.2"), "c": state(newest="x.2"), "d": state()}
    (group,) = alike.groups(states)
    assert (group.tenants, group.newest) == (("a", "b", "c", "d"), "x.2")


def test_of_two_groups_of_one_size_the_current_one_is_last():
    assert [each.pending for each in alike.groups({"a": state(), "b": state("x.1")})] == [("x.1",), ()]


def test_nobody_is_no_group():
    assert alike.groups({}) == ()


@pytest.mark.parametrize(
    ("pending", "said"),
    [
        ((), "nothing"),
        (("users.0005_age",), "users.0005_age"),
        (("products.0002_x", "users.0004_x", "users.0005_age"), "products.0002_x to users.0005_age (3)"),
    ],
)
def test_many_migrations_in_a_few_words(pending, said):
    assert alike.span(pending) == said


def test_800_tenants_with_150_migrations_each():
    """Each with another one pending: as many groups as tenants. (It takes some hundredths of a second.)"""
    names = [f"app.{n:04}_x" for n in range(150)]
    states = {f"t{n}": state(*names[n % 150 :], newest=names[n % 150]) for n in range(800)}
    found = alike.groups(states)
    assert (len(found), sum(len(each.tenants) for each in found)) == (150, 800)
    assert len(alike.lacking("app.0149_x", survey(**states))) == 800


# ---------------------------------------------------------------- one migration


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("users.0004", "users.0004_x"), ("users.0004_x", "users.0004_x"), ("users.0005_age", "users.0005_age")],
)
def test_the_beginning_of_a_name_is_enough(wanted, found):
    assert alike.named(wanted, CODE) == found


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("users", "expected an app's migration such as `users.0005`, found `users`"),
        ("users.", "expected an app's migration such as `users.0005`, found `users.`"),
        (".0005", "expected an app's migration such as `users.0005`, found `.0005`"),
        ("users.0005", "`users.0005` may be `users.0005_age` or `users.0005_agent`"),
        ("users.0006", "the code has no migration `users.0006`: the newest of `users` is `users.0005_agent`"),
        ("user.0001", "the code has no migration `user.0001`: it has no migrations of `user` at all"),
    ],
)
def test_a_migration_that_can_not_be_meant_is_a_usage_error(wanted, message):
    with pytest.raises(errors.UsageError) as raised:
        alike.named(wanted, CODE)
    assert str(raised.value) == message


def test_who_can_not_be_asked_lacks_it():
    told = survey(a=state(), b=state("x.2"), c=state("x.1"), d=state(error="down"))
    assert alike.lacking("x.1", told) == ("c", "d")


def test_the_shared_database_lacks_what_is_pending_there():
    assert alike.lacking("x.1", survey(shared=("x.1",), a=state())) == ("(shared)",)
    assert alike.lacking("x.1", survey(shared=("x.2",), a=state())) == ()
    assert alike.lacking("x.1", survey(shared=None, a=state())) == ()


def test_where_nobody_could_be_listed_nobody_is_known_to_have_it():
    assert alike.lacking("x.1", survey(shared=("x.2",))) == ("(shared)",)
    assert alike.lacking("x.1", survey()) == ()


def test_a_squashed_migration_is_what_it_replaces():
    replaces = {"x.1_squashed": ("x.1", "x.2")}
    fresh, half, done = state("x.1_squashed"), state("x.2"), state()
    told = survey(replaces=replaces, fresh=fresh, half=half, done=done)
    assert alike.lacking("x.1", told) == ("fresh",)
    assert alike.lacking("x.2", told) == ("fresh", "half")
    assert alike.lacking("x.1_squashed", told) == ("fresh", "half")


def test_whose_a_migration_is():
    pending = {"x": ("a.1", "a.2"), "y": None, "z": ("a.2",), "w": ()}

    assert {"a.1": ("x",), "a.2": ("x", "z")} == alike.whose(pending)
