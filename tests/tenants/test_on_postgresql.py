"""The same commands where a tenant's database is one of PostgreSQL's."""

from __future__ import annotations

import secrets

import pytest


@pytest.fixture
def tenant(project, postgres):
    """A project whose master is on PostgreSQL, and the id of a tenant that it has not yet."""
    tenant = f"t{secrets.token_hex(4)}"
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(postgres.new_database("master"))}
    with (project.folder / "shop" / "settings.py").open("a") as settings:
        settings.write(f"\nDATABASES['default'] = {master!r}\n")
    project.manage("migrate", "opskit_tenants")
    yield tenant
    postgres.execute(f'DROP DATABASE IF EXISTS "{tenant}_db"')


def test_a_tenant_is_created_listed_and_migrated(project, postgres, tenant):
    project.manage("createtenant", f"--tenant-id={tenant}", "--name=N", "--no-migrate")
    assert 4 == len(project.status()[tenant]["pending"])
    assert [(None,)] == postgres.execute("SELECT to_regclass('django_migrations')", database=f"{tenant}_db")
    said = project.manage("migratetenant", f"--tenant-id={tenant}", "--format=jsonl")
    assert ("migrated", True) == (said.events[-1]["outcome"]["status"], said.events[-1]["outcome"]["verified"])
    assert [(4,)] == postgres.execute("SELECT count(*) FROM django_migrations", database=f"{tenant}_db")


def test_a_failed_migration_drops_the_database_that_was_created(project, postgres, tenant):
    project.add_migration("migrations.RunSQL('SELECT 1/0')")
    said = project.manage("createtenant", f"--tenant-id={tenant}", "--name=N", expect=1)
    assert "what was created is removed: DataError: division by zero" in said.err
    assert [] == postgres.execute("SELECT 1 FROM pg_database WHERE datname = %s", f"{tenant}_db")
    assert {} == project.status()


def test_a_missing_database_is_its_tenants_error_without_credentials(project, postgres, tenant):
    project.manage("createtenant", f"--tenant-id={tenant}", "--name=N", "--no-migrate")
    postgres.execute(f'DROP DATABASE "{tenant}_db"')
    error = project.status()[tenant]["error"]
    assert f'database "{tenant}_db" does not exist' in error
    assert postgres.password not in error


STAYS = """
import atexit
def stay(apps, schema_editor):
    import psycopg
    other = psycopg.connect(**schema_editor.connection.get_connection_params())
    atexit.register(other.close)
    raise ValueError("no")
"""


def test_a_database_that_cant_be_removed_again_is_named(project, postgres, tenant):
    project.add_migration("migrations.RunPython(stay)", STAYS)
    said = project.manage("createtenant", f"--tenant-id={tenant}", "--name=N", expect=1)
    assert "ValueError: no. but this could not be removed: drop database" in said.err
    assert f'database "{tenant}_db" is being accessed by other users' in said.err
    assert {} == project.status()


SHOWS = """
def note(apps, schema_editor):
    cursor = schema_editor.connection.cursor()
    for name in ("lock_timeout", "statement_timeout"):
        cursor.execute(f"SHOW {name}")
        print(cursor.fetchone()[0])
"""
LOCK, BOTH = ("--lock-timeout=5s",), ("--lock-timeout=5s", "--statement-timeout=10m")


CASES = {  # the project's own: [(flags, PGOPTIONS, what holds)]
    "": [(BOTH, "", ["5s", "10min"]), ((), "-c lock_timeout=3s", ["3s", "0"])],
    "-c statement_timeout=7s": [(LOCK, "", ["5s", "7s"]), ((), "-c lock_timeout=3s", ["3s", "7s"])],
    "-c lock_timeout=7s": [(LOCK, "-c lock_timeout=3s", ["5s", "0"]), ((), "-c lock_timeout=3s", ["7s", "0"])],
}


@pytest.mark.parametrize("own", CASES)
def test_flags_win_over_the_projects_own_options_and_these_over_the_environments(project, postgres, tenant, own):
    """For a database on the master's server, and for one under an alias."""
    project.add_migration("migrations.RunPython(note)", SHOWS)
    other = postgres.new_database("eu")
    options = {"options": own} if own else {}
    with (project.folder / "shop" / "settings.py").open("a") as settings:
        settings.write(f"\nDATABASES['default'] |= {{'OPTIONS': {options}}}\n")
        settings.write(f"DATABASES['eu'] = {{**DATABASES['default'], 'NAME': {other!r}}}\n")
    for name, where in ((tenant, ()), ("zeta", ("--alias=eu",))):
        project.manage("createtenant", f"--tenant-id={name}", "--name=N", "--no-migrate", *where)
    for flags, environment, found in CASES[own]:
        said = project.manage("migratealltenants", *flags, PGOPTIONS=environment)
        assert [*found, *found] == said.err.splitlines()
        for database in (f"{tenant}_db", other):
            postgres.execute("DELETE FROM django_migrations WHERE name = '0003_more'", database=database)


LIMITED = {
    "--lock-timeout=100ms": ("LOCK TABLE users_user", "canceling statement due to lock timeout"),
    "--statement-timeout=100ms": ("SELECT pg_sleep(60)", "canceling statement due to statement timeout"),
}


@pytest.mark.parametrize("flag", LIMITED)
def test_a_statement_has_its_time_limits(project, postgres, tenant, flag):
    project.manage("createtenant", f"--tenant-id={tenant}", "--name=N")
    statement, why = LIMITED[flag]
    project.add_migration(f"migrations.RunSQL('{statement}')")
    with postgres.connect(f"{tenant}_db") as other:
        other.autocommit = False
        other.execute("LOCK TABLE users_user")
        said = project.manage("migratealltenants", flag, expect=1)
        other.rollback()
    assert why in said.out
    assert ["products.0003_more"] == project.status()[tenant]["pending"]
