"""Many schemas of one PostgreSQL, each way in one process: `migratealltenants`, Django's `migrate` in a loop, and
django-tenants' `migrate_schemas` (its standard executor), on the project of tests/projects/reuse with all its apps.

Fresh schemas are other ones for each way; then all three go over the same ones. Times are those of the command alone,
without the start of Python and Django.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring
import projects
from measuring import Lap, Race

WAYS = ("opskit", "migrate", "django-tenants")
CONTENDERS = {
    "opskit": "`migratealltenants`",
    "migrate": "Django's `migrate` in a loop",
    "django-tenants": "django-tenants' `migrate_schemas`",
}
UNDO = """
ALTER TABLE "{0}".ledger_entry DROP COLUMN note;
DELETE FROM "{0}".django_migrations WHERE app = 'ledger' AND name = '0004_note';
"""


class Field:
    """A database, and the three ways over its schemas."""

    def __init__(self, postgres: Any, folder: Path) -> None:
        self._project = projects.new_big(postgres, folder)
        for way in projects.SHARED:
            projects.seen_by(way, self._project).migrate_shared()

    def schemas(self, prefix: str, count: int) -> list[str]:
        names = _names(prefix, count)
        projects.make_schemas(self._project, names)
        return names

    def clones(self, schema: str, prefix: str, count: int) -> list[str]:
        names = _names(prefix, count)
        projects.clone(self._project, schema, names)
        return names

    def run(self, way: str, schemas: list[str]) -> float:
        """The seconds of the command alone."""
        project = projects.seen_by(way, self._project)
        databases = {"default": project.master}
        if way == "migrate":
            databases |= {
                name: {**project.master, "OPTIONS": {"options": f"-c search_path={name}"}} for name in schemas
            }
        else:
            project.register(schemas)
        env = {**project.env, "DATABASES": json.dumps(databases)}
        given = {"way": way, "folder": str(project.folder), "env": env, "schemas": schemas}
        seconds: float = measuring.in_a_process(__file__, **given)["seconds"]
        return seconds

    def add_migration(self) -> None:
        self._project.add_note()

    def undo(self, schemas: list[str]) -> None:
        self._project.execute("".join(UNDO.format(name) for name in schemas))


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:04}" for number in range(count)]


# ---------------------------------------------------------------- in a process of its own


def part(way: str, folder: str, env: dict[str, str], schemas: list[str]) -> dict[str, float]:
    os.environ.update(env)
    sys.path.insert(0, folder)
    import django  # noqa: PLC0415 - with the settings that were given

    django.setup()
    command = {"opskit": _opskit, "migrate": _migrate, "django-tenants": _django_tenants}[way]
    began = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        command(schemas)
    return {"seconds": time.perf_counter() - began}


def _opskit(_schemas: list[str]) -> None:
    from django.core.management import call_command  # noqa: PLC0415 - after setup

    call_command("migratealltenants")


def _migrate(schemas: list[str]) -> None:
    from django.core.management import call_command  # noqa: PLC0415 - as above
    from django.db import connections  # noqa: PLC0415 - as above

    from opskit.tenants import context  # noqa: PLC0415 - as above

    for name in schemas:
        with context.using(name):
            call_command("migrate", database=name, verbosity=0)
        connections[name].close()


def _django_tenants(_schemas: list[str]) -> None:
    from django.core.management import call_command  # noqa: PLC0415 - as above

    call_command("migrate_schemas", "--tenant", "--executor=standard", verbosity=0)


# ---------------------------------------------------------------- what is compared


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--zero", type=int, help="of them, made from zero by opskit; the others are copies")
    parser.add_argument("--fresh", type=int, default=5, help="how many the two others make from zero")
    parser.add_argument("--part", help="one command, for this script's own use")
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(**json.loads(given.part))))
        return
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder, measuring.server("postgres") as postgres:
        field = Field(postgres, Path(folder))
        races = _compared(field, given.tenants, given.zero or given.tenants, given.fresh)
    measuring.report(given, *races)


def _compared(field: Field, count: int, zero: int, fresh: int) -> list[Race]:
    measuring.progress(f"from zero: opskit {zero} schemas, the others {fresh} each")
    schemas = field.schemas("s", zero)
    made = {"opskit": _lap("opskit", field, schemas, count)}
    for way in WAYS[1:]:
        made[way] = _lap(way, field, field.schemas(way[0], fresh), count)
    schemas += field.clones(schemas[0], "c", count - zero)
    measuring.progress(f"{count} schemas with nothing pending")
    for way in WAYS[1:]:
        field.run(way, schemas)  # tables of their own
    nothing = {way: _lap(way, field, schemas, count) for way in WAYS}
    measuring.progress(f"{count} schemas with one new migration")
    field.add_migration()
    one = {}
    for way in WAYS:
        one[way] = _lap(way, field, schemas, count)
        field.undo(schemas)
    return [
        _race("nothing pending", nothing, count, 20.0),
        _race("one new migration", one, count, 3.0),
        _race("fresh tenants", made, count, 2.0),
    ]


def _lap(way: str, field: Field, schemas: list[str], count: int) -> Lap:
    return Lap(CONTENDERS[way], field.run(way, schemas) / len(schemas) * count, len(schemas))


def _race(case: str, laps: dict[str, Lap], count: int, least: float) -> Race:
    ours, *others = (laps[way] for way in WAYS)
    about = f"{case}, 377 migrations, in one process"
    return Race(about, count, (ours, *(replace(lap, least=least) for lap in others)))


if __name__ == "__main__":
    main()
