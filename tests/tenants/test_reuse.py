"""What tenants share in one process is not to be seen in what comes out: it is held against Django's own `migrate`.

Both ways migrate as many databases in one process, and every table of every one is compared.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import databases_compared
import pytest

PROJECT = Path(__file__).parent.parent / "projects" / "reuse"
THREE = 3


class Loops:
    """Databases for each of the two ways, and the project's `migrateloop` over them."""

    def __init__(self, postgres, **env):
        self.postgres = postgres
        self.env = env
        self.names = {
            f"{way}{number}": postgres.new_database(f"{way}{number}")
            for way in ("plain", "opskit")
            for number in range(THREE)
        }

    def both(self, *flags, failing=None, only=range(THREE)):
        """Migrate the databases in both ways; `failing` maps the number of one to what it says."""
        for way in ("plain", "opskit"):
            errors = [each["error"] for each in self.migrate(way, *flags, only=only)]
            assert [(failing or {}).get(number, "") for number in only] == errors

    def prepare(self, *flags):
        """Bring all databases to one state. Django's way may number content types as its sets happen to be ordered."""
        for prefix in ("plain", "opskit"):
            assert [""] * THREE == [each["error"] for each in self.migrate("opskit", *flags, prefix=prefix)]

    def migrate(self, way, *flags, only=range(THREE), prefix=""):
        """What `migrateloop` tells of each database."""
        engine = {"ENGINE": "django.db.backends.postgresql"}
        databases = {alias: {**engine, **self.postgres.django(name)} for alias, name in self.names.items()}
        databases["default"] = {**engine, **self.postgres.django("postgres")}
        done = subprocess.run(
            [sys.executable, "manage.py", "migrateloop", way, *(f"{prefix or way}{number}" for number in only), *flags],
            cwd=PROJECT,
            env={**os.environ, "DATABASES": json.dumps(databases), "PYTHONDONTWRITEBYTECODE": "1", **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stderr if done.returncode else "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def sql(self, number, statement):
        for way in ("plain", "opskit"):
            self.postgres.execute(statement, database=self.names[f"{way}{number}"])

    def assert_alike(self):
        for number in range(THREE):
            plain, opskit = self._held(f"plain{number}"), self._held(f"opskit{number}")
            assert plain.keys() == opskit.keys()
            for what in plain:
                assert plain[what] == opskit[what], f"{what} of database {number}"
        return opskit

    def _held(self, alias):
        with self.postgres.connect(self.names[alias]) as connection:
            return databases_compared.held(connection)


@pytest.fixture
def loops(postgres):
    return Loops(postgres)


def test_databases_from_zero_come_out_as_with_migrate(loops):
    loops.both()
    held = loops.assert_alike()
    assert {"library_volume", "library_shelf", "ledger_entry", "auth_permission"} <= {row[0] for row in held["columns"]}
    assert 3 * 5 + 1 == len(held["rows of library_seen"])


def test_a_data_migration_sees_the_models_of_its_moment_and_no_trace_of_another_tenant(loops):
    loops.both()
    seen = [dict(row)["what"] for row in loops.assert_alike()["rows of library_seen"]]
    assert any(text.startswith("Book(author ForeignKey , id AutoField , loan OneToOneRel") for text in seen)
    assert any("full_name CharField" in text and text.startswith("Author(") for text in seen)
    assert [] == [text for text in seen if "touched)" in text or "True" in text]


def test_going_on_from_the_middle(loops):
    loops.both("--target", "library", "0002")
    loops.assert_alike()
    loops.both()
    loops.assert_alike()


def test_databases_that_start_from_different_places(loops):
    loops.both("--target", "library", "0001", only=[0])
    loops.both("--target", "library", "0003", only=[2])
    loops.both()
    loops.assert_alike()


def test_faked(loops):
    loops.both("--target", "library", "0003")
    loops.both("--target", "library", "0004", "--fake")
    held = loops.assert_alike()
    assert 2 * 5 == len(held["rows of library_seen"])
    loops.both()
    loops.assert_alike()


def test_tables_that_are_there_are_taken_for_the_initial_migrations(loops):
    loops.prepare("--target", "contenttypes", "0002", "--target", "library", "0001")
    for number in range(THREE):
        loops.sql(number, "DELETE FROM django_migrations WHERE app = 'library'")
    loops.both("--fake-initial")
    loops.assert_alike()


def test_a_failure_in_the_middle_of_the_second_leaves_the_third_alone(loops):
    loops.sql(1, "CREATE TABLE library_refuse (id integer)")
    loops.both(failing={1: "ValueError: this database was told to refuse"})
    loops.assert_alike()
    loops.sql(1, "DROP TABLE library_refuse")
    loops.both()
    loops.assert_alike()


def test_an_operation_that_fails_in_the_database_leaves_no_trace_in_what_is_shared(loops):
    loops.both("--target", "library", "0004")
    for number in (0, 1):
        loops.sql(number, "ALTER TABLE library_author ADD COLUMN born integer")
    taken = 'ProgrammingError: column "born" of relation "library_author" already exists'
    loops.both(failing={0: taken, 1: taken})
    loops.assert_alike()


def test_backwards_and_forwards_again(loops):
    loops.both()
    loops.both("--target", "library", "0002")
    loops.assert_alike()
    loops.both("--target", "library", "zero")
    loops.assert_alike()
    loops.both()
    loops.assert_alike()


def test_squashed_migrations_go_by_what_each_database_has_applied(loops):
    """One has none of the replaced, one has some, one has all and not the one that replaces them."""
    _apply_unsquashed(loops, 1, "0001_initial", "id serial PRIMARY KEY, amount integer NOT NULL")
    _apply_unsquashed(loops, 2, "0001_initial", "id serial PRIMARY KEY, amount integer NOT NULL, text text NOT NULL")
    loops.sql(2, "INSERT INTO django_migrations (app, name, applied) VALUES ('ledger', '0002_text', now())")
    loops.both()
    loops.assert_alike()
    loops.both("--target", "ledger", "zero")
    loops.assert_alike()


def _apply_unsquashed(loops, number, name, columns):
    loops.both("--target", "sites", "0001", only=[number])
    loops.sql(number, f"CREATE TABLE ledger_entry ({columns})")
    loops.sql(number, f"INSERT INTO django_migrations (app, name, applied) VALUES ('ledger', '{name}', now())")


def test_content_types_and_permissions_that_were_lost_come_back(loops):
    loops.both()
    loops.sql(0, "DELETE FROM auth_permission WHERE codename = 'lend'")
    loops.sql(2, "DELETE FROM auth_permission; DELETE FROM django_content_type WHERE app_label = 'ledger'")
    loops.both()
    loops.assert_alike()


def test_two_hundred_migrations_of_third_party_apps_come_out_as_with_migrate(postgres):
    loops = Loops(postgres, BIG="1")
    loops.both()
    held = loops.assert_alike()
    assert 150 < len(held["rows of django_migrations"])
    assert 400 < len(held["columns"])


_COUNTED = """
from django.db.backends.signals import connection_created
from opskit.tenants import history, registry

asked = []


def count(execute, sql, *more):
    asked.append("django_migrations" in sql)
    return execute(sql, *more)


def hear(connection, **_):
    if connection.alias.startswith("tenant:"):
        connection.execute_wrappers.append(count)


connection_created.connect(hear)
found = [each for _, each in history.of_tenants(registry.every())]
print([each.pending for each in found], asked)
"""


def test_a_tenant_with_nothing_pending_costs_one_query(project):
    """And three more the first one of each history, of which it is asked whether it has holes."""
    project.manage("migratealltenants")
    said = project.manage("shell", "-c", _COUNTED).out
    first, second, third = [True, True, False, True], [True], [True]
    assert f"[(), (), ()] {[*first, *second, *third]}" == said.splitlines()[-1]


_RENDERED = """
import sys
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState
from opskit.tenants import code, history, migrating, registry

counted = {"graphs": 0, "models": 0}


def counting(name, function):
    def count(*args):
        counted[name] += 1
        return function(*args)
    return count


ModelState.render = counting("models", ModelState.render)
MigrationLoader.build_graph = counting("graphs", MigrationLoader.build_graph)
after = []
with code.shared():
    for tenant in registry.every():
        assert migrating.migrate(tenant, history.Target(), lambda heard: None).error == ""
        after.append(dict(counted))
print(after)
"""


def test_graph_and_states_are_built_for_the_first_tenant_only(project):
    said = project.manage("shell", "-v", "0", "-c", _RENDERED).out
    first, *others = ast.literal_eval(said.splitlines()[-1])
    assert [first, first] == others
    assert first["models"] > 0
    assert 1 == first["graphs"]


_CHECKED = """
import sys
from django.core import checks


@checks.register()
def look(**_):
    print("checked", file=sys.stderr)
    return []
"""


def test_the_code_is_read_and_system_checks_run_once_for_all_tenants(project):
    models = project.folder / "products" / "models.py"
    models.write_text(models.read_text() + _CHECKED)
    package = project.folder / "products" / "migrations" / "__init__.py"
    package.write_text("import sys\nprint('read', file=sys.stderr)\n")  # Django's loader reloads it
    said = project.manage("migratealltenants")
    assert ("Total: 3 tenants migrated", "checked\nread\n") == (said.out.splitlines()[-1], said.err)


_SQUASHED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("users", "0001_initial"), ("users", "0002_alter_user_email")]
    operations = [
        migrations.CreateModel("User", [("id", models.BigAutoField(primary_key=True)), ("email", models.EmailField())])
    ]
"""


def test_a_squashed_migration_is_recorded_where_its_parts_are_applied(project):
    project.manage("migratealltenants")
    (project.folder / "users" / "migrations" / "0001_squashed.py").write_text(_SQUASHED)
    project.manage("migratealltenants")
    recorded = "SELECT count(*) FROM django_migrations WHERE name = '0001_squashed'"
    assert [(1,)] == project.sql("acme", recorded)
    said = project.manage("migratealltenants")
    assert "Migrating tenant" not in said.out
