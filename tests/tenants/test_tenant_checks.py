"""Each misconfiguration has an id, and says what to do about it."""

from __future__ import annotations

import pytest


def found(project, *flags, expect=0):
    """The checks that `manage.py check` complains of: {id: its text}."""
    said = project.manage("check", *flags, expect=expect).err
    lines = [line for line in said.splitlines() if "(opskit_tenants." in line]
    return {line.partition("(opskit_tenants.")[2][:4]: line for line in lines}, said


def settings(project, text):
    with (project.folder / "shop" / "settings.py").open("a") as file:
        file.write(f"\n{text}\n")


def change(project, tenant, **fields):
    """Change a tenant's row behind the app's back."""
    code = f"from opskit.tenants.models import Tenant; Tenant.objects.filter(tenant_id={tenant!r}).update(**{fields!r})"
    project.manage("shell", "-v", "0", "-c", code)


def test_a_sound_project_has_none(project):
    assert {} == found(project, "--database=default")[0]


def test_a_missing_router_and_unknown_settings_are_errors(project):
    settings(project, "DATABASE_ROUTERS = []\nOPSKIT_TENANTS = {'SHARED': [], 'SHARED_APPS': ['shop', 'plans']}")
    ids, said = found(project, expect=1)
    assert {"E001", "E002"} == set(ids)
    assert 'HINT: DATABASE_ROUTERS = ["opskit.tenants.routers.TenantRouter"]' in said
    assert "OPSKIT_TENANTS says what means nothing: `SHARED`, `SHARED_APPS: plans`." in ids["E002"]


def test_a_command_that_an_app_listed_earlier_takes_is_an_error(project):
    commands = project.folder / "users" / "management" / "commands"
    commands.mkdir(parents=True)
    (commands / "showtenants.py").write_text("from django.core.management import BaseCommand as Command\n")
    settings(project, "INSTALLED_APPS = ['users', 'opskit.tenants', 'shop', 'products']")
    ids, said = found(project, expect=1)
    assert {"E003"} == set(ids)
    assert "the command `showtenants` is that of `users`, which INSTALLED_APPS lists earlier." in ids["E003"]
    assert 'HINT: list "opskit.tenants" before "users".' in said


@pytest.mark.parametrize(
    ("fields", "number", "why"),
    [
        ({"database": ""}, "W001", "tenant `acme` has no database."),
        ({"database": "gone.sqlite3"}, "W001", "tenant `acme`: there is no database `gone.sqlite3`."),
        ({"database": "globex_db.sqlite3"}, "W002", "tenants `acme`, `globex` have one place: database `"),
        ({"alias": "eu"}, "W004", "tenant `acme`: DATABASES has no `eu`, which it names as its database."),
        ({"url_variable": "NO_SUCH"}, "W004", "the environment variable `NO_SUCH`, which it names for its database, is not set."),
        ({"isolation_type": "schema"}, "W001", "tenant `acme` has no schema."),
        ({"isolation_type": "schema", "schema": "a"}, "W004", "a schema per tenant needs PostgreSQL, and this is sqlite."),
        ({"database": "shared.sqlite3"}, "W004", "database `shared.sqlite3` is the master's: it can't be a tenant's."),
    ],
)  # fmt: skip
def test_a_row_that_cant_be_used_is_a_warning_and_its_tenant_fails(project, fields, number, why):
    change(project, "acme", **fields)
    ids, said = found(project, "--database=default")
    assert {number} == set(ids)
    assert why in ids[number]
    assert "HINT: correct its row, or delete it: `manage.py showtenants` lists them" in said
    said = project.manage("migratetenant", "--tenant-id=acme", expect=1)
    assert "acme" in said.err


def test_a_name_that_postgresql_would_cut_and_a_missing_one_are_warnings(project, postgres):
    master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(postgres.new_database("master"))}
    settings(project, f"DATABASES['default'] = {master!r}")
    project.manage("migrate", "opskit_tenants")
    make = "from opskit.tenants.models import Tenant as T\nfor id, name in (('long', 'x' * 64), ('gone', 'gone')): T.objects.create(tenant_id=id, database=name)\nT.objects.create(tenant_id='lost', isolation_type='schema', schema='lost')"
    project.manage("shell", "-v", "0", "-c", make)
    ids, said = found(project, "--database=default")
    assert "can't be used: only its first 63 bytes would be kept." in ids["W003"]
    for row in ("tenant `gone`: there is no database `gone`.", "tenant `lost`: there is no schema `lost`."):
        assert row in said
    assert {} == found(project)[0]  # without the flag no database is asked
