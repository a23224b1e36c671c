"""Projects on the other tenancy frameworks: copies of tests/projects/frameworks with databases of their own::

project = tenancies.new_project("django-tenants", postgres, tmp_path)
project.create("s01", "s02", "12")          # migrated; a schema each, or with `databases` a database
project.add_migration()                     # members.0004_member_phone, on every tenant pending
project.break_tenant("s02")
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import omnitenant

if TYPE_CHECKING:
    import servers

SOURCE = Path(__file__).parent / "projects" / "frameworks"

SETTINGS = {
    "django-tenants": "django_tenants",
    "django-pgschemas": "pgschemas",
    "django-tenant-schemas": "tenant_schemas",
    "databases": "databases",
}
SHARED = {
    "django-tenants": ("migrate_schemas", "--shared"),
    "django-pgschemas": ("migrate", "--schema", "public"),
    "django-tenant-schemas": ("migrate_schemas", "--shared"),
    "databases": ("migrate",),
}

# Runs in the project, in one process for all tenants.
_CREATE = """
import json, sys
import django
django.setup()
from django.apps import apps
Customer = apps.get_model("customers", "Customer")
Customer.auto_create_schema = json.loads(sys.argv[1])
for schema in sys.argv[2:]:
    named = any(each.name == "domain_url" for each in Customer._meta.fields)
    more = {"domain_url": schema + ".example.com"} if named else {}
    customer = Customer(schema_name=schema, name=schema.title(), **more)
    customer.save(verbosity=0)
    if hasattr(customer, "domains"):
        customer.domains.create(domain=schema.replace("_", "-") + ".example.com", is_primary=True)
"""


@dataclass(frozen=True)
class Project(omnitenant.Project):
    framework: str = ""
    aliases: list[str] = field(default_factory=list)  # of `databases`

    @property
    def env(self) -> dict[str, str]:
        settings = f"acme.settings.{SETTINGS[self.framework]}"
        return {
            **self.postgres.env(self.database),
            "DJANGO_SETTINGS_MODULE": settings,
            **({"DB_ALIASES": " ".join(self.aliases)} if self.framework == "databases" else {}),
        }

    def create(self, *names: str, migrate: bool = True) -> list[str]:
        """Make tenants, migrated or without a schema; answer their ids."""
        if self.framework == "databases":
            for name in names:
                template = self.database if migrate else "template1"  # in plain Django all have the same tables
                self.postgres.new_database(name=f"{self.database}_{name}", template=template)
            self.aliases.extend(names)
        else:
            omnitenant._done(self.run("-c", _CREATE, json.dumps(migrate), *names))
        return list(names)

    def add_shared_migration(self) -> str:
        """A migration of the app that has the tenants' table; answer `app.name`."""
        package = f"customers/{SETTINGS[self.framework]}"
        self.add_migration(package, "customer", "motto", "0002_customer_motto")
        file = self.folder / package / "migrations" / "0002_customer_motto.py"
        file.write_text(file.read_text().replace(package, "customers"))
        return "customers.0002_customer_motto"

    def version(self, package: str) -> str:
        """Of a package that this project's Python has."""
        return self.run(
            "-c", f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
        ).stdout.strip()

    def _home(self, tenant_id: str) -> tuple[str, str]:
        if self.framework == "databases":
            return f"{self.database}_{tenant_id}", "public"
        return self.database, tenant_id


def new_project(
    framework: str,
    postgres: servers.Postgres,
    folder: Path,
    database: str | None = None,
    python: str = sys.executable,
) -> Project:
    """Copy the project into `folder`/project, with a shared database that has its migrations and no tenant."""
    copy = shutil.copytree(SOURCE, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    shared = postgres.new_database("shared", name=database, template=_migrated(framework, postgres, python))
    return Project(Path(copy), postgres, shared, python, framework=framework)


def _migrated(framework: str, postgres: servers.Postgres, python: str) -> str:
    """A database to copy: a tenth of the time that migrate takes."""
    name = f"template of {framework}"
    if not postgres.execute("SELECT 1 FROM pg_database WHERE datname = %s", name):
        template = Project(SOURCE, postgres, postgres.new_database(name=name), python, framework=framework)
        omnitenant._done(template.manage(*SHARED[framework], "--verbosity=0"))
    return name
