"""Capture again what the installed django-omnitenant prints: python tests/golden/capture.py

Only what differs from run to run is replaced: port, password, timestamps and folders.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import captured
import omnitenant
import servers

DJANGO = importlib.metadata.version("Django")
VERSION = importlib.metadata.version("django-omnitenant")

IN_PYTHON = """
from django.db import migrations


def refuse(apps, schema_editor):
    print("counting members")
    raise ValueError("42 members have no email\\nfirst: member 7")


class Migration(migrations.Migration):
    dependencies = [("invoices", "0002_invoice_paid")]
    operations = [migrations.RunPython(refuse, migrations.RunPython.noop)]
"""


IN_SQL = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("companies", "0001_initial")]
    operations = [migrations.RunSQL({sql!r})]
"""


def main() -> None:
    with servers.postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        project = omnitenant.new_project(postgres, Path(folder), database="acme")
        listings(project)
        migrations(project)
        failures(project)
        of_django(project)


def listings(project: omnitenant.Project) -> None:
    keep(project, "showtenants-none", "showtenants", "--format=json")
    project.create_tenants(schemas=4, databases=2)
    project.create(omnitenant.schema_row("s05"))
    keep(project, "showtenants", "showtenants", "--format=json")
    keep(project, "showtenants-isolation-type", "showtenants", "--format=json", "--isolation-type=database")
    unmigrated = omnitenant.Project(project.folder, project.postgres, project.postgres.new_database("empty"))
    keep(unmigrated, "showtenants-unmigrated-master", "showtenants", "--format=json")


def migrations(project: omnitenant.Project) -> None:
    project.add_migration()
    project.break_tenant("s04")
    migrate(project, "ok", "s01")
    migrate(project, "nothing-to-do", "s01")
    migrate(project, "ok-database", "d01")
    migrate(project, "ok-everything", "s05")
    migrate(project, "ok-one-migration", "s02", "members", "0004")
    migrate(project, "failed-column-exists", "s04")
    with project.postgres.connect("acme") as rival, rival.transaction():
        rival.execute("LOCK TABLE s03.members_member")
        migrate(project, "failed-lock-timeout", "s03", PGOPTIONS="-c lock_timeout=200ms")
    migrate(project, "unknown-tenant", "nobody")
    migrate(project, "unknown-app", "s01", "nothing")
    migrate(project, "bad-option", "s01", "--no-input")
    keep(project, "migratetenant-no-tenant", "migratetenant")
    migrate(project, "connection-refused", "s01", DB_PORT=str(servers.free_port()))


def failures(project: omnitenant.Project) -> None:
    (project.folder / "invoices/migrations/0003_refuse.py").write_text(IN_PYTHON)
    migrate(project, "failed-in-python", "d02")
    project.create(omnitenant.database_row_without_config("d03"))
    migrate(project, "master-by-mistake", "d03")
    project.create(project.database_row("d04"))  # no such database
    migrate(project, "failed-no-database", "d04")


def of_django(project: omnitenant.Project) -> None:
    """What Django's own `migrate` prints of a failure: a traceback, with the driver's exception in it."""
    in_sql(project, "unique-violation", "CREATE UNIQUE INDEX companies_once ON companies_company ((1))")
    in_sql(project, "not-null-violation", "INSERT INTO companies_company (tenant_id) VALUES ('twice')")
    in_sql(project, "undefined-table", "ALTER TABLE companies_motto ADD COLUMN said text")
    in_sql(project, "statement-timeout", "SELECT pg_sleep(9)", PGOPTIONS="-c statement_timeout=200ms")
    with project.postgres.connect("acme") as rival, rival.transaction():
        rival.execute("LOCK TABLE companies_domain")
        sql = "ALTER TABLE companies_domain ADD COLUMN said text"
        in_sql(project, "lock-timeout", sql, PGOPTIONS="-c lock_timeout=200ms")


def in_sql(project: omnitenant.Project, name: str, sql: str, **env: str) -> None:
    (project.folder / "companies/migrations/0002_refused.py").write_text(IN_SQL.format(sql=sql))
    keep(project, f"django-{DJANGO}/migrate-{name}", "migrate", "companies", "--noinput", **env)


def migrate(project: omnitenant.Project, name: str, tenant_id: str, *args: str, **env: str) -> None:
    keep(project, f"migratetenant-{name}", "migratetenant", f"--tenant-id={tenant_id}", *args, **env)


def keep(project: omnitenant.Project, name: str, *args: str, **env: str) -> None:
    done = project.manage(*args, **env)
    ports = (str(project.postgres.port), env.get("DB_PORT", str(project.postgres.port)))
    stdout, stderr = (settled(text, project, ports) for text in (done.stdout, done.stderr))
    captured.write(
        name if "/" in name else f"omnitenant-{VERSION}/{name}",
        captured.Captured(args, done.returncode, stdout, stderr),
    )


def settled(text: str, project: omnitenant.Project, ports: tuple[str, ...]) -> str:
    text = text.replace(project.postgres.password, "correct-horse-battery")
    for port in ports:
        text = re.sub(rf"\b{port}\b", "5432", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+", "2026-11-22T14:02:00.000001", text)
    text = re.sub(r'"[^"\n]*/site-packages/', '"/srv/acme/venv/lib/python3/site-packages/', text)
    text = re.sub(r'"[^"\n]*/lib/python3\.\d+/(?!site-packages)', '"/usr/lib/python3/', text)
    return text.replace(str(project.folder), "/srv/acme/current")


if __name__ == "__main__":
    main()
