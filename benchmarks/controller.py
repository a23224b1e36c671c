"""The controller's own cost a tenant: a whole rollout whose fleet answers at once.

Everything of `migrate-all` after the connection is the real thing: survey, plan, drive, lines and marks,
judge, journal, fold, run.log, tenant files, plain lines, verification and summary. Only the fleet is
scripted, and stdout and stderr go nowhere. Each figure is of a fresh process.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measuring
from measuring import Row

from opskit import frameworks, journal, model, testing
from opskit.reporters import webhook
from opskit.tasks import flow, interrupts, project, wiring
from opskit.transport import lines

PENDING = tuple(f"{app}.{number:04}_change" for app in ("members", "invoices", "auth") for number in range(1, 4))


def printed(tenant: str) -> list[bytes]:
    """What migratetenant prints (django-omnitenant 1.0.2), 15 lines, each as it would arrive: unbuffered."""
    said = [
        f"Running migrations for tenant: {tenant.upper()}({tenant})",
        f"[SCHEMA BACKEND] Schema '{tenant}' ensured.",
        f"Cache with alias {tenant} added to settings.CACHES.",
        "Operations to perform:\n  Apply all migrations: auth, invoices, members\nRunning migrations:",
        *(f"  Applying {name}... OK" for name in PENDING),
        f"Migrations completed successfully for tenant '{tenant}'.",
    ]
    return [f"{line}\n".encode() for line in said]


class Fleet(testing.ScriptedFleet):
    """Answers the listing and both surveys; a migration prints its lines and ends well."""

    def __init__(self, ids: Sequence[str]) -> None:
        rows = [{"tenant_id": name, "name": name, "isolation_type": 0, "config": {}} for name in ids]
        surveys = itertools.chain([_survey(ids, PENDING)], itertools.repeat(_survey(ids, ())))
        super().__init__(
            {
                "showtenants": model.Reply(0, out=json.dumps(rows)),
                "status": lambda _: model.Reply(0, out=next(surveys)),
                "timeouts": model.Reply(0, out='{"v": 1, "differ": []}'),
            }
        )

    def run(
        self,
        command: model.Command,  # noqa: ARG002 - the real fleet's signature
        label: str,
        patterns: Sequence[re.Pattern[str]],
        hear: lines.Hear,
        *,
        leaves: Callable[[str], None] = lambda _: None,  # noqa: ARG002 - as above
        cold: bool = False,  # noqa: ARG002 - as above
    ) -> model.Reply:
        output = lines.Lines(patterns, hear)
        for piece in printed(label):
            output.feed(piece)
        output.end()
        return model.Reply(0, marks=output.marks, tail=output.tail, seconds=0.7)


def _survey(ids: Sequence[str], pending: Sequence[str]) -> str:
    latest = ["members.0001_initial", "invoices.0001_initial"]
    rows = [{"tenant_id": name, "applied": 20, "latest": latest, "pending": list(pending)} for name in ids]
    return json.dumps({"shared": {"pending": []}, "tenants": rows})


def part(tenants: int, sync: bool) -> dict[str, float]:
    """One rollout: seconds, those of the processor, and peak memory in MB."""
    with tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder, Path(os.devnull).open("w") as nowhere:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            began, worked = time.perf_counter(), time.process_time()
            code = _roll_out(Path(folder), [f"tenant{number:05}" for number in range(tenants)], sync=sync)
            seconds, processor = time.perf_counter() - began, time.process_time() - worked
        if code != 0:
            measuring.missing(f"the scripted rollout ended with exit {code}.")
        return {"seconds": seconds, "processor": processor, "peak": measuring.peak_mb()}


def _roll_out(root: Path, ids: Sequence[str], *, sync: bool) -> int:
    host = model.Host("app1", "app1.example.com")
    environment = model.Environment("prod", (host,), model.App("/srv/acme"), "omnitenant", root=str(root))
    clock = wiring.Clock()
    record = wiring.Record(root, journal.new_id(root, "prod", clock.now()), log_file=None, verbose=False)
    if not sync:
        record.journal.close()
        record.journal = journal.Journal(record.folder, sync=False)
    fleet: Any = Fleet(ids)
    fleet.open()
    asked = project.Project(environment, frameworks.get(environment), fleet)
    with contextlib.closing(record), interrupts.Interrupts(lambda _: None) as interrupted:
        rollout = flow.wired(asked, project.Options(), record, interrupted, clock, webhook.Webhook(""))
        return flow.go(rollout)


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true", help="name the costliest functions instead")
    parser.add_argument("--part", help="one rollout, for this script's own use")
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(**json.loads(given.part))))
        return
    if given.profile:
        profile(given.tenants)
        return
    many = given.tenants
    measuring.progress(f"rollouts of 10, 1000 and {many} scripted tenants")
    few = measuring.in_a_process(__file__, tenants=10, sync=False)
    some = measuring.in_a_process(__file__, tenants=1000, sync=False)
    fast = measuring.in_a_process(__file__, tenants=many, sync=False)
    synced = measuring.in_a_process(__file__, tenants=many, sync=True)
    measuring.report(
        given,
        Row(
            f"controller's cost a tenant, {many} tenants, without fsync",
            _each(fast, many),
            "at most 2 ms",
            fast["seconds"] / many <= 0.002,
        ),
        Row("… of which the processor, the rest is the disk's", _each(fast, many, "processor")),
        Row("… with fsync", _each(synced, many)),
        Row("… 1000 tenants, without fsync", _each(some, 1000), "at most 2 ms", some["seconds"] / 1000 <= 0.002),
        Row(
            f"controller's peak memory, 10, 1000 and {many} tenants",
            f"{few['peak']:.1f}, {some['peak']:.1f} and {fast['peak']:.1f} MB",
            "flat",
        ),
        Row("… a tenant", f"{(fast['peak'] - some['peak']) / (many - 1000) * 1000:.1f} kB"),
    )


def _each(figures: dict[str, float], tenants: int, figure: str = "seconds") -> str:
    return f"{figures[figure] / tenants * 1000:.2f} ms"


def profile(tenants: int) -> None:
    """Print the 30 functions with the most time of their own."""
    import cProfile  # noqa: PLC0415 - only here
    import pstats  # noqa: PLC0415 - as above

    profiler = cProfile.Profile()
    profiler.runcall(part, tenants=tenants, sync=False)
    pstats.Stats(profiler, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
