"""What a long line costs: one new migration over an sshd that is 50 ms away each way, against the same over loopback.

Whole commands, in turns. The difference, divided by tenants and by a round trip, is the round trips a tenant; those of
the connection, the listing and the questions are among them. A shell loop's are there for comparison.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import Any

import contenders
import distant
import measuring
import projects
from measuring import Row

KIND = projects.KINDS["omnitenant"]
LOOPED = 3  # tenants, in the shell loop


class Place:
    """A project with tenants to migrate, and an sshd."""

    def __init__(self, postgres: Any, sshd: Any, folder: Path, tenants: int) -> None:
        self._sshd = sshd
        self._folder = folder
        self._project, self.ids = KIND.make(postgres, folder, tenants, fresh=False)
        KIND.add(self._project)
        self._project.manage("showmigrations", PYTHONDONTWRITEBYTECODE="")  # compiles the project

    def opskit(self, sshd: Any, tenants: int) -> float:
        """The seconds of a whole run over the first so many tenants."""
        return self._timed(sshd, lambda them: them.opskit(f"--tenants={','.join(self.ids[:tenants])}"))

    def shell(self, sshd: Any) -> float:
        return self._timed(sshd, lambda them: them.shell_loop(self.ids[:LOOPED]))

    def _timed(self, sshd: Any, run: Any) -> float:
        project = projects.copied(self._project)
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "operator"
        them = contenders.Contenders(project, sshd, folder, KIND.framework, KIND.one)
        return measuring.timed(lambda: run(them))

    def away(self, line: distant.Line) -> Any:
        """The sshd as it is reached over a line."""
        known_hosts = self._folder / "known_hosts"
        moved = dataclasses.replace(self._sshd, port=line.port, known_hosts=known_hosts)
        known_hosts.write_text(moved.known_hosts_line())
        return moved


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--ms", type=float, default=50.0, help="each way")
    parser.add_argument("--times", type=int, default=3, help="runs of each, of which the median counts")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):
        measuring.progress(f"making {given.tenants} tenants")
        place = Place(postgres, sshd, Path(folder), given.tenants)
        trip = 2 * given.ms / 1000
        with distant.line(sshd.port, given.ms / 1000) as line:
            away = place.away(line)
            measuring.progress(f"one tenant and {given.tenants}, near and far, {given.times} times in turns")
            each = [(1, sshd), (1, away), (given.tenants, sshd), (given.tenants, away)]
            taken = [[place.opskit(where, tenants) for tenants, where in each] for _ in range(given.times)]
            near_one, far_one, near, far = (statistics.median(column) for column in zip(*taken, strict=True))
            shell = (place.shell(away) - place.shell(sshd)) / LOOPED / trip
            line.close()
        connections = (line.connections - LOOPED) / given.times / 2
    trips, once = (far - near) / trip, (far_one - near_one) / trip
    what = f"{given.ms:.0f} ms each way, {given.tenants} tenants"
    measuring.report(
        given,
        Row(
            f"{what}: round trips a tenant beyond loopback's time",
            f"{trips / given.tenants:.2f}",
            "at most 1.2",
            trips / given.tenants <= 1.2,
        ),
        Row("… of which each tenant's own", f"{(trips - once) / (given.tenants - 1):.2f}"),
        Row("… a whole run with one tenant", f"{once:.1f} round trips"),
        Row("… whole runs, near and far", f"{near:.1f} and {far:.1f} s"),
        Row("… the shell loop's round trips a tenant", f"{shell:.1f}"),
        Row("… connections of a run to its one host", f"{connections:g}", "1", connections == 1),
    )


if __name__ == "__main__":
    main()
