"""Many schemas of one PostgreSQL, each way in one process: `migratealltenants`, Django's `migrate` in a loop, and
django-tenants' `migrate_schemas` (its standard executor), on the project of tests/projects/reuse with all its apps.

Fresh schemas are other ones for each way; then all three go over the same ones. Times are those of the command alone,
without the start of Python and Django. Memory is that of a process that migrates many small tenants from zero.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from measuring import Row

PROJECT = measuring.ROOT / "tests" / "projects" / "reuse"
WAYS = ("opskit", "migrate", "django-tenants")
SETTINGS = {
    "opskit": 'from settings import *\n\nDATABASE_ROUTERS = ["opskit.tenants.routers.TenantRouter"]\n',
    "migrate": "from settings import *\n",
    "django-tenants": """\
from settings import *

DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_APPS = [name for name in INSTALLED_APPS if name not in ("opskit.tenants", "loop")]
SHARED_APPS = ["django_tenants", "clients", "django.contrib.contenttypes"]
INSTALLED_APPS = ["django_tenants", "clients", *TENANT_APPS]
TENANT_MODEL = "clients.Client"
TENANT_DOMAIN_MODEL = "clients.Domain"
""",
}
CLIENTS = """\
from django_tenants.models import DomainMixin, TenantMixin


class Client(TenantMixin):
    auto_create_schema = False


class Domain(DomainMixin):
    pass
"""
NEW = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_day")]
    operations = [migrations.AddField("entry", "note", models.CharField(max_length=20, default=""))]
"""
UNDO = """
ALTER TABLE "{0}".ledger_entry DROP COLUMN note;
DELETE FROM "{0}".django_migrations WHERE app = 'ledger' AND name = '0004_note'
"""


class Field:
    """A database, the project's copy, and the three ways over its schemas."""

    def __init__(self, postgres: Any, folder: Path, *, big: bool) -> None:
        self._postgres = postgres
        self._folder = Path(shutil.copytree(PROJECT, folder))
        self._big = big
        self.database = postgres.new_database("loop")
        self._master = {"ENGINE": "django.db.backends.postgresql", **postgres.django(self.database)}
        (self._folder / "clients").mkdir()
        (self._folder / "clients" / "__init__.py").touch()
        (self._folder / "clients" / "models.py").write_text(CLIENTS)
        for way, text in SETTINGS.items():
            (self._folder / f"settings_{_module(way)}.py").write_text(text)

    def schemas(self, prefix: str, count: int) -> list[str]:
        names = [f"{prefix}{number:04}" for number in range(count)]
        for name in names:
            self.sql(f'CREATE SCHEMA "{name}"')
        return names

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._postgres.execute(statement, database=self.database)
        return rows

    def run(self, way: str, schemas: list[str], **more: Any) -> dict[str, float]:
        """The command's seconds, those of the processor, and the process's memory after tenant 10 and the last."""
        databases = {"default": self._master}
        if way == "migrate":
            databases |= {name: {**self._master, "OPTIONS": {"options": f"-c search_path={name}"}} for name in schemas}
        return measuring.in_a_process(
            __file__,
            way=way,
            folder=str(self._folder),
            databases=json.dumps(databases),
            schemas=schemas,
            big=self._big,
            **more,
        )

    def add_migration(self) -> None:
        (self._folder / "ledger" / "migrations" / "0004_note.py").write_text(NEW)

    def undo(self, schemas: list[str]) -> None:
        for name in schemas:
            self.sql(UNDO.format(name))


def _module(way: str) -> str:
    return way.replace("-", "_")


# ---------------------------------------------------------------- in a process of its own


def part(way: str, folder: str, databases: str, schemas: list[str], *, big: bool) -> dict[str, float]:
    os.environ.update(DATABASES=databases, DJANGO_SETTINGS_MODULE=f"settings_{_module(way)}")
    os.environ.update(dict.fromkeys(("BIG", "MORE"), "1") if big else {})
    sys.path.insert(0, folder)
    import django  # noqa: PLC0415 - with the settings that were given

    django.setup()
    memory: list[float] = []
    command = {"opskit": _opskit, "migrate": _migrate, "django-tenants": _django_tenants}[way](schemas, memory)
    began, worked = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        command()
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    few, many = (memory[min(9, len(memory) - 1)], memory[-1]) if memory else (0.0, 0.0)
    return {"seconds": seconds, "processor": processor, "few": few, "many": many}


def _opskit(schemas: list[str], memory: list[float]) -> Callable[[], Any]:
    from django.core.management import call_command  # noqa: PLC0415 - after setup

    from opskit.tenants import models, signals  # noqa: PLC0415 - as above

    call_command("migrate", "opskit_tenants", verbosity=0)
    models.Tenant.objects.all().delete()
    models.Tenant.objects.bulk_create(
        models.Tenant(tenant_id=name, name=name, isolation_type="schema", schema=name) for name in schemas
    )
    signals.post_tenant_migrate.connect(lambda **_: memory.append(_rss()), weak=False)
    return lambda: call_command("migratealltenants")


def _migrate(schemas: list[str], _memory: list[float]) -> Callable[[], Any]:
    from django.core.management import call_command  # noqa: PLC0415 - as above
    from django.db import connections  # noqa: PLC0415 - as above

    from opskit.tenants import context  # noqa: PLC0415 - as above

    def command() -> None:
        for name in schemas:
            with context.using(name):
                call_command("migrate", database=name, verbosity=0)
            connections[name].close()

    return command


def _django_tenants(schemas: list[str], _memory: list[float]) -> Callable[[], Any]:
    from clients.models import Client, Domain  # noqa: PLC0415 - as above
    from django.core.management import call_command  # noqa: PLC0415 - as above
    from django.db import connection  # noqa: PLC0415 - as above

    if "clients_client" not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Client)
            editor.create_model(Domain)
    Client.objects.all().delete()
    Client.objects.bulk_create(Client(schema_name=name) for name in schemas)
    return lambda: call_command("migrate_schemas", "--tenant", "--executor=standard", verbosity=0)


def _rss() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found.group(1)) * 1024 / measuring.MB if found else 0.0


# ---------------------------------------------------------------- what is compared


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--schemas", type=int, default=50)
    parser.add_argument("--fresh", type=int, default=5, help="how many the two others make from zero")
    parser.add_argument("--many", type=int, default=1000, help="small tenants, for the memory; 0 leaves it out")
    parser.add_argument("--part", help="one command, for this script's own use")
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(**json.loads(given.part))))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder, measuring.server("postgres") as postgres:
        rows += _compared(Field(postgres, Path(folder, "big"), big=True), given.schemas, given.fresh)
        if given.many:
            rows += _memory(Field(postgres, Path(folder, "small"), big=False), given.many)
    measuring.report(rows, markdown=given.markdown)


def _compared(field: Field, count: int, fresh: int) -> list[Row]:
    measuring.progress(f"from zero: opskit {count} schemas, the others {fresh} each")
    schemas = field.schemas("s", count)
    zero = {"opskit": _each(field.run("opskit", schemas), count)}
    for way in WAYS[1:]:
        zero[way] = _each(field.run(way, field.schemas(way[0], fresh)), fresh)
    measuring.progress(f"{count} schemas with nothing pending")
    for way in WAYS[1:]:
        field.run(way, schemas)  # tables of their own
    nothing = {way: _each(field.run(way, schemas), count) for way in WAYS}
    measuring.progress(f"{count} schemas with one new migration")
    field.add_migration()
    one = {}
    for way in WAYS:
        one[way] = _each(field.run(way, schemas), count)
        field.undo(schemas)
    return [
        *_rows(f"nothing pending on {count} schemas", nothing, "at least 20"),
        *_rows(f"one new migration on {count} schemas", one, "at least 3"),
        *_rows("fresh schemas from zero", zero, "at least 2"),
    ]


def _each(figures: dict[str, float], count: int) -> tuple[float, float]:
    return figures["seconds"] / count, figures["processor"] / count


def _rows(what: str, taken: dict[str, tuple[float, float]], target: str) -> list[Row]:
    ours = taken["opskit"]
    rows = [Row(f"{what}, in one process: `migrate` / opskit", f"{taken['migrate'][0] / ours[0]:.1f}", target)]
    rows.append(Row("… django-tenants / opskit", f"{taken['django-tenants'][0] / ours[0]:.1f}", target))
    for way in WAYS:
        seconds, processor = taken[way]
        rows.append(Row(f"… {way}", f"{measuring.ms(seconds)} a tenant, {measuring.ms(processor)} of the processor"))
    return rows


def _memory(field: Field, many: int) -> list[Row]:
    measuring.progress(f"{many} small tenants from zero")
    figures = field.run("opskit", field.schemas("m", many))
    return [
        Row(f"memory after tenant 10 and tenant {many}", f"{figures['few']:.0f} and {figures['many']:.0f} MB", "flat")
    ]


if __name__ == "__main__":
    main()
