"""The same commands where a tenant's database is one of MariaDB's."""

from __future__ import annotations

import signal

import pytest
import servers

PYMYSQL = "import pymysql\npymysql.install_as_MySQLdb()\n"
WAIT = """
import sys
def wait(apps, schema_editor):
    print('here', file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def mariadb():
    with servers.mariadb() as server:
        yield server


@pytest.fixture
def shop(project, mariadb):
    """The project with its master on MariaDB."""
    for (name,) in mariadb.execute("SHOW DATABASES LIKE '%acme%'"):
        mariadb.execute(f"DROP DATABASE `{name}`")
    mariadb.execute("DROP DATABASE IF EXISTS master")
    mariadb.execute("CREATE DATABASE master CHARACTER SET utf8mb4")
    master = {"ENGINE": "django.db.backends.mysql", **mariadb.django("master")}
    settings = project.folder / "shop" / "settings.py"
    settings.write_text(f"{PYMYSQL}{settings.read_text()}\nDATABASES['default'] = {master!r}\n")
    project.manage("migrate", "opskit_tenants")
    return project


def test_a_tenant_is_created_listed_and_migrated_with_the_others(shop, mariadb):
    shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--no-migrate")
    assert 4 == len(shop.status()["acme"]["pending"])
    said = shop.manage("migratealltenants").out
    assert "Migration Summary:\n✓ acme - migrated successfully\nTotal: 1 tenant migrated\n" in said
    assert ((4,),) == tuple(mariadb.execute("SELECT count(*) FROM django_migrations", database="acme_db"))
    assert "" == shop.manage("check", "--database=default").out.replace(
        "System check identified no issues (0 silenced).\n", ""
    )


def test_a_failed_migration_drops_the_database_that_was_created(shop, mariadb):
    shop.add_migration("migrations.RunSQL('SELECT * FROM nowhere')")
    said = shop.manage("createtenant", "--tenant-id=acme", "--name=N", expect=1)
    assert "what was created is removed: ProgrammingError: " in said.err
    assert [] == mariadb.execute("SHOW DATABASES LIKE 'acme_db'")
    assert {} == shop.status()


def test_a_schema_per_tenant_needs_postgresql(shop):
    said = shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--isolation-type=schema", expect=1)
    assert "a schema per tenant needs PostgreSQL, and this is mysql. nothing was created" in said.err


def test_two_at_once_migrate_once_and_the_second_says_who_is_at_work(shop):
    shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--no-migrate")
    shop.add_migration("migrations.RunPython(wait)", WAIT)
    with shop.waiting("migratetenant", "--tenant-id=acme") as first:
        said = shop.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert 0 == first.returncode
    assert "tenant `acme` is being migrated by `opskit` from 127.0.0.1" in said.err
    assert [] == shop.status()["acme"]["pending"]


def test_a_lock_and_a_statement_have_their_time_limits(shop, mariadb):
    shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--no-migrate")
    shop.add_migration("migrations.RunSQL('SELECT @@lock_wait_timeout, @@max_statement_time, SLEEP(60)')")
    flags = ("--tenant-id=acme", "--lock-timeout=3s", "--statement-timeout=1.5s")
    said = shop.manage("migratetenant", *flags, expect=1)
    assert "max_statement_time exceeded" in said.err


def test_the_lock_of_a_command_that_was_killed_is_free(shop):
    shop.manage("createtenant", "--tenant-id=acme", "--name=N", "--no-migrate")
    shop.add_migration("migrations.RunPython(wait)", WAIT)
    with shop.waiting("migratetenant", "--tenant-id=acme") as killed:
        killed.kill()
        killed.wait()
    shop.manage("migratetenant", "--tenant-id=acme")
    assert [] == shop.status()["acme"]["pending"]


def test_a_signal_drops_the_database_that_was_created(shop, mariadb):
    shop.add_migration("migrations.RunPython(wait)", WAIT)
    with shop.waiting("createtenant", "--tenant-id=acme", "--name=N") as command:
        command.send_signal(signal.SIGTERM)
        command.wait()
    assert (130, "interrupted. nothing of it is left") == (command.returncode, command.said.err.strip()[-34:])
    assert [] == mariadb.execute("SHOW DATABASES LIKE 'acme_db'")
    assert {} == shop.status()
