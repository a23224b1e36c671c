"""One tenant's migration, as a person and as a program hears of it."""

from __future__ import annotations

import contextlib
import getpass
import platform
import sqlite3
from datetime import datetime, timedelta

import pytest

ALL = [
    "users.0001_initial",
    "users.0002_alter_user_email",
    "products.0001_initial",
    "products.0002_category",
]
FAILING = "migrations.RunPython(fail)"
_FORGETFUL = """
CREATE TRIGGER forgetful AFTER INSERT ON django_migrations
BEGIN DELETE FROM django_migrations WHERE id = NEW.id; END
"""


def test_a_tenant_is_migrated_as_the_first_page_of_the_manual_shows(project):
    expected = """\
Migrating tenant: acme
users/0001_initial.py ... OK
users/0002_alter_user_email.py ... OK
products/0001_initial.py ... OK
products/0002_category.py ... OK
✓ Tenant 'acme' migrated successfully.
"""
    said = project.manage("migratetenant", "--tenant-id=acme")
    assert (expected, "") == (said.out, said.err)
    assert [] == project.status()["acme"]["pending"]
    assert ALL == project.status()["globex"]["pending"]


def test_a_second_time_there_is_nothing_to_do(project):
    project.manage("migratetenant", "--tenant-id=acme")
    said = project.manage("migratetenant", "--tenant-id=acme").out
    assert "Migrating tenant: acme\nNo migrations to apply.\n✓ Tenant 'acme' migrated successfully.\n" == said


def test_only_the_tenants_apps_are_in_its_database_and_only_the_shared_ones_in_the_shared(project):
    project.manage("migratetenant", "--tenant-id=acme")
    tables = {name for (name,) in project.sql("acme", "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"users_user", "products_product", "products_category", "django_migrations"} == tables - {"sqlite_sequence"}
    said = project.manage("shell", "-c", _SHARED_TABLES)
    assert "['django_migrations', 'opskit_tenants_tenant', 'sqlite_sequence']" == said.out.splitlines()[-1]


_SHARED_TABLES = """
from django.db import connection
cursor = connection.cursor()
print(sorted(row[0] for row in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")))
"""


def test_events_tell_a_program_what_was_pending_and_what_became_of_it(project):
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl")
    started, finished = said.events
    assert timedelta(0) == datetime.fromisoformat(started.pop("at")).utcoffset()
    assert {
        "v": 1,
        "seq": 1,
        "event": "TenantStarted",
        "tenant": "acme",
        "attempt": 1,
        "host": "",
        "pending": ALL,
    } == started
    assert (1, 2, "TenantFinished") == (finished["v"], finished["seq"], finished["event"])
    assert 0 < finished["outcome"].pop("seconds") < 60
    assert {
        "tenant": "acme",
        "status": "migrated",
        "applied": ALL,
        "verified": True,
        "error": "",
        "attempt": 1,
        "host": "",
        "retryable": False,
        "fingerprint": None,
        "taken_back": [],
    } == finished["outcome"]
    assert [f"  Applying {name}... OK" for name in ALL] == said.err.splitlines()


def test_the_events_of_a_current_tenant_say_so(project):
    project.manage("migratetenant", "--tenant-id=acme")
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl")
    assert ([], "current", "") == (said.events[0]["pending"], said.events[1]["outcome"]["status"], said.err)


def test_a_failure_is_an_exit_of_1_with_the_databases_own_sentence(project):
    project.sql("acme", "CREATE TABLE products_product (id integer)")
    said = project.manage("migratetenant", "--tenant-id=acme", expect=1)
    reason = 'OperationalError: table "products_product" already exists'
    assert f"CommandError: Migrations failed for tenant 'acme': {reason}\n" == said.err
    assert "products/0001_initial.py ... FAILED" == said.out.splitlines()[-1]


def test_the_events_of_a_failure_name_what_was_applied_before_it(project):
    project.sql("acme", "CREATE TABLE products_product (id integer)")
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl", expect=1)
    outcome = said.events[-1]["outcome"]
    assert ("failed", ALL[:2], False) == (outcome["status"], outcome["applied"], outcome["verified"])
    assert 'OperationalError: table "products_product" already exists' == outcome["error"]
    assert "  Applying products.0001_initial... FAILED" in said.err.splitlines()


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("ValueError('one\\n  two')", "ValueError: one two"),
        ("KeyError()", "KeyError"),
        ("SystemExit(0)", "SystemExit: 0"),
        ("__import__('django').core.exceptions.ImproperlyConfigured('no')", "ImproperlyConfigured: no"),
    ],
)
def test_whatever_a_migration_raises_is_that_tenants_failure_in_one_line(project, raised, reason):
    project.add_migration(FAILING, f"def fail(apps, schema_editor):\n    raise {raised}\n")
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl", expect=1)
    assert ("failed", reason) == (said.events[-1]["outcome"]["status"], said.events[-1]["outcome"]["error"])
    assert f"CommandError: Migrations failed for tenant 'acme': {reason}" == said.err.splitlines()[-1]


def test_a_migration_that_left_no_record_is_a_failure_though_nothing_was_raised(project):
    project.manage("migratetenant", "--tenant-id=acme")
    project.sql("acme", _FORGETFUL)
    project.add_migration("")
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl", expect=1)
    outcome = said.events[-1]["outcome"]
    assert "it ran without an error, and these are still pending: products.0003_more" == outcome["error"]
    assert ("failed", False) == (outcome["status"], outcome["verified"])


def test_what_a_migration_prints_is_kept_apart_from_the_events(project):
    project.add_migration(FAILING, "def fail(apps, schema_editor):\n    print('{\"v\": 1, hello')\n")
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl")
    assert ["TenantStarted", "TenantFinished"] == [event["event"] for event in said.events]
    assert '{"v": 1, hello' in said.err


def test_a_data_migration_reaches_its_own_tenant_without_naming_a_database(project):
    body = (
        "def fail(apps, schema_editor):\n"
        "    apps.get_model('products', 'Category').objects.create(name=schema_editor.connection.alias)\n"
    )
    project.add_migration(FAILING, body)
    for tenant in ("acme", "globex"):
        project.manage("migratetenant", f"--tenant-id={tenant}")
    assert [("tenant:acme",)] == project.sql("acme", "SELECT name FROM products_category")
    assert [("tenant:globex",)] == project.sql("globex", "SELECT name FROM products_category")


def test_a_missing_database_fails_and_is_not_created(project):
    project.database("acme").unlink()
    said = project.manage("migratetenant", "--tenant-id=acme", "--format=jsonl", expect=1)
    started, finished = said.events
    assert (None, "failed") == (started["pending"], finished["outcome"]["status"])
    assert "database `acme_db.sqlite3` can't be opened: unable to open database file" == finished["outcome"]["error"]
    assert not project.database("acme").exists()


def test_conflicting_migrations_fail_before_anything_runs(project):
    project.add_migration("", name="0003_here")
    project.add_migration("", name="0003_there")
    said = project.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert "conflicting migrations in the code (products: 0003_here, 0003_there)" in said.err
    assert 0 == project.database("acme").stat().st_size


def test_an_unknown_tenant_names_the_nearest(project):
    said = project.manage("migratetenant", "--tenant-id=globx", "--format=jsonl", expect=1)
    assert ("", "CommandError: tenant `globx` does not exist. did you mean `globex`?\n") == (said.out, said.err)
    said = project.manage("migratetenant", "--tenant-id=xyz", expect=1)
    assert "CommandError: tenant `xyz` does not exist. `manage.py showtenants` lists those that do\n" == said.err


def test_one_app_and_one_migration_are_targets_of_their_own(project):
    project.manage("migratetenant", "--tenant-id=acme", "users")
    assert ALL[2:] == project.status()["acme"]["pending"]
    said = project.manage("migratetenant", "--tenant-id=acme", "products", "0001", "--format=jsonl")
    assert ("migrated", True) == (said.events[-1]["outcome"]["status"], said.events[-1]["outcome"]["verified"])
    assert ALL[3:] == project.status()["acme"]["pending"]


def test_a_migration_is_undone_as_djangos_migrate_does(project):
    project.manage("migratetenant", "--tenant-id=acme")
    said = project.manage("migratetenant", "--tenant-id=acme", "products", "zero", "--format=jsonl")
    assert ["  Unapplying products.0002_category... OK", "  Unapplying products.0001_initial... OK"] == (
        said.err.splitlines()
    )
    outcome = said.events[-1]["outcome"]
    assert ([], "migrated", []) == (said.events[0]["pending"], outcome["status"], outcome["applied"])
    assert ALL[2:] == project.status()["acme"]["pending"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (["nonsense"], "No installed app with label 'nonsense'."),
        (["shop"], "app `shop` has no migrations"),
        (["products", "0009"], "app `products` has no migration that starts with `0009`"),
        (["products", "000"], "more than one migration of app `products` starts with `000`"),
        (["opskit_tenants"], "app `opskit_tenants` lives in the master database. `manage.py migrate opskit_tenants`"),
    ],
)
def test_a_target_that_means_nothing_has_its_own_sentence(project, target, reason):
    assert reason in project.manage("migratetenant", "--tenant-id=acme", *target, expect=1).err
    assert 0 == project.database("acme").stat().st_size


def test_plan_and_check_look_and_leave_no_trace(project):
    said = project.manage("migratetenant", "--tenant-id=acme", "--plan").out
    assert ["Planned operations:", "users.0001_initial", "    Create model User"] == said.splitlines()[:3]
    assert "" == project.manage("migratetenant", "--tenant-id=acme", "--check", expect=1).out
    assert 0 == project.database("acme").stat().st_size
    project.manage("migratetenant", "--tenant-id=acme")
    assert "" == project.manage("migratetenant", "--tenant-id=acme", "--check").out
    said = project.manage("migratetenant", "--tenant-id=acme", "--plan", "--check").out
    assert "Planned operations:\n  No planned migration operations.\n" == said


def test_plan_of_a_missing_database_says_so(project):
    project.database("acme").unlink()
    said = project.manage("migratetenant", "--tenant-id=acme", "--check", expect=1)
    assert "CommandError: database `acme_db.sqlite3` can't be opened: unable to open database file\n" == said.err


def test_plan_has_no_events(project):
    said = project.manage("migratetenant", "--tenant-id=acme", "--plan", "--format=jsonl", expect=1)
    assert "leave out --format=jsonl" in said.err


def test_output_never_fails_for_its_encoding(project):
    said = project.manage("migratetenant", "--tenant-id=acme", PYTHONIOENCODING="ascii:strict")
    assert r"\u2713 Tenant 'acme' migrated successfully." == said.out.splitlines()[-1]


def test_what_listens_for_post_migrate_hears_of_the_tenants_database(project):
    (project.folder / "shop" / "management" / "__init__.py").write_text(
        "import sys\n"
        "from django.db.models.signals import post_migrate\n\n\n"
        "def hear(sender, using, plan, apps, **kwargs):\n"
        "    if sender.label == 'users':\n"
        "        print('heard', using, len(plan), apps.get_model('users', 'User').objects.count())\n\n\n"
        "post_migrate.connect(hear)\n"
    )
    said = project.manage("migratetenant", "--tenant-id=acme")
    assert "heard tenant:acme 4 0\n" == said.err


def test_fake_records_and_runs_nothing(project):
    said = project.manage("migratetenant", "--tenant-id=acme", "users", "--fake").out
    assert "users/0001_initial.py ... FAKED" == said.splitlines()[1]
    assert ALL[2:] == project.status()["acme"]["pending"]
    assert [] == project.sql("acme", "SELECT name FROM sqlite_master WHERE name = 'users_user'")


def test_fake_initial_takes_tables_that_exist(project):
    project.manage("migratetenant", "--tenant-id=acme")
    project.sql("acme", "DELETE FROM django_migrations")
    said = project.manage("migratetenant", "--tenant-id=acme", "users", "0001", "--fake-initial", "--noinput").out
    assert "users/0001_initial.py ... FAKED" == said.splitlines()[1]


def test_a_time_limit_that_the_database_has_not_is_a_failure_before_anything_runs(project):
    said = project.manage("migratetenant", "--tenant-id=acme", "--statement-timeout=5s", expect=1)
    assert "a time limit for a statement is not known for sqlite" in said.err
    said = project.manage("migratetenant", "--tenant-id=acme", "--lock-timeout=soon", expect=2)
    assert "CommandError: --lock-timeout: expected a duration such as" in said.err


def test_a_database_that_is_locked_for_longer_than_the_limit_fails(project):
    project.manage("migratetenant", "--tenant-id=acme", "users")
    with contextlib.closing(sqlite3.connect(project.database("acme"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = project.manage("migratetenant", "--tenant-id=acme", "--lock-timeout=100ms", expect=1)
    assert "OperationalError: database is locked" in said.err


def test_two_at_once_migrate_once_and_the_second_says_who_is_at_work(project):
    project.add_migration(FAILING, WAIT)
    with project.waiting("migratetenant", "--tenant-id=acme") as first:
        said = project.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert 0 == first.returncode
    who = f"{getpass.getuser()}@{platform.node()} process {first.pid} since "
    assert f"tenant `acme` is being migrated by {who}" in said.err
    assert [] == project.status()["acme"]["pending"]


WAIT = """
import sys
def fail(apps, schema_editor):
    print('here', file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


def test_the_lock_of_a_command_that_was_killed_is_free(project):
    project.add_migration(FAILING, WAIT)
    with project.waiting("migratetenant", "--tenant-id=acme") as killed:
        killed.kill()
        killed.wait()
    project.manage("migratetenant", "--tenant-id=acme")
    assert [] == project.status()["acme"]["pending"]
