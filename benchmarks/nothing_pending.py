"""A deploy with nothing to do: `invoke migrate-all` on omnitenant schemas that are up to date, against the loop

    for t in …; do ssh host 'cd … && python manage.py migratetenant --tenant-id='$t; done

over a real sshd on loopback, with a real PostgreSQL. Both are whole commands; the loop runs once.
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
    parser.add_argument("--tenants", type=int, default=50)
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
        both = contenders.Contenders(project, sshd, Path(folder, "operator"))
        report = both.opskit()  # and the first, which compiles the project, does not count
        if report["counts"]["current"] != given.tenants:
            measuring.missing(f"expected {given.tenants} current tenants, found {contenders.counts(report)}.")
        measuring.progress(f"opskit, {given.times} times")
        ours = statistics.median(measuring.timed(both.opskit) for _ in range(given.times))
        measuring.progress("the loop, once")
        loop = measuring.timed(lambda: both.shell_loop(ids))
    measuring.report(
        [
            Row(
                f"nothing pending on {given.tenants} schemas: the ssh loop / opskit",
                f"{loop / ours:.1f} (1/{loop / ours:.0f})",
                "at least 12 (1/12)",
            ),
            Row("… opskit", f"{ours:.2f} s"),
            Row("… the ssh loop", f"{loop:.1f} s"),
        ],
        markdown=given.markdown,
    )


if __name__ == "__main__":
    main()
