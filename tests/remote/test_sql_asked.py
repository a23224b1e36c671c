"""The SQL of migrations, asked of a real Django project with an SQLite file a tenant. Nothing of it is executed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import opskit
from opskit.demo import data

REMOTE = Path(opskit.__file__).parent / "remote"
SQL, STATUS = ((REMOTE / f"{name}.py").read_text() for name in ("sql", "status"))
MIGRATION = """\
from pathlib import Path
from django.db import connections, migrations, models


def touch(apps, schema_editor):
    Path("touched").touch()


class Writes(migrations.RunSQL):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        with {connection}.cursor() as cursor:
            cursor.execute("CREATE TABLE mark (x int)")


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("users", "0002_alter_user_email")]
    operations = [{operations}]
"""
PYTHON = "migrations.RunPython(touch)"
HELD = f"migrations.SeparateDatabaseAndState(database_operations=[{PYTHON}])"
RAW = "migrations.RunSQL('UPDATE users_user SET name = name')"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "app"
    data.prepare(folder)
    return folder


@pytest.fixture
def shop(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "app")


def add(shop: Path, *operations: str, atomic: bool = True, connection: str = "schema_editor.connection") -> str:
    content = MIGRATION.format(operations=", ".join(operations), atomic=atomic, connection=connection)
    (shop / "users" / "migrations" / "0003_more.py").write_text(content)
    return "users.0003_more"


def ask(shop: Path, migrations: dict[str, str], framework: str = "opskit") -> subprocess.CompletedProcess:
    argv = [sys.executable, "-u", "-c", SQL, framework, "manage.py", json.dumps({"migrations": migrations}), STATUS]
    return subprocess.run(argv, cwd=shop, capture_output=True, text=True, check=False)


def sql(shop: Path, migration: str, tenant: str = "acme") -> dict:
    done = ask(shop, {migration: tenant})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["migrations"][migration]


def files(shop: Path) -> dict[str, str]:
    kept = [each for each in shop.rglob("*") if each.is_file() and each.suffix != ".pyc"]
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in kept}


def test_the_statements_are_those_of_sqlmigrate_and_nothing_is_changed(shop):
    before = files(shop)

    found = sql(shop, "users.0001_initial")

    assert found == {
        "statements": [
            'CREATE TABLE "users_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(120) NOT NULL, '
            '"email" varchar(120) NOT NULL, "joined" datetime NOT NULL);'
        ],
        "missing": "",
        "vendor": "sqlite",
        "atomic": True,
    }
    assert files(shop) == before


def test_the_shared_database_has_its_own(shop):
    assert sql(shop, "opskit_tenants.0001_initial", "")["statements"][0].startswith("CREATE TABLE ")
    assert sql(shop, "opskit_tenants.0001_initial")["statements"] == []  # the router lets nothing of it into a tenant


@pytest.mark.parametrize(
    ("operations", "statements", "missing"),
    [
        ([RAW, PYTHON], ["UPDATE users_user SET name = name;"], "RunPython can't be written as SQL"),
        ([RAW, HELD], [], "RunPython inside another operation would be run"),
        (["Writes('')"], [], "OperationalError: attempt to write a readonly database"),
        ([], [], ""),
    ],
)
def test_what_is_no_sql_is_named_and_not_run(shop, operations, statements, missing):
    before = files(shop)
    name = add(shop, *operations)
    added = shop / "users" / "migrations" / "0003_more.py"

    found = sql(shop, name)

    assert (found["statements"], found["missing"]) == (statements, missing)
    assert files(shop) == {**before, str(added): hashlib.sha256(added.read_bytes()).hexdigest()}


def test_no_other_database_can_be_used_to_write_sql(shop):
    name = add(shop, "Writes('')", connection="connections['default']")

    assert sql(shop, name)["missing"] == "RuntimeError: it wants to use the database `default` to write its SQL"


def test_one_migrations_trouble_is_not_the_others(shop):
    done = ask(shop, {"users.0009_gone": "acme", "users.0001_initial": "nobody", "users.0002_alter_user_email": "acme"})

    told = json.loads(done.stdout)["migrations"]
    assert told["users.0009_gone"]["missing"] == "LookupError: the code has no such migration"
    assert told["users.0001_initial"]["missing"].startswith("CommandError: tenant `nobody` does not exist")
    assert told["users.0002_alter_user_email"]["statements"]


def test_whether_it_is_one_transaction_is_told(shop):
    assert sql(shop, add(shop, RAW, atomic=False))["atomic"] is False


def test_an_unknown_framework_is_a_reason(shop):
    done = ask(shop, {}, framework="custom")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "LookupError: no question for the framework `custom`"
