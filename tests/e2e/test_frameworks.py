"""The main job on the other tenancy frameworks: the real packages, PostgreSQL, OpenSSH."""

from __future__ import annotations

import json

import pytest
import tenancies

EVERY = ["django-tenants", "django-pgschemas", "django-tenant-schemas", "databases"]
SCHEMAS = EVERY[:3]
EXISTS = 'ProgrammingError: column "phone" of relation "members_member" already exists'
SETTINGS_SCHEMAS = ("www", "sample")  # those of django-pgschemas that no table names
ADDED = "members.0004_member_phone"


@pytest.fixture
def new(postgres, tmp_path):
    return lambda framework: tenancies.new_project(framework, postgres, tmp_path)


@pytest.fixture
def operate(empty, sshd):
    """Writes the inventory of a project whose tenants there are: `prod`, over the real sshd."""

    def operate(project: tenancies.Project):
        named = {"name": "databases", "aliases": ["[s0-9]*"]} if project.framework == "databases" else None
        empty.over_ssh(
            sshd,
            known_hosts=sshd.known_hosts,
            app={"path": str(project.folder), "env": project.env, "python": project.python},
            framework=named or project.framework,
        )
        return empty

    return operate


def types(desk, *argv: str, code: int = 0):
    done = desk.run(*argv, "--env=prod")
    assert "Traceback" not in done.err, done.err
    assert done.code == code, done.err
    return done


def report(desk, *argv: str, code: int = 0) -> dict:
    return json.loads(types(desk, *argv, "--format=json", code=code).out)


def statuses(told: dict) -> dict[str, str]:
    return {each["tenant_id"]: each["status"] for each in told["outcomes"]}


@pytest.mark.parametrize("framework", EVERY)
def test_one_broken_tenant_hides_no_other(new, operate, framework):
    project = new(framework)
    # django-tenants' `tenant_command --schema=0` would take the first of the list, and `--schema=1` the second
    ids = ["s01", "s02", "s03", *(["1", "0"] if framework in ("django-tenants", "databases") else [])]
    project.create(*ids)
    desk = operate(project)
    project.add_migration()
    project.break_tenant("s02")
    if framework == "databases":  # without a router, every app is the shared database's, too
        project.manage("migrate", "--noinput")
    before = project.history()

    told = report(desk, "migrate-all", "--tenants=s0?,[01]" if len(ids) > 3 else "--tenants=s0?", code=5)

    assert statuses(told) == {name: "failed" if name == "s02" else "migrated" for name in ids}
    assert {each["tenant_id"]: each["applied"] for each in told["outcomes"]} == {
        name: [] if name == "s02" else [ADDED] for name in ids
    }
    assert all(each["verified"] for each in told["outcomes"])
    (failed,) = [each for each in told["outcomes"] if each["status"] == "failed"]
    assert failed["error"] == EXISTS
    # the databases agree, tenant by tenant, and the shared one was left alone
    assert {name: ADDED in project.history(name) for name in ids} == {name: name != "s02" for name in ids}
    assert project.history() == before
    assert project.postgres.password not in desk.kept()

    project.mend_tenant("s02")
    again = report(desk, "migrate-tenant", "--tenant-id=s02", "--app-label=members", "--migration-name=0004")
    assert statuses(again) == {"s02": "migrated"}
    assert ADDED in project.history("s02")


@pytest.mark.parametrize("framework", EVERY)
def test_a_pending_shared_schema_comes_first_and_takes_no_tenant_with_it(new, operate, framework):
    project = new(framework)
    project.create("s01")
    desk = operate(project)
    added = project.add_migration() if framework == "databases" else project.add_shared_migration()

    refused = types(desk, "migrate-all", code=3)
    planned = types(desk, "migrate-all", "--plan")
    assert f"the shared database of `prod` has 1 pending migration: {added}. nothing was migrated." in refused.err
    assert f"the shared database must be migrated first: --shared does: {added}" in planned.out
    assert added not in project.history() + project.history("s01")

    told = report(desk, "migrate-all", "--shared", "--tenants=s01")
    assert statuses(told) == {"(shared)": "migrated", "s01": "migrated"}
    shared, tenant = (each["applied"] for each in told["outcomes"])
    assert (shared, tenant) == ([added], [added])
    assert added in project.history()
    assert added in project.history("s01")


@pytest.mark.parametrize("framework", EVERY)
def test_a_squashed_migration_is_recorded_where_all_that_it_replaces_is_applied(new, operate, framework):
    project = new(framework)
    project.create("s01", "s02")
    desk = operate(project)
    squash = project.squash()
    why = f"all that a squashed migration replaces is applied, and `migrate` records it: {squash} (2 tenants)"

    assert why in types(desk, "migrate-all", "--plan", "--tenants=s0?").out.splitlines()
    told = report(desk, "migrate-all", "--tenants=s0?")

    assert statuses(told) == {"s01": "current", "s02": "current"}
    assert [each["applied"] for each in told["outcomes"]] == [[], []]  # an undo must not take it back
    assert [project.history(name)[-1] for name in ("s01", "s02")] == [squash, squash]
    assert why in desk.log()
    assert "2 current" in types(desk, "migrate-all", "--tenants=s0?").err
    assert why not in desk.log()


def test_a_squashed_migration_is_recorded_in_the_shared_database_with_shared(new, operate):
    project = new("databases")  # without a router, every app is the shared database's, too
    project.create("s01")
    desk = operate(project)
    squash = project.squash()
    told = "`migrate` records it: {} (the shared database and 1 tenant)"

    assert told.format(squash) in types(desk, "migrate-all", "--shared", "--plan", "--tenants=s01").out
    report(desk, "migrate-all", "--tenants=s01")
    assert squash not in project.history()
    found = report(desk, "migrate-all", "--tenants=s01", "--shared")

    assert statuses(found) == {"(shared)": "current", "s01": "current"}
    assert (project.history()[-1], project.history("s01").count(squash)) == (squash, 1)


@pytest.mark.parametrize("framework", EVERY)
def test_the_listing(new, operate, framework):
    project = new(framework)
    project.create("s02", "s01")
    desk = operate(project)
    rows = report(desk, "show-tenants", "--status")
    told = [(row["tenant_id"], row["isolation_type"], row["pending"]) for row in rows]
    isolation = "database" if framework == "databases" else "schema"
    assert told[-2:] == [("s02", isolation, 0), ("s01", isolation, 0)]
    assert [row["tenant_id"] for row in rows[:-2]] == list(SETTINGS_SCHEMAS) * (framework == "django-pgschemas")
    assert rows[-1]["applied"] == len(project.history("s01"))
    assert [row["tenant_id"] for row in report(desk, "show-tenants")] == [row["tenant_id"] for row in rows]


def test_a_static_schema_of_pgschemas_is_migrated_as_the_others_are(new, operate):
    project = new("django-pgschemas")
    project.create("s01")
    project.execute("CREATE SCHEMA www")
    project.execute("CREATE SCHEMA sample")
    told = report(operate(project), "migrate-all")
    assert statuses(told) == {"www": "migrated", "sample": "migrated", "s01": "current"}
    assert project.history("www") == project.history("s01")
    tables = project.execute("SELECT schemaname, tablename FROM pg_tables WHERE tablename ~ '^(members|invoices)_'")
    # `www` has one app, and of the other only the history
    assert sorted(tables) == [
        (schema, f"{app}_{app[:-1]}")
        for schema, apps in {
            "s01": ["invoices", "members"],
            "sample": ["invoices", "members"],
            "www": ["members"],
        }.items()
        for app in apps
    ]


@pytest.mark.parametrize("framework", SCHEMAS)
def test_a_tenant_without_its_schema_gets_no_command(new, operate, framework):
    project = new(framework)
    project.create("s01")
    project.create("s02", migrate=False)
    desk = operate(project)
    project.add_migration()
    told = report(desk, "migrate-all", "--tenants=s0?", code=5)
    assert statuses(told) == {"s01": "migrated", "s02": "failed"}
    (failed,) = [each for each in told["outcomes"] if each["status"] == "failed"]
    assert failed["error"] == "LookupError: there is no schema s02 (no command was sent)"
    assert project.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 's02'") == [(0,)]


def test_two_aliases_of_one_database_are_refused(new, operate):
    project = new("databases")
    project.create("s01", "s03")
    project.aliases.append(f"s02={project.database}_s01")
    desk = operate(project)
    project.add_migration()
    project.manage("migrate", "--noinput")
    told = report(desk, "migrate-all", code=5)
    assert statuses(told) == {"s01": "failed", "s02": "failed", "s03": "migrated"}
    (first, _) = [each for each in told["outcomes"] if each["status"] == "failed"]
    place = f"database `{project.database}_s01` on 127.0.0.1:{project.postgres.port}"
    assert first["error"] == f"{place} is also that of `s02` (no command was sent)"


SEEN = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [
        migrations.RunSQL("CREATE TABLE seen AS SELECT current_setting('client_connection_check_interval') AS it")
    ]
"""


def test_postgresql_looks_whether_the_client_is_still_there_in_the_shared_database_and_the_tenants(new, operate):
    project = new("databases")
    project.create("s01")
    (project.folder / "members" / "migrations" / "0004_seen.py").write_text(SEEN)
    desk = operate(project)

    told = report(desk, "migrate-all", "--shared")

    assert statuses(told) == {"(shared)": "migrated", "s01": "migrated"}
    assert project.execute("SELECT it FROM seen") == [("10s",)]
    assert project.execute("SELECT it FROM seen", database=f"{project.database}_s01") == [("10s",)]
