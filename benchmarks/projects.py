"""The projects that are migrated over SSH: the tests' small ones, and one with 377 migrations of third-party apps.

    kind = projects.KINDS["omnitenant"]
    project, ids = kind.make(postgres, folder, 50, fresh=False)
    projects.copied(project)      # the same code, and a database of its own with the same tenants, for each contender

All are omnitenant.Project of tests/: `folder`, `env`, `database`, `manage`, `add_migration`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measuring

omnitenant = measuring.of_the_tests("omnitenant")
tenancies = measuring.of_the_tests("tenancies")

REUSE = measuring.ROOT / "tests" / "projects" / "reuse"
CUSTOMERS = measuring.ROOT / "tests" / "projects" / "frameworks" / "customers"
COMMON = """\
from settings import *

PROCESSORS = "django.template.context_processors.request django.contrib.auth.context_processors.auth"
PROCESSORS += " django.contrib.messages.context_processors.messages"
TEMPLATES[0]["OPTIONS"] = {"context_processors": PROCESSORS.split()}  # the admin's system checks want them
"""
SETTINGS = {
    "opskit": 'DATABASE_ROUTERS = ["opskit.tenants.routers.TenantRouter"]\n',
    "migrate": "",
    "django-tenants": """\
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_APPS = [name for name in INSTALLED_APPS if name not in ("opskit.tenants", "loop")]
SHARED_APPS = ["django_tenants", "customers.django_tenants", "django.contrib.contenttypes"]
INSTALLED_APPS = ["django_tenants", "customers.django_tenants", *TENANT_APPS]
TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
""",
}
NOTE = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_day")]
    operations = [migrations.AddField("entry", "note", models.CharField(max_length=20, default=""))]
"""
ROWS = {  # of the tenants' table, in one process
    "opskit": """
from opskit.tenants.models import Tenant
Tenant.objects.all().delete()
Tenant.objects.bulk_create(Tenant(tenant_id=n, name=n, isolation_type="schema", schema=n) for n in names)
""",
    "django-tenants": """
from customers.django_tenants.models import Customer
Customer.objects.all().delete()
Customer.objects.bulk_create(Customer(schema_name=n, name=n) for n in names)
""",
}
EVERY = {"opskit": ("migratealltenants",), "django-tenants": ("migrate_schemas", "--tenant", "--executor=standard")}
SHARED = {"opskit": ("migrate", "opskit_tenants"), "django-tenants": ("migrate_schemas", "--shared")}


# ---------------------------------------------------------------- the big one


@dataclass(frozen=True)
class Big(omnitenant.Project):  # type: ignore[misc]
    """A copy of tests/projects/reuse, with a settings module a framework; `big` installs the third-party apps."""

    way: str = "django-tenants"
    big: bool = True

    @property
    def env(self) -> dict[str, str]:
        return {
            "DATABASES": json.dumps({"default": self.master}),
            "DJANGO_SETTINGS_MODULE": settings_module(self.way),
            **(dict.fromkeys(("BIG", "MORE"), "1") if self.big else {}),
        }

    @property
    def master(self) -> dict[str, str]:
        return {"ENGINE": "django.db.backends.postgresql", **self.postgres.django(self.database)}

    def migrate_shared(self) -> None:
        _done(self.manage(*SHARED[self.way], "--noinput", "--verbosity=0", "--skip-checks"))

    def register(self, names: Sequence[str]) -> None:
        """Make these schemas the tenants, and nobody else's."""
        text = f"import sys, django\ndjango.setup()\nnames = sys.argv[1:]\n{ROWS[self.way]}"
        _done(self.run("-c", text, *names))

    def migrate_all(self, names: Sequence[str]) -> None:
        """Make these schemas the tenants, and migrate them."""
        if names:
            self.register(names)
            _done(self.manage(*EVERY[self.way]))

    def add_note(self) -> str:
        (self.folder / "ledger" / "migrations" / "0004_note.py").write_text(NOTE)
        return "ledger.0004_note"


def settings_module(way: str) -> str:
    return f"settings_{way.replace('-', '_')}"


def new_big(postgres: Any, folder: Path, way: str = "django-tenants", *, big: bool = True) -> Big:
    """Copy the project to `folder`/project, with a database that has nothing."""
    ignored = shutil.ignore_patterns("__pycache__")
    copy = Path(shutil.copytree(REUSE, folder / "project", ignore=ignored))
    shutil.copytree(CUSTOMERS, copy / "customers", ignore=ignored)
    for name, text in SETTINGS.items():
        (copy / f"{settings_module(name)}.py").write_text(COMMON + text)
    return Big(copy, postgres, postgres.new_database("big"), way=way, big=big)


def clone(project: Any, schema: str, names: Sequence[str]) -> None:
    """The same tables and rows in other schemas, which do not exist yet: a tenth of the time that migrate takes."""
    dumped = _program(project, "pg_dump", f"--schema={schema}", "--no-owner")
    text = "".join(re.sub(rf"\b{schema}\b", name, dumped) for name in names)
    _program(project, "psql", "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", given=text)


def _program(project: Any, name: str, *args: str, given: str = "") -> str:
    at = project.postgres
    done = subprocess.run(
        [str(at.bin / name), "-h", at.host, "-p", str(at.port), "-U", at.user, "-d", project.database, *args],
        env={**os.environ, "PGPASSWORD": at.password},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        measuring.missing(f"{name} ended with exit {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _done(process: subprocess.CompletedProcess[str]) -> None:
    if process.returncode != 0:
        measuring.missing(f"a project's command ended with exit {process.returncode}: {process.stderr[-6000:]}")


# ---------------------------------------------------------------- which there are


@dataclass(frozen=True)
class Kind:
    """A project, its framework, and what people type on the host for one tenant and for all."""

    about: str
    framework: str
    one: str  # {} is the tenant's id
    every: Mapping[str, tuple[str, str]]  # {contender: framework and its command}
    make: Callable[..., tuple[Any, list[str]]]  # (postgres, folder, count, fresh=…) -> project, ids
    add: Callable[[Any], str]  # a migration; answers `app.name`


def _omnitenant(postgres: Any, folder: Path, count: int, *, fresh: bool) -> tuple[Any, list[str]]:
    project = omnitenant.new_project(postgres, folder)
    if fresh:
        return project, project.create_tenants(schemas=count, migrate=False)
    first = project.create_tenants(schemas=1)
    others = project.create(*(omnitenant.schema_row(f"s{number:02}") for number in range(2, count + 1)))
    clone(project, *first, others)
    return project, first + others


def _django_tenants(postgres: Any, folder: Path, count: int, *, fresh: bool) -> tuple[Any, list[str]]:
    project = tenancies.new_project("django-tenants", postgres, folder)
    first = project.create("s0000", migrate=not fresh)
    others = project.create(*(f"s{number:04}" for number in range(1, count)), migrate=False)
    if fresh:
        make_schemas(project, first + others)
    else:
        clone(project, *first, others)
    return project, first + others


def histories(project: Any, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """What each tenant's django_migrations says: `app.name`, [] where there is no such table."""
    found = []
    with project.postgres.connect(project.database) as connection:
        for name in names:
            table = f'"{name}".django_migrations'
            (there,) = connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
            rows = connection.execute(f"SELECT app || '.' || name FROM {table}").fetchall() if there else []
            found.append((name, [row[0] for row in rows]))
    return found


def make_schemas(project: Any, names: Sequence[str]) -> None:
    """Empty ones, nobody's yet."""
    with project.postgres.connect(project.database) as connection:
        for name in names:
            connection.execute(f'CREATE SCHEMA "{name}"')


def _big(*frameworks: str) -> Callable[..., tuple[Any, list[str]]]:
    """A maker of the big project, whose tenants the frameworks share; it is the first one's."""

    def make(postgres: Any, folder: Path, count: int, *, fresh: bool) -> tuple[Any, list[str]]:
        project = new_big(postgres, folder, frameworks[0])
        ids = [f"s{number:04}" for number in range(count)]
        for framework in frameworks:
            seen_by(framework, project).migrate_shared()
        make_schemas(project, ids if fresh else ids[:1])
        for framework in frameworks:
            seen_by(framework, project).migrate_all(() if fresh else ids[:1])
        if not fresh:
            clone(project, ids[0], ids[1:])
        for framework in frameworks:
            seen_by(framework, project).register(ids)
        return project, ids

    return make


def seen_by(framework: str, project: Any) -> Any:
    """The same project with the settings of another framework, where it has such."""
    return dataclasses.replace(project, way=framework) if isinstance(project, Big) else project


def _add_migration(project: Any) -> str:
    added: str = project.add_migration()
    return added


_STANDARD = "migrate_schemas --tenant --executor=standard"
_MIGRATE_SCHEMAS = {
    "the framework's own `migrate_schemas`": ("django-tenants", _STANDARD),
    "`migrate_schemas`, multiprocessing executor": (
        "django-tenants",
        "migrate_schemas --tenant --executor=multiprocessing",
    ),
}
_ONE_TENANT = "migratetenant --tenant-id={}"
_ONE_SCHEMA = "migrate_schemas --schema={} --executor=standard"
KINDS = {
    "omnitenant": Kind(
        about="small project, django-omnitenant",
        framework="omnitenant",
        one=_ONE_TENANT,
        every={"the framework's own `migratetenants`": ("omnitenant", "migratetenants")},
        make=_omnitenant,
        add=_add_migration,
    ),
    "django-tenants": Kind(
        about="small project, django-tenants",
        framework="django-tenants",
        one=_ONE_SCHEMA,
        every=_MIGRATE_SCHEMAS,
        make=_django_tenants,
        add=_add_migration,
    ),
    "big-django-tenants": Kind(
        about="377 migrations, django-tenants",
        framework="django-tenants",
        one=_ONE_SCHEMA,
        every=_MIGRATE_SCHEMAS,
        make=_big("django-tenants"),
        add=Big.add_note,
    ),
    "big-opskit": Kind(
        about="377 migrations, the tenants app",
        framework="opskit",
        one=_ONE_TENANT,
        every={
            "django-tenants' own `migrate_schemas`": ("django-tenants", _STANDARD),
            "the app's own `migratealltenants`": ("opskit", "migratealltenants"),
        },
        make=_big("opskit", "django-tenants"),
        add=Big.add_note,
    ),
}


def copied(project: Any) -> Any:
    """The same project on a copy of its database."""
    name = f"copy_{secrets.token_hex(6)}"
    project.postgres.execute(f'CREATE DATABASE "{name}" TEMPLATE "{project.database}" STRATEGY FILE_COPY')
    return dataclasses.replace(project, database=name)
