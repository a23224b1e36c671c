"""`--lock-timeout` and `--statement-timeout` on a real PostgreSQL: they hold, or the run is refused and says why."""

from __future__ import annotations

import json

import omnitenant
import pytest
import servers

from e2e import test_omnitenant
from e2e.test_omnitenant import by_status, change_env, events, eventually, finished

SQL = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunSQL({sql!r})]
"""
SEEN = "CREATE TABLE seen AS SELECT " + ", ".join(
    f"current_setting('{name}') AS {name}" for name in ("lock_timeout", "statement_timeout", "work_mem")
)
ELSEWHERE = """
from django.db import connections, migrations


def look(apps, editor):
    with connections["reports"].cursor() as cursor:
        cursor.execute("SELECT 1")


class Migration(migrations.Migration):
    dependencies = [("members", "0003_member_joined")]
    operations = [migrations.RunPython(look)]
"""
OWN = 'DATABASES["default"]["OPTIONS"] = {"options": "-c lock_timeout=7s"}\n'
LEAVE = "leave `lock_timeout` out, or mend what keeps it away."


@pytest.fixture
def project(postgres, tmp_path):
    return omnitenant.new_project(postgres, tmp_path)


@pytest.fixture
def typist(project, sshd, tmp_path):
    return test_omnitenant.make_operator(project, sshd, tmp_path / "operator", tmp_path / "state")


def add(project, sql: str) -> None:
    (project.folder / "members" / "migrations" / "0004_of_the_test.py").write_text(SQL.format(sql=sql))


def append(project, file: str, text: str) -> None:
    with (project.folder / file).open("a") as code:
        code.write(text)


def refuses(typist, *flags: str, why: str, hint: str = LEAVE) -> None:
    """Exit 3, one message, and nobody was started."""
    done = typist.types("migrate-all", "--env=prod", *flags)
    assert (3, "") == (done.returncode, done.stdout)
    said = done.stderr.splitlines()[-1]
    assert said.startswith(why), said
    assert said.endswith(f"nothing was migrated. {hint}"), said
    assert [] == events(typist, "TenantStarted")


# ---------------------------------------------------------------- they hold


def test_the_limits_stand_beside_what_the_host_has_and_hold_in_every_kind_of_tenant(project, typist):
    project.create_tenants(schemas=1, databases=1)
    add(project, SEEN)
    change_env(typist, PGOPTIONS="-c work_mem=3MB -c lock_timeout=1h")

    report = typist.json("migrate-all", "--env=prod", "--lock-timeout=5s", "--statement-timeout=10min")

    assert {"migrated": ["s01", "d01"]} == by_status(report)
    seen = [
        project.execute("SELECT * FROM s01.seen"),
        project.execute("SELECT * FROM seen", database=project.tenant_database("d01")),
    ]
    assert [[("5s", "10min", "3MB")]] * 2 == seen


def test_without_a_limit_nothing_is_asked_and_nothing_set(project, typist):
    project.create_tenants(schemas=1)
    add(project, SEEN)
    append(project, "acme/settings.py", OWN)
    assert 0 == typist.types("migrate-all", "--env=prod", "--lock-timeout=none").returncode
    assert [("7s", "0", "4MB")] == project.execute("SELECT * FROM s01.seen")


def test_a_lock_that_somebody_holds_fails_a_tenant_soon_and_the_retry_gets_it_home(project, typist):
    project.create_tenants(schemas=2)
    project.add_migration()
    with project.postgres.connect(project.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE s01.members_member IN ACCESS EXCLUSIVE MODE")
        process = typist.start("migrate-all", "--env=prod", "--lock-timeout=1s", "--retries=2", "--format=json")
        eventually(lambda: ("s01", "failed", 1) in finished(typist))
        other.rollback()
    out, err = process.communicate(timeout=test_omnitenant.PATIENCE)

    assert 0 == process.returncode, err
    assert {"s01": ("migrated", 2), "s02": ("migrated", 1)} == {
        each["tenant_id"]: (each["status"], each["attempt"]) for each in json.loads(out)["outcomes"]
    }
    first = events(typist, "TenantFinished")[0]["outcome"]
    assert ("failed", True, "55P03") == (first["status"], first["retryable"], first["fingerprint"]["sqlstate"])
    kept = events(typist, "RunStarted")[0]["rollout"]  # for --resume
    assert (1.0, 0.0) == (kept["lock_timeout"], kept["statement_timeout"])


def test_a_statement_that_runs_too_long_is_no_failure_to_try_again(project, typist):
    project.create_tenants(schemas=1)
    add(project, "SELECT pg_sleep(300)")
    report = typist.json("migrate-all", "--env=prod", "--statement-timeout=500ms", "--retries=3", code=5)
    (failed,) = report["outcomes"]
    assert ("failed", 1, "57014") == (failed["status"], failed["attempt"], failed["fingerprint"]["sqlstate"])
    assert ["QueryCanceled"] == [each["exception"] for each in report["failures"]]


def test_the_inventory_sets_them_and_one_tenant_has_them_too(project, typist):
    project.create_tenants(schemas=1)
    add(project, SEEN)
    file = typist.folder / "inventories" / "prod.yaml"
    limits = {"lock_timeout": "4s", "statement_timeout": "90s"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "rollout": limits}))
    done = typist.types("migrate-tenant", "--env=prod", "--tenant-id=s01", "--statement-timeout=2m")
    assert 0 == done.returncode, done.stderr
    assert [("4s", "2min", "4MB")] == project.execute("SELECT * FROM s01.seen")


def test_the_shared_database_has_them_too(project, typist):
    project.create_tenants(schemas=1)
    project.add_migration(app="companies", model="company", field="motto", name="0002_company_motto")
    with project.postgres.connect(project.database) as other:
        other.autocommit = False
        other.execute("LOCK TABLE companies_company IN SHARE MODE")
        done = typist.types("migrate-all", "--env=prod", "--shared", "--lock-timeout=1s")
        other.rollback()
    assert (5, True) == (done.returncode, "canceling statement due to lock timeout" in done.stdout)


# ---------------------------------------------------------------- they would not hold


def test_options_of_the_projects_own_are_respected_and_named(project, typist):
    project.create_tenants(schemas=1)
    project.add_migration()
    append(project, "acme/settings.py", OWN)
    why = (
        "lock_timeout would not hold in the project's own database: lock_timeout is 7000 ms there, since the project's "
        "DATABASES has `options` of its own, which stand before PGOPTIONS"
    )
    refuses(typist, "--lock-timeout=5s", why=why)
    assert 0 == typist.types("migrate-all", "--env=prod", "--lock-timeout=7s").returncode


def test_a_tenant_with_options_of_its_own_keeps_only_runs_with_it_from_starting(project, typist):
    project.create_tenants(schemas=1)
    project.new_tenant_database("d01")
    project.create(project.database_row("d01", migrate=True, OPTIONS={"options": "-c lock_timeout=7s"}))
    project.add_migration()
    why = "lock_timeout would not hold in the database of `d01`: lock_timeout is 7000 ms there, since the project's"
    refuses(typist, "--lock-timeout=5s", why=why)
    report = typist.json("migrate-all", "--env=prod", "--lock-timeout=5s", "--tenants=s01")
    assert {"migrated": ["s01"]} == by_status(report)


ON_CONNECT = """

from django.db.backends.signals import connection_created


def quick(connection, **_):
    connection.cursor().execute("SET lock_timeout = '2s'")


connection_created.connect(quick)
"""


def test_what_the_project_sets_when_it_connects_is_noticed(project, typist):
    project.create_tenants(schemas=1)
    project.add_migration()
    append(project, "members/models.py", ON_CONNECT)
    why = "lock_timeout would not hold in the project's own database: lock_timeout is 2000 ms there: something sets it"
    refuses(typist, "--lock-timeout=5s", why=why)


def test_a_pooler_that_drops_them_is_named(project, typist, postgres):
    project.create_tenants(schemas=1)
    project.add_migration()
    with servers.pgbouncer(postgres, "session", ignore_startup_parameters="options") as port:
        change_env(typist, DB_PORT=str(port))
        why = (
            "lock_timeout would not hold in the project's own database: lock_timeout is 0 ms there, since a pooler in "
            "between drops start-up options (PgBouncer: ignore_startup_parameters)"
        )
        refuses(typist, "--lock-timeout=5s", why=why)
        assert 0 == typist.types("migrate-all", "--env=prod").returncode


def test_a_pooler_that_refuses_them_is_named(project, typist, postgres):
    project.create_tenants(schemas=1)
    project.add_migration()
    with servers.pgbouncer(postgres, "session") as port:
        change_env(typist, DB_PORT=str(port))
        why = (
            "lock_timeout and statement_timeout would not hold in the project's own database: start-up options are "
            "refused on the way to it ("
        )
        both = "leave `lock_timeout` and `statement_timeout` out, or mend what keeps it away."
        refuses(typist, "--lock-timeout=5s", "--statement-timeout=1h", why=why, hint=both)
        assert 0 == typist.types("migrate-all", "--env=prod").returncode


def test_a_pooler_that_refuses_them_on_a_connection_that_is_no_tenants_is_named(project, typist, postgres):
    project.create_tenants(schemas=1)
    (project.folder / "members" / "migrations" / "0004_of_the_test.py").write_text(ELSEWHERE)
    with servers.pgbouncer(postgres, "session") as port:
        append(project, "acme/settings.py", f'DATABASES["reports"] = {{**DATABASES["default"], "PORT": "{port}"}}\n')
        why = (
            "lock_timeout would not hold on the project's connection `reports`: start-up options are refused on the way"
        )
        refuses(typist, "--lock-timeout=5s", why=why)
        assert 0 == typist.types("migrate-all", "--env=prod").returncode


def test_another_database_than_postgresql_knows_no_such_limit(demo):
    result = demo.run("migrate-all", "--statement-timeout=5s")
    assert (3, "") == (result.code, result.out)
    expected = (
        "statement_timeout would not hold in the project's own database: it is sqlite, and these limits are "
        "PostgreSQL's. nothing was migrated. leave `statement_timeout` out, or mend what keeps it away."
    )
    assert expected == result.message.splitlines()[-1]
