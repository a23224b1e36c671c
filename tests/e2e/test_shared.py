"""`--shared`: the shared database of a project with commands of its own, before its tenants."""

from __future__ import annotations

import json

import pytest

from e2e import operator

FRAMEWORK = {**operator.FRAMEWORK, "shared": ["migrate_shared", "--noinput"]}
BROKEN = "raise RuntimeError('column exists')"


@pytest.fixture
def desk(desk):
    """The project's inventory names a command for its shared database."""
    desk.inventory(framework=FRAMEWORK)
    return desk


def outcomes(result: operator.Result) -> list[tuple[str, str, list[str]]]:
    return [(each["tenant_id"], each["status"], each["applied"]) for each in json.loads(result.out)["outcomes"]]


@pytest.mark.parametrize("pending", [{}, {"pending": ["pending"]}])
def test_it_is_migrated_first_where_that_was_asked(desk, pending):
    desk.inventory(framework={**FRAMEWORK, **pending})

    result = desk.run("migrate-all", "--shared", "--format=json")

    assert (result.code, desk.asked) == (0, ["(shared)", *operator.TENANTS])
    assert outcomes(result) == [
        ("(shared)", "migrated", ["auth.0001_initial"]),
        *((name, "migrated", ["members.0001_initial"]) for name in operator.TENANTS),
    ]
    assert "Applying auth.0001_initial... OK" in next((desk.runs[0] / "tenants").glob("_shared_-*")).read_text()


def test_it_is_left_alone_where_that_was_not_asked(desk):
    result = desk.run("migrate-all", "--format=json")

    assert (result.code, desk.asked) == (0, list(operator.TENANTS))
    assert [name for name, _, _ in outcomes(result)] == list(operator.TENANTS)


@pytest.mark.parametrize("flags", [(), ("--shared",)])
def test_a_plan_says_what_it_would_do_there(desk, flags):
    result = desk.run("migrate-all", "--plan", *flags)

    first = "the shared database is migrated first: nobody can say what is pending there."
    assert (result.code, desk.asked, first in result.out.splitlines()) == (0, [], bool(flags))


def test_where_it_fails_no_tenant_is_started_and_the_same_command_is_told(desk):
    desk.project(shared=BROKEN)

    result = desk.run("migrate-all", "--shared")

    assert (result.code, desk.asked) == (5, ["(shared)"])
    assert result.message == (
        "the shared database was not migrated: RuntimeError: column exists. the run stopped there."
    )
    assert result.out.splitlines()[-1] == "next: fix the cause, then `invoke migrate-all --env=prod --shared`."


def test_a_project_without_a_command_for_it_is_told_so_and_nobody_is_started(desk):
    desk.inventory()

    result = desk.run("migrate-all", "--shared")

    operator.refuses(
        result,
        3,
        "the shared database was not migrated: this framework has no command for the shared database "
        "(no command was sent)",
    )
    assert desk.asked == []


def test_one_confirmation_is_for_both(desk):
    desk.inventory(framework=FRAMEWORK, confirm="true")

    refused = desk.run("migrate-all", "--shared")
    confirmed = desk.run("migrate-all", "--shared", "--yes")

    assert refused.code == 3
    assert (confirmed.code, desk.asked) == (0, ["(shared)", *operator.TENANTS])
