"""Capture again what the other tenancy frameworks print: python tests/golden/capture_frameworks.py [PYTHON]

PYTHON is another interpreter that has the packages: django-pgschemas 1.3 needs Python 3.12.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import captured
import servers
import tenancies
from capture import settled

PACKAGES = {
    "django-tenants": "django-tenants",
    "django-pgschemas": "django-pgschemas",
    "django-tenant-schemas": "django-tenant-schemas",
    "databases": "Django",
}
ONE = {
    "django-tenants": lambda name, *more: (
        "migrate_schemas", f"--schema={name}", "--executor=standard", "--noinput", *more,
    ),
    "django-pgschemas": lambda name, *more: (
        "migrateschema", *more, f"--schema={name}", "--no-create-schemas", "--noinput",
    ),
    "django-tenant-schemas": lambda name, *more: (
        "migrate_schemas", f"--schema={name}", "--executor=standard", "--noinput", *more,
    ),
    "databases": lambda name, *more: ("migrate", f"--database={name}", "--noinput", *more),
}  # fmt: skip
SHARED = {
    "django-tenants": ("migrate_schemas", "--shared", "--executor=standard", "--noinput"),
    "django-pgschemas": ("migrateschema", "--schema=public", "--no-create-schemas", "--noinput"),
    "django-tenant-schemas": ("migrate_schemas", "--shared", "--executor=standard", "--noinput"),
    "databases": ("migrate", "--noinput"),
}

IN_PYTHON = """
from django.db import migrations


def refuse(apps, schema_editor):
    print("counting members")
    raise ValueError("42 members have no email\\nfirst: member 7")


class Migration(migrations.Migration):
    dependencies = [("invoices", "0002_invoice_paid")]
    operations = [migrations.RunPython(refuse, migrations.RunPython.noop)]
"""


def main(python: str = sys.executable) -> None:
    for framework in PACKAGES:
        with servers.postgres() as postgres, tempfile.TemporaryDirectory() as folder:
            capture(tenancies.new_project(framework, postgres, Path(folder), database="acme", python=python))


def capture(project: tenancies.Project) -> None:
    names = (
        ["s01", "s02", "s03", "s04", "12"] if project.framework == "django-tenants" else ["s01", "s02", "s03", "s04"]
    )
    project.create(*names)
    project.add_migration()
    project.break_tenant("s02")
    one = ONE[project.framework]
    keep(project, "ok", *one("s01"))
    keep(project, "nothing-to-do", *one("s01"))
    keep(project, "ok-one-migration", *one("s03", "members", "0004"))
    keep(project, "failed-column-exists", *one("s02"))
    with project.postgres.connect(project._home("s04")[0]) as rival, rival.transaction():
        rival.execute(f'LOCK TABLE "{project._home("s04")[1]}".members_member')
        keep(project, "failed-lock-timeout", *one("s04"), PGOPTIONS="-c lock_timeout=200ms")
    keep(project, "unknown-tenant", *one("nobody"))
    keep(project, "shared-ok", *SHARED[project.framework])
    if project.framework == "django-pgschemas":
        keep(project, "ok-of-another-by-its-domain", *one("s04."))
    (project.folder / "invoices/migrations/0003_refuse.py").write_text(IN_PYTHON)
    keep(project, "failed-in-python", *one("s03"))
    keep(project, "connection-refused", *one("s03"), DB_PORT=str(servers.free_port()))


def keep(project: tenancies.Project, name: str, *args: str, **env: str) -> None:
    done = project.manage(*args, **env)
    ports = (str(project.postgres.port), env.get("DB_PORT", str(project.postgres.port)))
    stdout, stderr = (settled(text, project, ports) for text in (done.stdout, done.stderr))
    version = project.version(PACKAGES[project.framework])
    captured.write(f"{project.framework}-{version}/{name}", captured.Captured(args, done.returncode, stdout, stderr))


if __name__ == "__main__":
    main(*sys.argv[1:])
