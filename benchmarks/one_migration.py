"""One new migration on every tenant: opskit warm and cold, loops over ssh, and the framework's own command.

Whole commands over a real sshd on loopback with a real PostgreSQL, one after the other in one run. Each has a database
of its own with the same omnitenant schemas. opskit lists, asks before and after, and keeps a record; the loops and
the framework's own `migratetenants` do not. The floor is the statements alone, in one psql.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contenders
import measuring
from measuring import Row

_FLOOR = """\
BEGIN;
ALTER TABLE "{schema}".members_member ADD COLUMN phone varchar(50) DEFAULT '' NOT NULL;
ALTER TABLE "{schema}".members_member ALTER COLUMN phone DROP DEFAULT;
INSERT INTO "{schema}".django_migrations (app, name, applied) VALUES ('members', '0004_member_phone', now());
COMMIT;
"""

WAYS: dict[str, tuple[str, Callable[[contenders.Contenders, list[str]], Any]]] = {
    "warm": ("opskit", lambda them, _: them.opskit()),
    "cold": ("opskit, `--runner=cold`", lambda them, _: them.opskit("--runner=cold")),
    "shell": ("the shell loop over ssh", lambda them, ids: them.shell_loop(ids)),
    "ansible": ("an Ansible playbook, pipelining on", lambda them, ids: them.ansible_loop(ids)),
    "fabric": ("a Fabric loop", lambda them, ids: them.fabric_loop(ids)),
    "own": ("the framework's own `migratetenants`", lambda them, _: them.own_command()),
    "floor": ("the statements alone, in one psql", lambda them, ids: them.floor(_statements(ids))),
}

TARGETS = {"shell": 10.0, "ansible": 10.0, "fabric": 10.0, "own": 1 / 1.5}
"""{way: how many times longer than opskit it should take}."""


def _statements(ids: list[str]) -> str:
    return "".join(_FLOOR.format(schema=schema) for schema in ids)


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--ways", default=",".join(WAYS), help="which, with commas between them")
    given = parser.parse_args()
    omnitenant = measuring.of_the_tests("omnitenant")
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):

        def measured(name: str) -> float:
            """The seconds that a way takes to apply one migration everywhere, on compiled code."""
            measuring.progress(f"{WAYS[name][0]}: {given.tenants} tenants")
            project = omnitenant.new_project(postgres, Path(folder, name))
            ids = project.create_tenants(schemas=given.tenants)
            them = contenders.Contenders(project, sshd, Path(folder, name, "operator"))
            added = project.add_migration()
            project.manage("showmigrations", PYTHONDONTWRITEBYTECODE="")  # compiles the project
            seconds = measuring.timed(lambda: WAYS[name][1](them, ids))
            behind = [tenant for tenant in ids if added not in project.history(tenant)]
            if behind:
                measuring.missing(f"{name} left {len(behind)} tenants without {added}.")
            return seconds

        taken = {name: measured(name) for name in given.ways.split(",")}
    measuring.report(rows(taken, given.tenants), markdown=given.markdown)


def rows(taken: dict[str, float], tenants: int) -> list[Row]:
    """The ratios to the first way, then each way's own figures."""
    first, ours = next(iter(taken.items()))
    found = [
        Row(
            f"one migration on {tenants} schemas: {WAYS[name][0]} / {WAYS[first][0]}",
            f"{seconds / ours:.2f}",
            _target(name),
        )
        for name, seconds in taken.items()
        if name != first
    ]
    for name, seconds in taken.items():
        found.append(Row(f"… {WAYS[name][0]}", f"{seconds:.2f} s, {seconds / tenants * 1000:.0f} ms a tenant"))
    return found


def _target(name: str) -> str:
    return f"at least {TARGETS[name]:.2f}" if name in TARGETS else ""


if __name__ == "__main__":
    main()
