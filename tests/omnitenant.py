"""Projects on the real django-omnitenant: copies of tests/projects/omnitenant with databases of their own::

    project = omnitenant.new_project(postgres, tmp_path)
    project.create_tenants(schemas=12, databases=3)
    project.add_migration()                     # members.0004_member_phone, on every tenant pending
    project.break_tenant("s04")                 # whose members table has the column `phone` already
    project.manage("migratetenant", "--tenant-id=s04")

Schema tenants are called s01, s02, …, database tenants d01, d02, ….
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import servers

SOURCE = Path(__file__).parent / "projects" / "omnitenant"

MASTER = ("companies.0001_initial",)
"""The migrations of the app that holds the tenant table."""

TENANT = (
    "members.0001_initial",
    "members.0002_member_email",
    "invoices.0001_initial",
    "invoices.0002_invoice_paid",
    "members.0003_member_joined",
)
"""The migrations of the tenant-scope apps, in the order in which migrate applies them."""

ADDED = "members.0004_member_phone"
"""What add_migration adds."""

_ADDED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [{dependency!r}]
    operations = [migrations.AddField({model!r}, {field!r}, models.CharField(default="", max_length=50))]
"""

_SQUASHED = """
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("members", "0001_initial"), ("members", "0002_member_email"), ("members", "0003_member_joined")]
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Member", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("name", models.CharField(max_length=100)),
            ("email", models.CharField(default="", max_length=200)),
            ("joined", models.DateField(null=True)),
        ]),
    ]
"""

# Runs in the project, in one process for all tenants: a process each would take half a second.
_CREATE = """
import json, sys
import django
django.setup()
from companies.models import Company
from django_omnitenant.utils import get_tenant_backend
for row in json.loads(sys.argv[1]):
    migrate = row.pop("migrate")
    tenant = Company.objects.create(**row)
    if migrate:
        get_tenant_backend(tenant).migrate(verbosity=0)
"""


@dataclass(frozen=True)
class Project:
    """A copy of the project in `folder`, its master database migrated."""

    folder: Path
    postgres: servers.Postgres
    database: str  # the master's name
    python: str = sys.executable

    @property
    def env(self) -> dict[str, str]:
        """What the project's settings read, and nothing else."""
        return self.postgres.env(self.database)

    def run(self, *argv, **env: str) -> subprocess.CompletedProcess:
        """Run this Python with `argv` in the project's folder."""
        return subprocess.run(
            [self.python, *argv],
            cwd=self.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def manage(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        return self.run("manage.py", *args, **env)

    def execute(self, sql: str, *params, database: str | None = None) -> list[tuple]:
        return self.postgres.execute(sql, *params, database=database or self.database)

    # -------------------------------------------------------- tenants

    def create_tenants(self, schemas: int = 0, databases: int = 0, *, migrate: bool = True) -> list[str]:
        """Make tenants s01, s02, … and d01, d02, …, migrated or without a single table; answer their ids."""
        rows = [schema_row(f"s{n:02}", migrate=migrate) for n in range(1, schemas + 1)]
        for n in range(1, databases + 1):
            self.new_tenant_database(f"d{n:02}")
            rows.append(self.database_row(f"d{n:02}", migrate=migrate))
        return self.create(*rows)

    def create(self, *rows: dict) -> list[str]:
        """Make tenants of these rows (schema_row, database_row); answer their ids."""
        _done(self.run("-c", _CREATE, json.dumps(rows), DJANGO_SETTINGS_MODULE="acme.settings"))
        return [row["tenant_id"] for row in rows]

    def new_tenant_database(self, tenant_id: str) -> None:
        self.execute(f'CREATE DATABASE "{self.tenant_database(tenant_id)}"')

    def tenant_database(self, tenant_id: str) -> str:
        return f"{self.database}_{tenant_id}"

    def database_row(self, tenant_id: str, *, migrate: bool = False, **db_config: str) -> dict:
        """A database tenant on this server; what is in `db_config` wins."""
        config = {**self.postgres.django(self.tenant_database(tenant_id)), **db_config}
        return _row(tenant_id, isolation_type=1, config={"db_config": config}, migrate=migrate)

    def break_tenant(self, tenant_id: str, column: str = "phone", table: str = "members_member") -> None:
        """Add the column that the next migration adds: it will fail with PostgreSQL's own sentence."""
        database, schema = self._home(tenant_id)
        self.execute(f'ALTER TABLE "{schema}".{table} ADD COLUMN {column} varchar(50)', database=database)

    def mend_tenant(self, tenant_id: str, column: str = "phone", table: str = "members_member") -> None:
        database, schema = self._home(tenant_id)
        self.execute(f'ALTER TABLE "{schema}".{table} DROP COLUMN {column}', database=database)

    def history(self, tenant_id: str | None = None) -> list[str]:
        """What a tenant's django_migrations says, oldest first; None asks the master. [] without a table."""
        database, schema = self._home(tenant_id) if tenant_id else (self.database, "public")
        table = f'"{schema}".django_migrations'
        if self.execute("SELECT to_regclass(%s)", table, database=database) == [(None,)]:
            return []
        rows = self.execute(f"SELECT app || '.' || name FROM {table} ORDER BY id", database=database)
        return [name for (name,) in rows]

    def _home(self, tenant_id: str) -> tuple[str, str]:
        rows = self.execute("SELECT isolation_type, config FROM companies_company WHERE tenant_id = %s", tenant_id)
        ((isolation, config),) = rows
        if isolation == 1:
            return config["db_config"]["NAME"], "public"
        return self.database, config.get("schema_name") or tenant_id

    # -------------------------------------------------------- code

    def add_migration(
        self, app: str = "members", model: str = "member", field: str = "phone", name: str = "0004_member_phone"
    ) -> str:
        """Give this copy's `model` a field more, with a migration after the app's last one; answer `app.name`."""
        models = self.folder / app / "models.py"
        head, line, rest = re.split(rf"(?m)^(class {model}\(.*\):\n)", models.read_text(), flags=re.IGNORECASE)
        models.write_text(f'{head}{line}    {field} = models.CharField(default="", max_length=50)\n{rest}')
        folder = self.folder / app / "migrations"
        last = max(path.stem for path in folder.glob("0*.py"))
        (folder / f"{name}.py").write_text(_ADDED.format(dependency=(app, last), model=model, field=field))
        return f"{app}.{name}"

    def squash(self) -> str:
        """Give this copy a migration that replaces the three of `members`; answer `app.name`."""
        (self.folder / "members" / "migrations" / "0001_squashed_0003.py").write_text(_SQUASHED)
        return "members.0001_squashed_0003"


def new_project(postgres: servers.Postgres, folder: Path, database: str | None = None) -> Project:
    """Copy the project into `folder`/project, with a master database that has its migrations and no tenant."""
    copy = shutil.copytree(SOURCE, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    return Project(Path(copy), postgres, postgres.new_database("master", name=database, template=_migrated(postgres)))


def _migrated(postgres: servers.Postgres) -> str:
    """A database to copy: a tenth of the time that migrate takes."""
    name = "omnitenant_template"
    if not postgres.execute("SELECT 1 FROM pg_database WHERE datname = %s", name):
        template = Project(SOURCE, postgres, postgres.new_database(name=name))
        _done(template.manage("migrate", "--noinput", "--verbosity=0"))
    return name


def schema_row(tenant_id: str, *, migrate: bool = False, **config: str) -> dict:
    return _row(tenant_id, isolation_type=0, config=config, migrate=migrate)


def database_row_without_config(tenant_id: str) -> dict:
    """A database tenant that resolves to the master database."""
    return _row(tenant_id, isolation_type=1, config={}, migrate=False)


def _row(tenant_id: str, **fields) -> dict:
    return {"tenant_id": tenant_id, "name": tenant_id.capitalize(), **fields}


def _done(process: subprocess.CompletedProcess) -> None:
    assert process.returncode == 0, process.stdout + process.stderr
