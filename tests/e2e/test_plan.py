"""`--plan` and `invoke --dry`: what would be done, without a lock and without a trace."""

from __future__ import annotations

import json

import pytest
import yaml

from e2e import operator

UNASKED = """\
tenant    pending
--------  --------------
acme      nobody can say
globex    nobody can say
initech   nobody can say
this framework can't be asked what is pending: every tenant gets the command, unverified.
3 of 3 tenants would be migrated; 0 have nothing pending.
next: `invoke migrate-all --env=prod`
"""


def left_behind(desk) -> list[str]:
    """Files on both sides: the operator's .opskit, the host's locks and records."""
    folders = desk.folder / ".opskit", desk.folder / "state"
    return [str(file) for folder in folders for file in folder.rglob("*") if file.is_file()]


@pytest.mark.parametrize("argv", [("migrate-all", "--plan"), ("--dry", "migrate-all")])
def test_a_plan_is_printed_and_leaves_no_trace(desk, argv):
    assert desk.run(*argv) == operator.Result(0, UNASKED, "")
    assert (desk.asked, left_behind(desk)) == ([], [])
    assert not (desk.folder / ".opskit").exists()


@pytest.mark.parametrize("argv", [("migrate-all", "--plan"), ("show-tenants",)])
@pytest.mark.parametrize("usual", [True, False])
def test_who_only_asks_makes_no_folder_on_the_host(desk, argv, usual):
    if usual:  # the state folder is ~/.opskit, where the inventory does not say it
        content = yaml.safe_load((desk.folder / "inventories" / "prod.yaml").read_text())
        del content["app"]["state_dir"]
        (desk.folder / "inventories" / "prod.yaml").write_text(yaml.safe_dump(content))

    assert desk.run(*argv).code == 0
    assert not (desk.folder / "state").exists()
    assert list(desk.home.iterdir()) == []


def test_a_dry_migrate_tenant_is_a_plan_of_one(desk):
    result = desk.run("--dry", "migrate-tenant", "--tenant-id=globex")

    assert (result.code, result.err, desk.asked, left_behind(desk)) == (0, "", [], [])
    assert "1 of 1 tenant would be migrated" in result.out


def test_a_plan_names_what_is_pending_and_counts_who_is_current(desk):
    desk.inventory(framework={**operator.FRAMEWORK, "pending": ["pending"]})
    desk.run("migrate-all", "--tenants=acme")

    table = desk.run("migrate-all", "--plan")
    rows = desk.run("migrate-all", "--plan", "--format=json", "--exclude=initech")

    assert table == operator.Result(
        0,
        "tenant    pending\n"
        "--------  --------------------\n"
        "globex    members.0001_initial\n"
        "initech   members.0001_initial\n"
        "2 of 3 tenants would be migrated; 1 have nothing pending.\n"
        "next: `invoke migrate-all --env=prod`\n",
        "",
    )
    assert (rows.code, rows.err) == (0, "")
    assert json.loads(rows.out) == {
        "environment": "prod",
        "shared": [],
        "tenants": [
            {"tenant_id": "acme", "pending": [], "error": ""},
            {"tenant_id": "globex", "pending": ["members.0001_initial"], "error": ""},
        ],
    }
    assert desk.asked == ["acme"]


@pytest.mark.parametrize(
    ("typed", "next_"),
    [
        (
            ("migrate-all", "--env=prod", "--plan", "--tenants=a*,globex", "--stagger=60"),
            "invoke migrate-all --env=prod '--tenants=a*,globex' --stagger=60",
        ),
        (("--dry", "migrate-tenant", "--tenant-id=acme"), "invoke migrate-tenant --tenant-id=acme --env=prod"),
    ],
)
def test_the_command_after_a_plan_does_what_the_plan_shows_and_no_more(desk, typed, next_):
    assert desk.run(*typed).out.splitlines()[-1] == f"next: `{next_}`"


def test_a_plan_needs_no_confirmation(desk):
    desk.inventory(confirm="true")

    assert desk.run("migrate-all", "--plan") == operator.Result(0, UNASKED, "")


def test_a_plan_may_be_made_while_another_run_is_at_work_and_a_second_run_may_not(desk):
    with desk.held("migrate-all") as first:
        plan = desk.run("migrate-all", "--plan")
        second = desk.run("migrate-all")
        desk.let_go()
        ended = first.end()

    assert plan == operator.Result(0, UNASKED, "")
    assert (second.code, second.out) == (4, "")
    assert second.message.startswith("another run holds `prod`: started ")
    assert desk.runs[0].name in second.message
    assert "`invoke status`" in second.message
    assert operator.UNTOUCHED in second.message
    assert (ended.code, desk.asked, len(desk.runs)) == (0, list(operator.TENANTS), 1)
