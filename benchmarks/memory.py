"""Memory of `migratealltenants`, in one process, from tenant to tenant: small ones that are migrated from zero.

Of the command's own process, after it looked at all of them, and nobody's output is kept. `--trace` names the lines
of code that hold more at the end than after the first tenants.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import measuring
import projects
from measuring import Row

FIRST = 10  # the tenant from which on it should be flat
LATER = 50  # when everything that is built once has been
DEPTH = 12  # frames of what is traced


def part(folder: str, env: dict[str, str], trace: bool) -> dict[str, Any]:
    """The process's memory after each tenant, in MB."""
    os.environ.update(env)
    sys.path.insert(0, folder)
    import django  # noqa: PLC0415 - with the settings that were given

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - after setup

    from opskit.tenants import signals  # noqa: PLC0415 - as above

    memory: list[float] = []
    traced: list[Any] = []

    def look(**_: Any) -> None:
        memory.append(_resident())
        if trace and len(memory) in (LATER, int(env["LAST"])):
            gc.collect()
            traced.append(tracemalloc.take_snapshot())

    signals.post_tenant_migrate.connect(look, weak=False)
    if trace:
        tracemalloc.start(DEPTH)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        call_command("migratealltenants")
    return {"memory": memory, "lines": _grown(*traced) if trace else []}


def _grown(before: Any, after: Any) -> list[str]:
    found = after.compare_to(before, "traceback")[:12]
    return [f"{each.size_diff} bytes in {each.count_diff}\n" + "\n".join(each.traceback.format()) for each in found]


def _resident() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found.group(1)) * 1024 / measuring.MB if found else 0.0


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--part", help="one command, for this script's own use")
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(**json.loads(given.part))))
        return
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder, measuring.server("postgres") as postgres:
        measuring.progress(f"{given.tenants} small tenants from zero")
        project = projects.new_big(postgres, Path(folder), "opskit", big=False)
        project.migrate_shared()
        ids = [f"m{number:04}" for number in range(given.tenants)]
        projects.make_schemas(project, ids)
        project.register(ids)
        env = {**project.env, "LAST": str(given.tenants)}
        found = measuring.in_a_process(__file__, folder=str(project.folder), env=env, trace=given.trace)
    print("\n\n".join(found["lines"]))
    memory = found["memory"]
    marks = sorted({FIRST, LATER, given.tenants // 2, given.tenants})
    each = (memory[-1] - memory[LATER - 1]) / (len(memory) - LATER) * 1000
    measuring.report(
        given,
        Row(
            f"`migratealltenants`, memory after tenant {', '.join(map(str, marks))}",
            ", ".join(f"{memory[mark - 1]:.1f}" for mark in marks) + " MB",
            "flat",
        ),
        Row(f"… growth a tenant from tenant {LATER} on", f"{each:.1f} kB"),
    )


if __name__ == "__main__":
    main()
