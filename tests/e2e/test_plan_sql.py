"""`--plan --sql`: the SQL of each pending migration once, and what the real squawk says of it; nothing is executed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from e2e import operator as operators
from e2e import test_frameworks, test_omnitenant
from opskit.demo import data

new, operate = test_frameworks.new, test_frameworks.operate
operator, project = test_omnitenant.operator, test_omnitenant.project

SKU = "products.0003_product_sku"
ADD_PHONE = 'ALTER TABLE "members_member" ADD COLUMN "phone" varchar(50) DEFAULT \'\' NOT NULL;'
UNREAD = "no linter looked at SQL for sqlite: squawk reads PostgreSQL's.\n"
WITH_SQUAWK = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
AFTER = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


def fill(apps, schema_editor):
    raise AssertionError("it was run")


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("members", "{after}")]
    operations = [{operations}]
"""


@pytest.fixture
def shop(empty, small_template):
    """Two tenants of real Django on SQLite, and a migration that is pending on both."""
    shutil.copytree(small_template, empty.app)
    data.add_migration(empty.app)
    empty.inventory(framework="opskit")
    return empty


def add(project, name: str, after: str, *operations: str, atomic: bool = True) -> str:
    content = AFTER.format(after=after, operations=", ".join(operations), atomic=atomic)
    (project.folder / "members" / "migrations" / f"{name}.py").write_text(content)
    return f"members.{name}"


def rules(told: dict) -> set[str]:
    return {each["rule"] for each in told["lint"]}


# ---------------------------------------------------------------- SQLite: no linter


def test_each_migration_is_shown_once_for_all_tenants_and_nothing_is_done(shop):
    before = {path: path.read_bytes() for path in (shop.app / "data").glob("*.sqlite3")}

    assert shop.run("migrate-all", "--plan", "--sql") == operators.Result(
        0,
        "tenant    pending\n"
        "--------  -------------------------\n"
        f"acme      {SKU}\n"
        f"globex    {SKU}\n"
        "2 of 2 tenants would be migrated; 0 have nothing pending.\n"
        f"SQL of {SKU} (2 tenants):\n"
        '  ALTER TABLE "products_product" ADD COLUMN "sku" varchar(40) NULL;\n'
        "next: `invoke migrate-all --env=prod`\n",
        UNREAD,
    )
    assert {path: path.read_bytes() for path in (shop.app / "data").glob("*.sqlite3")} == before


def test_programs_get_it_beside_the_plan(shop):
    done = shop.run("migrate-all", "--plan", "--sql", "--format=json")
    plain = shop.run("migrate-all", "--plan", "--format=json")

    told = json.loads(done.out)
    statement = 'ALTER TABLE "products_product" ADD COLUMN "sku" varchar(40) NULL;'
    assert told.pop("sql") == {SKU: {"statements": [statement], "missing": "", "lint": None}}
    assert (told, done.err, plain.err) == (json.loads(plain.out), UNREAD, "")


def test_sql_without_a_plan_is_no_run(shop):
    operators.refuses(shop.run("migrate-all", "--sql"), 2, "--sql needs --plan")
    assert shop.runs == []


def test_a_framework_of_the_inventorys_own_words_can_not_be_asked(desk):
    desk.inventory(framework={**operators.FRAMEWORK, "pending": ["pending"]})

    done = desk.run("migrate-all", "--plan", "--sql")

    assert (done.code, done.err) == (0, "`custom` can't be asked for the SQL: it has commands of its own.\n")
    assert done.out == desk.run("migrate-all", "--plan").out


# ---------------------------------------------------------------- PostgreSQL


def test_squawk_says_what_it_thinks_of_each_statement(project, operator, monkeypatch):
    monkeypatch.setenv("PATH", WITH_SQUAWK["PATH"])
    ids = project.create_tenants(schemas=2, databases=1)
    phone = project.add_migration()
    text = add(
        project,
        "0005_text",
        "0004_member_phone",
        "migrations.AlterField('member', 'phone', models.TextField())",
        "migrations.RunPython(fill)",
    )
    index = add(
        project,
        "0006_index",
        "0005_text",
        "AddIndexConcurrently('member', models.Index(fields=['name'], name='by_name'))",
        atomic=False,
    )
    before = {name: project.history(name) for name in ids}

    told = operator.json("migrate-all", "--env=prod", "--plan", "--sql")["sql"]
    alone = operator.json("migrate-all", "--env=prod", "--plan", "--sql", "--tenants=d01")["sql"]
    shown = operator.types("migrate-all", "--env=prod", "--plan", "--sql", "--lock-timeout=5s")

    assert (list(told), alone) == ([phone, text, index], told)
    assert told[phone]["statements"][0] == ADD_PHONE
    assert {"require-lock-timeout", "prefer-text-field"} <= rules(told[phone])
    assert {each["statement"] for each in told[phone]["lint"]} == {0, 1}  # the default is dropped again
    (alter,) = told[text]["statements"]
    assert alter == 'ALTER TABLE "members_member" ALTER COLUMN "phone" TYPE text USING "phone"::text;'
    assert told[text]["missing"] == "RunPython can't be written as SQL"
    assert told[index]["statements"] == ['CREATE INDEX CONCURRENTLY "by_name" ON "members_member" ("name");']
    assert "ban-concurrent-index-creation-in-transaction" not in rules(told[index])
    lines = shown.stdout.splitlines()
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"SQL of {phone} (3 tenants):" in lines
    assert any(line.startswith("    squawk, warning: prefer-text-field: ") for line in lines)
    assert "require-lock-timeout" not in shown.stdout  # the run sets one
    assert {name: project.history(name) for name in ids} == before


@pytest.mark.parametrize("framework", test_frameworks.EVERY)
def test_a_constraints_name_is_read_where_the_tenant_has_it(new, operate, framework):
    project = new(framework)
    project.create("s01", "s02")
    desk = operate(project)
    members = project.folder / "members" / "migrations"
    newest = max(each.stem for each in members.glob("0*.py"))
    unique, plain = "models.IntegerField(null=True, unique=True)", "models.IntegerField(null=True)"
    made = add(project, "0008_code", newest, f"migrations.AddField('member', 'code', {unique})")
    for words in MIGRATE[framework]:
        assert project.manage(*words, "--noinput").returncode == 0
    gone = add(project, "0009_free", "0008_code", f"migrations.AlterField('member', 'code', {plain})")
    later = add(project, "0010_again", "0009_free", f"migrations.AddField('member', 'tag', {unique})")
    last = add(project, "0011_never", "0010_again", f"migrations.AlterField('member', 'tag', {plain})")

    done = desk.run("migrate-all", "--plan", "--sql", "--tenants=s01", "--format=json", env=WITH_SQUAWK)

    assert done.code == 0, done.err
    told = json.loads(done.out)["sql"]
    assert [made in told, later in told] == [False, True]
    assert told[gone]["statements"][0] == 'ALTER TABLE "members_member" DROP CONSTRAINT "members_member_code_key";'
    assert (told[gone]["missing"], bool(told[gone]["lint"])) == ("", True)
    why = "a constraint or an index that goes is not in members_member yet, so its name is not known"
    assert told[last]["missing"] == why
    assert not any("CONSTRAINT" in each for each in told[last]["statements"])


MIGRATE = {
    "django-tenants": [("migrate_schemas",)],
    "django-pgschemas": [("migrate",)],
    "django-tenant-schemas": [("migrate_schemas",)],
    "databases": [("migrate",), ("migrate", "--database=s01")],
}
