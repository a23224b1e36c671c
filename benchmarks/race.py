"""All tenants of a project, over a real sshd on loopback with a real PostgreSQL: opskit, loops, the framework itself.

    race.py one omnitenant --tenants=50           # one new migration on each
    race.py nothing omnitenant --tenants=500      # each is up to date
    race.py fresh django-tenants --tenants=50     # each has nothing yet

Whole commands, one after the other in one run; where something changes, each on a copy of the same database. opskit
lists, asks before and after, and keeps a record; the others do not. The shell loop does nothing once: with `--looped`
it is measured over the first so many, and multiplied.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import contenders
import measuring
import projects
from measuring import Lap, Race, Row

CASES = {"one": "one new migration", "nothing": "nothing pending", "fresh": "fresh tenants"}
WARM = "opskit"
LOOPS = ("the shell loop over ssh", "an Ansible playbook, pipelining on", "a Fabric loop")
LEAST = {
    ("one", "omnitenant"): {**dict.fromkeys(LOOPS, 10.0), "the framework's own `migratetenants`": 1 / 1.5},
    ("one", "django-tenants"): {**dict.fromkeys(LOOPS, 10.0), "the framework's own `migrate_schemas`": 1 / 1.5},
    ("one", "big-django-tenants"): {LOOPS[0]: 10.0, "the framework's own `migrate_schemas`": 1.0},
    ("one", "big-opskit"): {LOOPS[0]: 10.0, "django-tenants' own `migrate_schemas`": 1 / 0.7},
    ("nothing", "omnitenant"): {LOOPS[0]: 100.0, "the framework's own `migratetenants`": 20.0},
    ("nothing", "django-tenants"): {LOOPS[0]: 100.0, "the framework's own `migrate_schemas`": 20.0},
}
"""{case and project: {contender: what it takes at least, in times of opskit}}."""

FLOOR = """\
BEGIN;
ALTER TABLE "{schema}".members_member ADD COLUMN phone varchar(50) DEFAULT '' NOT NULL;
ALTER TABLE "{schema}".members_member ALTER COLUMN phone DROP DEFAULT;
INSERT INTO "{schema}".django_migrations (app, name, applied) VALUES ('members', '0004_member_phone', now());
COMMIT;
"""


@dataclass(frozen=True)
class Way:
    contender: str
    run: Callable[[contenders.Contenders, list[str]], Any]
    loops: bool = False  # a process a tenant, and nothing that is done once
    framework: str = ""  # whose settings it needs, where those are not the project's


def ways(case: str, name: str) -> dict[str, Way]:
    """{a word for `--ways`: how it is done}, opskit first."""
    found = {
        "warm": Way(WARM, lambda them, _: them.opskit()),
        "cold": Way("opskit, `--runner=cold`", lambda them, _: them.opskit("--runner=cold")),
        "shell": Way(LOOPS[0], lambda them, ids: them.shell_loop(ids), loops=True),
        "ansible": Way(LOOPS[1], lambda them, ids: them.ansible_loop(ids)),
        "fabric": Way(LOOPS[2], lambda them, ids: them.fabric_loop(ids)),
    }
    for number, (contender, (framework, command)) in enumerate(projects.KINDS[name].every.items(), 1):
        found[f"own{number}"] = Way(contender, _on_the_host(command), framework=framework)
    if (case, name) == ("one", "omnitenant"):
        found["floor"] = Way("the statements alone, in one psql", lambda them, ids: them.floor(_statements(ids)))
    return found


def _on_the_host(command: str) -> Callable[[contenders.Contenders, list[str]], Any]:
    return lambda them, _: them.on_the_host(command)


def _statements(ids: list[str]) -> str:
    return "".join(FLOOR.format(schema=schema) for schema in ids)


class Course:
    """A project whose tenants wait to be migrated, and the lap of each contender on a copy of it."""

    def __init__(self, given: Any, postgres: Any, sshd: Any, folder: Path) -> None:
        self._kind = projects.KINDS[given.project]
        self._changes = given.case != "nothing"
        self.inside: list[tuple[float, float]] = []  # of each run of opskit: seconds in the commands, and around them
        self._sshd = sshd
        self._folder = folder
        self._project, self._ids = self._kind.make(postgres, folder, given.tenants, fresh=given.case == "fresh")
        self._added = self._kind.add(self._project) if given.case == "one" else None
        self._project.manage("showmigrations", PYTHONDONTWRITEBYTECODE="")  # compiles the project

    def lap(self, way: Way, looped: int, times: int) -> Lap:
        """Run it over all tenants, or the first so many; the median of several times."""
        ids = self._ids[:looped] if way.loops else self._ids
        measuring.progress(f"{way.contender}: {len(ids)} of {len(self._ids)} tenants")
        seconds = statistics.median(self._once(way, ids) for _ in range(times))
        return Lap(way.contender, seconds / len(ids) * len(self._ids), len(ids))

    def _once(self, way: Way, ids: list[str]) -> float:
        project = projects.seen_by(way.framework or self._kind.framework, self._project)
        project = projects.copied(project) if self._changes else project
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        them = contenders.Contenders(project, self._sshd, folder / "operator", self._kind.framework, self._kind.one)
        began = time.perf_counter()
        report = way.run(them, ids)
        seconds = time.perf_counter() - began
        if report and way.contender == WARM:
            commands = sum(row["seconds"] for row in report["outcomes"])  # as the host timed them
            self.inside.append((commands, seconds - commands))
        behind = [tenant for tenant, history in projects.histories(project, ids) if not self._is_home(history)]
        if behind:
            measuring.missing(f"{way.contender} left {len(behind)} tenants behind, {behind[0]} the first.")
        return seconds

    def _is_home(self, history: list[str]) -> bool:
        return self._added in history if self._added else bool(history)


def main() -> None:
    parser = measuring.flags(__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("project", choices=projects.KINDS)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--looped", type=int, help="of them, in the shell loop, whose time is multiplied")
    parser.add_argument("--times", type=int, default=1, help="runs of opskit, of which the median counts")
    parser.add_argument("--ways", help="which: warm,cold,shell,ansible,fabric,own1,own2,floor")
    given = parser.parse_args()
    there = ways(given.case, given.project)
    chosen = given.ways.split(",") if given.ways else list(there)
    with (
        tempfile.TemporaryDirectory(prefix="opskit-bench-") as folder,
        measuring.server("postgres") as postgres,
        measuring.server("sshd") as sshd,
    ):
        about = f"{CASES[given.case]}, {projects.KINDS[given.project].about}"
        measuring.progress(f"{about}: making {given.tenants} tenants")
        course = Course(given, postgres, sshd, Path(folder))
        looped = given.looped or given.tenants
        laps = [course.lap(there[each], looped, given.times if each == "warm" else 1) for each in chosen]
    least = LEAST.get((given.case, given.project), {})
    race = Race(about, given.tenants, tuple(replace(lap, least=least.get(lap.contender)) for lap in laps))
    measuring.report(given, race, *_inside(race, course.inside))


def _inside(race: Race, runs: list[tuple[float, float]]) -> list[Row]:
    """Where opskit's time goes: in the tenants' commands, or around them; the medians of its runs."""
    if not any(commands for commands, _ in runs) or race.laps[0].contender != WARM:
        return []
    commands, around = (measuring.ms(statistics.median(each) / race.tenants) for each in zip(*runs, strict=True))
    what = f"{race.case}, {race.tenants} tenants: in the commands, and around them"
    return [Row(what, f"{commands} and {around} a tenant")]


if __name__ == "__main__":
    main()
