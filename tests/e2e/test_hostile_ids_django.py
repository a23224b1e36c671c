"""Tenant ids out of a nightmare in real Django projects: opskit.tenants on SQLite, django-omnitenant on PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys

import hostile
import omnitenant
import pytest

from e2e import operator

CREATE = """
import json, sys
import django
django.setup()
from opskit.tenants import creating, models
models.Tenant.objects.all().delete()
for each in json.loads(sys.argv[1]):
    creating.create(each, each)
"""


def statuses(desk) -> dict[str, tuple[str, str]]:
    """{tenant: (status, error)} of the newest run."""
    shown = json.loads(desk.run("show-run", "--format=json").out)
    return {each["tenant_id"]: (each["status"], each["error"]) for each in shown["outcomes"]}


def printed_nothing_raw(desk, result) -> bool:
    lines = [line for text in (result.out, result.err, desk.log()) for line in text.split("\n")]
    return all(line.isprintable() for line in lines)


@pytest.fixture
def opskits(tmp_path, demo_template, sshd):
    """An operator's folder whose `prod` is a project on opskit.tenants with nobody but the hostile tenants."""
    desk = operator.Desk(tmp_path)
    shutil.copytree(demo_template, desk.app)
    ids = json.dumps(hostile.STARTING_DJANGO)
    env = desk.environ({"DJANGO_SETTINGS_MODULE": "shop.settings"})
    subprocess.run([sys.executable, "-c", CREATE, ids], cwd=desk.app, env=env, check=True)
    desk.over_ssh(sshd, known_hosts=sshd.known_hosts, framework="opskit")
    return desk


def tables(desk) -> dict[str, set[str]]:
    """{tenant: the apps whose migrations its own database has}."""
    with contextlib.closing(sqlite3.connect(desk.app / "data" / "shared.sqlite3")) as shared:
        files = dict(shared.execute("SELECT tenant_id, database FROM opskit_tenants_tenant"))
    found = {}
    for tenant, file in files.items():
        with contextlib.closing(sqlite3.connect(desk.app / "data" / file)) as opened:
            migrated = opened.execute("SELECT name FROM sqlite_master WHERE name = 'django_migrations'").fetchall()
            rows = opened.execute("SELECT app FROM django_migrations").fetchall() if migrated else []
        found[tenant] = {app for (app,) in rows}
    return found


def test_with_opskits_own_app_each_ones_own_database_is_migrated(opskits):
    first = opskits.run("migrate-tenant", "--tenant-id=case")
    alone = tables(opskits)
    result = opskits.run("migrate-all", "-v")

    assert (first.code, [name for name, apps in alone.items() if apps]) == (0, ["case"])
    assert (result.code, set(statuses(opskits).values())) == (0, {("migrated", ""), ("current", "")})
    assert {name: apps >= {"products", "users"} for name, apps in tables(opskits).items()} == dict.fromkeys(
        hostile.STARTING_DJANGO, True
    )
    assert list(opskits.folder.rglob("x")) == []
    assert printed_nothing_raw(opskits, result)


@pytest.fixture
def companies(tmp_path, postgres, sshd):
    """The same on django-omnitenant, which checks an id in its forms and not in its table."""
    desk = operator.Desk(tmp_path)
    project = omnitenant.new_project(postgres, tmp_path)
    project.create(*(omnitenant.schema_row(each, migrate=True) for each in hostile.STARTING_DJANGO))
    desk.over_ssh(
        sshd,
        known_hosts=sshd.known_hosts,
        app={"path": str(project.folder), "env": project.env},
        framework="omnitenant",
    )
    return desk, project


def test_with_omnitenant_each_ones_own_schema_is_migrated(companies):
    desk, project = companies
    added = project.add_migration()

    first = desk.run("migrate-tenant", "--tenant-id=case")
    alone = [each for each in hostile.STARTING_DJANGO if added in project.history(each)]
    result = desk.run("migrate-all", "-v")

    assert (first.code, alone) == (0, ["case"]), first.out
    assert (result.code, set(statuses(desk).values())) == (0, {("migrated", ""), ("current", "")}), result.out
    assert {each: project.history(each).count(added) for each in hostile.STARTING_DJANGO} == dict.fromkeys(
        hostile.STARTING_DJANGO, 1
    )
    assert list(desk.folder.rglob("x")) == []
    assert printed_nothing_raw(desk, result)
