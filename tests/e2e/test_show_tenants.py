"""`show-tenants`: who there is, as a table for people and as JSON for machines."""

from __future__ import annotations

import json

import pytest

from e2e import operator

TABLE = """\
tenant    name     isolation
--------  -------  -----------
acme      Acme
globex    Globex
initech   Initech
3 tenants
"""


def test_the_table_lists_the_tenants_in_the_projects_order_and_leaves_no_trace(desk):
    result = desk.run("show-tenants")

    assert "\n".join(line.rstrip() for line in result.out.splitlines()) + "\n" == TABLE
    assert (result.code, result.err) == (0, "")
    assert not (desk.folder / ".opskit").exists()


def test_stdout_is_nothing_but_json(desk):
    desk.project(
        listing="""\
print("[pool] opened")
print(json.dumps([{"tenant_id": 7, "name": "Seven", "isolation_type": "SCHEMA", "PASSWORD": "hunter2"}]))
"""
    )

    result = desk.run("show-tenants", "--env=prod", "--format=json")

    assert json.loads(result.out) == [{"tenant_id": "7", "name": "Seven", "isolation_type": "schema"}]
    assert (result.code, result.err) == (0, "")


def test_nobody_is_an_answer(desk):
    desk.project(listing="print('[]')")

    assert desk.run("show-tenants") == operator.Result(0, "there are no tenants.\n", "")
    assert desk.run("show-tenants", "--format=json") == operator.Result(0, "[]\n", "")


def test_status_adds_what_is_applied_what_is_pending_and_the_latest_migrations(demo):
    migrated = demo.run("migrate-all", "--tenants=acme")
    after = demo.run("show-tenants", "--status", "--format=json")
    table = demo.run("show-tenants", "--status")

    acme, aperture = json.loads(after.out)[:2]
    assert [migrated.code, after.code, table.code] == [0, 0, 0]
    assert (acme["tenant_id"], acme["applied"], acme["pending"], acme["error"]) == ("acme", 4, 0, "")
    assert max(acme["latest"]) == "users.0002_alter_user_email"
    assert (aperture["applied"], aperture["pending"], aperture["latest"]) == (0, 4, [])
    assert table.out.splitlines()[0].split() == ["tenant", "name", "isolation", "applied", "pending", "latest"]
    assert table.out.splitlines()[-1] == "12 tenants"


def test_a_project_that_can_not_be_asked_says_so_and_claims_no_numbers(desk):
    table = desk.run("show-tenants", "--status")
    rows = desk.run("show-tenants", "--status", "--format=json")

    assert (table.code, table.err) == (0, "`custom` can't be asked what is applied and pending.\n")
    assert table.out.splitlines()[2].split(maxsplit=2) == ["acme", "Acme", "it was not asked"]
    assert json.loads(rows.out)[0] == {
        "tenant_id": "acme",
        "name": "Acme",
        "isolation_type": "",
        "applied": None,
        "pending": None,
        "latest": [],
        "error": "it was not asked",
    }


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_name_that_the_terminal_can_not_show_is_escaped_and_nothing_in_it_reaches_the_terminal(desk, encoding):
    desk.project(listing=r"""print(json.dumps([{"tenant_id": "\u2713 [/x] \x1b[31m", "name": "1e5"}]))""")
    env = {"PYTHONIOENCODING": encoding}

    table = desk.run("show-tenants", env=env)
    rows = desk.run("show-tenants", "--format=json", env=env)

    assert (table.code, rows.code) == (0, 0)
    assert table.out.splitlines()[2].split("  ")[0] == r"\u2713 [/x] \x1b[31m"
    assert table.out.splitlines()[2].split()[-1] == "1e5"
    assert json.loads(rows.out)[0]["tenant_id"] == "\u2713 [/x] \x1b[31m"


def test_over_ssh_it_is_the_same_table(desk, sshd):
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts)

    result = desk.run("show-tenants")

    assert "\n".join(line.rstrip() for line in result.out.splitlines()) + "\n" == TABLE
    assert (result.code, result.err) == (0, "")
