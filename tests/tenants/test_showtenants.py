"""What the listing says, and that it only looks."""

from __future__ import annotations

import csv
import io
import json
import re

ALL = [
    "users.0001_initial",
    "users.0002_alter_user_email",
    "products.0001_initial",
    "products.0002_category",
]


def test_json_lists_id_name_and_isolation_and_nothing_else(project):
    expected = [
        {"tenant_id": "acme", "name": "Acme Corporation", "isolation_type": "database"},
        {"tenant_id": "globex", "name": "Globex Corporation", "isolation_type": "database"},
        {"tenant_id": "initech", "name": "Initech", "isolation_type": "database"},
    ]
    said = project.manage("showtenants", "--format=json")
    assert (expected, "") == (json.loads(said.out), said.err)


def test_no_tenants_are_an_empty_list(project):
    project.manage("shell", "-c", "from opskit.tenants.models import Tenant; Tenant.objects.all().delete()")
    assert "[]\n" == project.manage("showtenants", "--format=json").out
    assert project.manage("showtenants").err.startswith("no tenants yet.")


def test_the_table_has_a_line_a_tenant(project):
    expected = [
        "tenant_id  name                isolation_type",
        "acme       Acme Corporation    database",
        "globex     Globex Corporation  database",
        "initech    Initech             database",
    ]
    assert expected == project.manage("showtenants").out.splitlines()


def test_the_table_with_status_counts(project):
    project.manage("migratetenant", "--tenant-id=acme", "users")
    lines = project.manage("showtenants", "--status").out.splitlines()
    where = f"database `{project.folder}/data/{{}}_db.sqlite3`"
    assert ["acme", "Acme Corporation", "database", where.format("acme"), "2", "2"] == re.split(" {2,}", lines[1])
    assert ["globex", "Globex Corporation", "database", where.format("globex"), "0", "4"] == re.split(" {2,}", lines[2])


def test_status_says_what_is_pending_in_the_order_in_which_it_would_run(project):
    assert ALL == project.status()["acme"]["pending"]
    project.manage("migratetenant", "--tenant-id=acme", "users")
    acme = project.status()["acme"]
    assert (ALL[:2], ALL[2:]) == (acme["applied"], acme["pending"])
    assert "error" not in acme


def test_status_creates_no_table_in_an_empty_database(project):
    project.status()
    assert 0 == project.database("acme").stat().st_size


def test_a_missing_database_is_an_error_and_is_not_created(project):
    project.database("globex").unlink()
    status = project.status()
    assert "database `globex_db.sqlite3` can't be opened: unable to open database file" == status["globex"]["error"]
    assert [] == status["globex"]["pending"]
    assert ALL == status["initech"]["pending"]
    assert not project.database("globex").exists()


def test_a_file_that_is_no_database_is_that_tenants_error(project):
    project.database("globex").write_text("not a database, by far" * 100)
    globex = project.status()["globex"]
    assert ("DatabaseError: file is not a database", []) == (globex["error"], globex["pending"])
    assert project.manage("showtenants", "--status").out.splitlines()[2].endswith("file is not a database")


def test_a_history_with_a_hole_is_that_tenants_error(project):
    project.manage("migratetenant", "--tenant-id=globex")
    project.sql("globex", "DELETE FROM django_migrations WHERE name = '0002_alter_user_email'")
    status = project.status()
    assert status["globex"]["error"].startswith("InconsistentMigrationHistory: Migration products.0001_initial is")
    assert ALL == status["acme"]["pending"]


def test_conflicting_migrations_are_every_tenants_error(project):
    project.add_migration("", name="0003_here")
    project.add_migration("", name="0003_there")
    for row in project.status().values():
        assert row["error"].startswith("conflicting migrations in the code (products: 0003_here, 0003_there).")


def test_a_squashed_migration_counts_as_applied_where_its_parts_are(project):
    project.manage("migratetenant", "--tenant-id=acme")
    squash(project)
    status = project.status()
    name = "products.0001_squashed"
    assert ([], [name]) == (status["acme"]["pending"], status["acme"]["unrecorded"])
    assert ([*ALL[:2], name], None) == (status["globex"]["pending"], status["globex"].get("unrecorded"))


def squash(project):
    """Give `products` a migration that replaces its two."""
    (project.folder / "products" / "migrations" / "0001_squashed.py").write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        "    replaces = [('products', '0001_initial'), ('products', '0002_category')]\n"
        "    dependencies = [('users', '0002_alter_user_email')]\n    operations = []\n"
    )


def test_a_missing_tenant_table_says_what_makes_it(project):
    shared = project.folder / "data" / "shared.sqlite3"
    shared.unlink()
    said = project.manage("showtenants", "--format=json", expect=1)
    assert f"CommandError: the tenant table can't be read: there is no database {shared}. " in said.err
    assert not shared.exists()
    shared.touch()
    said = project.manage("showtenants", "--format=json", expect=1)
    assert "no such table: opskit_tenants_tenant. `manage.py migrate opskit_tenants` makes it" in said.err
    project.manage("migrate", "opskit_tenants")
    assert "[]\n" == project.manage("showtenants", "--format=json").out


def test_a_name_with_control_characters_is_shown_and_not_sent(project):
    project.manage("createtenant", "--tenant-id=a\x1b[31m\nb", "--name=Zażółć", "--no-migrate")
    said = project.manage("showtenants", PYTHONIOENCODING="ascii").out
    assert r"a\x1b[31m\nb" in said
    assert r"Za\u017c\xf3\u0142\u0107" in said


def test_csv_has_a_line_a_tenant_and_with_status_its_migrations(project):
    project.manage("migratetenant", "--tenant-id=acme", "users")
    rows = list(csv.DictReader(io.StringIO(project.manage("showtenants", "--format=csv", "--status").out)))
    assert ["acme", "globex", "initech"] == [row["tenant_id"] for row in rows]
    assert (ALL[:2], ALL[2:]) == (rows[0]["applied"].split(), rows[0]["pending"].split())


def test_only_tenants_of_one_isolation_type(project):
    assert "[]\n" == project.manage("showtenants", "--format=json", "--isolation-type=schema").out
    assert (
        "tenant_id,name,isolation_type\n"
        == project.manage("showtenants", "--format=csv", "--isolation-type=schema").out
    )
    assert 4 == len(project.manage("showtenants", "--isolation-type=database").out.splitlines())


def test_the_migrations_of_one_several_or_all_are_shown_as_django_shows_them(project):
    project.manage("migratetenant", "--tenant-id=acme", "users")
    said = project.manage("showtenantmigrations", "--tenants=acme,globex").out
    expected = """\
Migrations of tenant: acme
products
 [ ] 0001_initial
 [ ] 0002_category
users
 [X] 0001_initial
 [X] 0002_alter_user_email
Migrations of tenant: globex
"""
    assert said.startswith(expected)
    said = project.manage("showtenantmigrations", "--plan", "--tenant-id=acme", "users").out
    assert "Migrations of tenant: acme\n[X]  users.0001_initial\n[X]  users.0002_alter_user_email\n" == said
    project.database("globex").unlink()
    said = project.manage("showtenantmigrations", expect=1)
    assert "Migrations of tenant: initech\n" in said.out
    assert "ERROR tenant=globex database `globex_db.sqlite3` can't be opened: unable to open" in said.err
    assert "CommandError: can't be asked: globex\n" in said.err
    assert 0 == project.database("initech").stat().st_size


def test_showtenantmigrations_reads_the_code_once_for_all_tenants(project):
    package = project.folder / "products" / "migrations" / "__init__.py"
    package.write_text("import sys\nprint('products are read', file=sys.stderr)\n")  # Django's loader reloads it
    said = project.manage("showtenantmigrations")
    assert (3, "products are read\n") == (said.out.count("Migrations of tenant: "), said.err)


def test_showtenantmigrations_marks_a_squashed_migration_as_django_does(project):
    project.manage("migratetenant", "--tenant-id=acme")
    squash(project)
    acme, globex = project.manage("showtenantmigrations", "--tenants=acme,globex", "products").out.split("globex")
    assert " [-] 0001_squashed (2 squashed migrations)" in acme
    assert " [ ] 0001_squashed (2 squashed migrations)\n" in globex
