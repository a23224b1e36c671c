"""`framework: opskit` over real SSH, on a real PostgreSQL: schemas and databases side by side, and a cron line in between."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys

import pytest

from e2e import operator
from e2e.test_interrupt import _lock_is_free as lock_is_free
from opskit import journal

WAIT = """
import sys
from django.db import migrations


def wait(apps, schema_editor):
    print("here", file=sys.stderr, flush=True)
    sys.stdin.readline()


class Migration(migrations.Migration):
    dependencies = [("products", "0002_category")]
    operations = [migrations.RunPython(wait)]
"""
HELD = """
import pathlib, time
from django.db import migrations


def wait(apps, schema_editor):
    here = pathlib.Path(__file__).parents[2]
    (here / "begun").touch()
    while not (here / "go").exists():
        time.sleep(0.01)


class Migration(migrations.Migration):
    dependencies = [("products", "0002_category")]
    operations = [migrations.RunPython(wait)]
"""
NAMES = ("users.0001_initial", "users.0002_alter_user_email", "products.0001_initial", "products.0002_category")


def manage(desk, *args, **popen):
    command = [sys.executable, "manage.py", *args]
    return subprocess.Popen(command, cwd=desk.app, stdin=subprocess.PIPE, stdout=-1, stderr=-1, text=True, **popen)


def done(desk, *args):
    process = manage(desk, *args, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    _, err = process.communicate()
    assert 0 == process.returncode, err


@pytest.fixture
def shop(demo, postgres, sshd):
    """An operator's folder whose project keeps its tenants on PostgreSQL; `database` is a tenant with one of its own."""
    database = f"t{secrets.token_hex(4)}"
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(postgres.new_database("master"))}
    with (demo.app / "shop" / "settings.py").open("a") as settings:
        settings.write(f"\nDATABASES['default'] = {master!r}\n")
    done(demo, "migrate", "opskit_tenants")
    for tenant in ("acme", "globex"):
        flags = ("--isolation-type=schema", "--no-migrate")
        done(demo, "createtenant", f"--tenant-id={tenant}", "--name=N", *flags)
    done(demo, "createtenant", f"--tenant-id={database}", "--name=N", "--no-migrate")
    demo.over_ssh(sshd, known_hosts=sshd.known_hosts, framework="opskit")
    demo.database = database
    yield demo
    postgres.execute(f'DROP DATABASE "{database}_db"')


def outcomes(result):
    return {each["tenant_id"]: each for each in json.loads(result.out)["outcomes"]}


def test_schemas_and_databases_are_migrated_and_verified(shop):
    found = outcomes(shop.run("migrate-all", "--format=json"))
    assert {"acme", "globex", shop.database} == set(found)
    assert {("migrated", NAMES, True)} == {
        (each["status"], tuple(each["applied"]), each["verified"]) for each in found.values()
    }
    assert {"current"} == {each["status"] for each in outcomes(shop.run("migrate-all", "--format=json")).values()}


def test_a_tenant_that_somebody_else_is_migrating_is_left_alone_and_told(shop):
    (shop.app / "products" / "migrations" / "0003_wait.py").write_text(WAIT)
    cron = manage(shop, "migratetenant", "--tenant-id=globex")
    try:
        assert "here\n" == cron.stderr.readline()
        result = shop.run("migrate-all", "--format=json")
    finally:
        cron.communicate("\n")
    found = outcomes(result)
    assert (5, 0) == (result.code, cron.returncode)
    assert ("migrated", "failed") == (found["acme"]["status"], found["globex"]["status"])
    assert "tenant `globex` is being migrated by `" in found["globex"]["error"]


SQUASHED = """
from django.db import migrations


class Migration(migrations.Migration):
    replaces = [("products", "0001_initial"), ("products", "0002_category")]
    dependencies = [("users", "0002_alter_user_email")]
    operations = []
"""


def test_a_squashed_migration_is_recorded_where_all_that_it_replaces_is_applied(empty, small_template):
    shutil.copytree(small_template, empty.app)
    empty.inventory(framework="opskit")
    (empty.app / "products" / "migrations" / "0001_squashed.py").write_text(SQUASHED)
    said = "all that a squashed migration replaces is applied, and `migrate` records it: products.0001_squashed (2 tenants)"
    assert said in empty.run("migrate-all", "--plan").out.splitlines()

    found = outcomes(empty.run("migrate-all", "--format=json"))

    assert {"current"} == {each["status"] for each in found.values()}
    for name in found:
        with contextlib.closing(sqlite3.connect(empty.app / "data" / f"{name}_db.sqlite3")) as database:
            (recorded,) = database.execute("SELECT count(*) FROM django_migrations WHERE name = '0001_squashed'")
        assert (1,) == recorded
    assert said not in empty.run("migrate-all", "--plan").out


def test_how_an_unseen_tenant_ended_is_told_in_words_and_its_file_has_no_json(empty, small_template):
    shutil.copytree(small_template, empty.app)
    empty.inventory(framework="opskit")
    (empty.app / "products" / "migrations" / "0003_wait.py").write_text(HELD)
    with empty.running("migrate-all") as running:
        operator.until((empty.app / "begun").exists, "a beginning of the migration", running)
        running.process.kill()
        running.end()
        empty.let_go()
    operator.until(lambda: lock_is_free(empty.folder / "state"), "an end of what ran on the host")

    result = empty.run("migrate-all")

    assert 0 == result.code, result.err
    told = "was cut off while it migrated `acme`: that command ended with exit 0, and said last: migrated after "
    assert told in result.err
    assert not [line for line in empty.log().splitlines() if '"seq"' in line]
    for name in ("acme", "globex"):
        said = journal.tenant_file(empty.runs[-1], name).read_text()
        assert "migrating (1 pending)\n" in said
        assert "  Applying products.0003_wait... OK\n" in said
        assert '"seq"' not in said
