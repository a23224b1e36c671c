"""A deploy with nothing to do: `invoke migrate-all` on omnitenant schemas that are up to date, against the loop

    for t in …; do ssh host 'cd … && python manage.py migratetenant --tenant-id='$t; done

and the framework's own command for all tenants, over a real sshd on loopback, with a real PostgreSQL. All are whole
commands. The loop runs once, over some of the tenants where that is asked, and counts for all of them.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import contenders
import measuring
from measuring import Row


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=500)
    parser.add_argument("--looped", type=int, default=50, help="of them, in the loop, whose time is scaled to all")
    parser.add_argument("--times", type=int, default=5, help="runs of opskit, of which the median counts")
    given = parser.parse_args()
    omnitenant = measuring.of_the_tests("omnitenant")
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):
        measuring.progress(f"making {given.tenants} tenants")
        project = omnitenant.new_project(postgres, Path(folder))
        ids = project.create_tenants(schemas=given.tenants)
        them = contenders.Contenders(project, sshd, Path(folder, "operator"))
        report = them.opskit()  # and the first, which compiles the project, does not count
        if report["counts"]["current"] != given.tenants:
            measuring.missing(f"expected {given.tenants} current tenants, found {contenders.counts(report)}.")
        measuring.progress(f"opskit, {given.times} times")
        ours = statistics.median(measuring.timed(them.opskit) for _ in range(given.times))
        looped = ids[: given.looped]
        measuring.progress(f"the loop, once, over {len(looped)}")
        loop = measuring.timed(lambda: them.shell_loop(looped)) / len(looped) * given.tenants
        measuring.progress("the framework's own command, once")
        own = measuring.timed(them.own_command)
    measuring.report(
        [
            Row(
                f"nothing pending on {given.tenants} schemas: the shell loop / opskit",
                f"{loop / ours:.0f}",
                "at least 100",
            ),
            Row("… the framework's own `migratetenants` / opskit", f"{own / ours:.1f}", "at least 20"),
            Row("… opskit", f"{ours:.2f} s"),
            Row("… the shell loop", f"{loop:.0f} s, {len(looped)} of {given.tenants} measured"),
            Row("… the framework's own", f"{own:.1f} s"),
        ],
        markdown=given.markdown,
    )


if __name__ == "__main__":
    main()
