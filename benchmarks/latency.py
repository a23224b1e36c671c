"""What a long line costs: one new migration over an sshd that is 50 ms away each way, against the same over loopback.

Whole commands, in turns. The difference, divided by tenants and by a round trip, is the round trips a tenant; those of
the connection, the listing and the questions are among them. On the line it is also counted how often the controller
speaks after it was answered (TCP's handshake has no words, and every beat is one more). A shell loop's round trips are
there for comparison.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contenders
import distant
import measuring
import projects
from measuring import Row

KIND = projects.KINDS["omnitenant"]
LOOPED = 3  # tenants, in the shell loop


@dataclass(frozen=True)
class Run:
    seconds: float
    turns: int = 0
    connections: int = 0


class Place:
    """A project with tenants to migrate, and an sshd."""

    def __init__(self, postgres: Any, sshd: Any, folder: Path, tenants: int) -> None:
        self._sshd = sshd
        self._folder = folder
        self._project, self._ids = KIND.make(postgres, folder, tenants, fresh=False)
        KIND.add(self._project)
        self._project.manage("showmigrations", PYTHONDONTWRITEBYTECODE="")  # compiles the project

    def runs(self, tenants: int, seconds: float) -> dict[str, Run]:
        """Over all tenants and over one, near and over a line that takes so many seconds each way."""
        return {
            "near": self._near(tenants),
            "far": self._far(tenants, seconds),
            "far one": self._far(1, seconds),
        }

    def shell(self, seconds: float) -> float:
        """What the shell loop takes longer, in seconds a tenant."""
        near = self._seconds(self._sshd, lambda them: them.shell_loop(self._ids[:LOOPED]))
        with distant.line(self._sshd.port, seconds) as line:
            far = self._seconds(self._away(line), lambda them: them.shell_loop(self._ids[:LOOPED]))
        return (far - near) / LOOPED

    def _near(self, tenants: int) -> Run:
        return Run(self._opskit(self._sshd, tenants))

    def _far(self, tenants: int, seconds: float) -> Run:
        with distant.line(self._sshd.port, seconds) as line:
            taken = self._opskit(self._away(line), tenants)
            line.close()
        return Run(taken, line.turns, line.connections)

    def _opskit(self, sshd: Any, tenants: int) -> float:
        return self._seconds(sshd, lambda them: them.opskit(f"--tenants={','.join(self._ids[:tenants])}"))

    def _seconds(self, sshd: Any, run: Callable[[contenders.Contenders], Any]) -> float:
        project = projects.copied(self._project)
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "operator"
        them = contenders.Contenders(project, sshd, folder, KIND.framework, KIND.one)
        return measuring.timed(lambda: run(them))

    def _away(self, line: distant.Line) -> Any:
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
        measuring.progress(f"one tenant and {given.tenants}, near and far, {given.times} times in turns")
        runs = [place.runs(given.tenants, given.ms / 1000) for _ in range(given.times)]
        loop = place.shell(given.ms / 1000)
    measuring.report(given, *rows(given, runs, loop))


def rows(given: Any, runs: list[dict[str, Run]], loop: float) -> list[Row]:
    def middle(of: Any) -> float:
        return statistics.median(of(run) for run in runs)

    count, trip = given.tenants, 2 * given.ms / 1000
    trips = middle(lambda run: run["far"].seconds - run["near"].seconds) / trip / count
    once = middle(lambda run: run["far one"].turns)
    own = (middle(lambda run: run["far"].turns) - once) / (count - 1)
    connections = middle(lambda run: run["far"].connections)
    what = f"{given.ms:.0f} ms each way, {count} tenants"
    return [
        Row(f"{what}: round trips a tenant beyond loopback's time", f"{trips:.2f}", "at most 1.2", trips <= 1.2),
        Row("… whole runs", _spans(runs, "near", "far")),
        Row("… counted on the line: a tenant's own, and a whole run with one", f"{own:.2f}, {once:.0f}"),
        Row("… the shell loop's round trips a tenant", f"{loop / trip:.1f}"),
        Row("… connections of a run to its one host", f"{connections:g}", "1", connections == 1),
    ]


def _spans(runs: list[dict[str, Run]], *names: str) -> str:
    return ", ".join(f"{name} {statistics.median(run[name].seconds for run in runs):.1f} s" for name in names)


if __name__ == "__main__":
    main()
