"""Opskits with one thing wrong, and for each the scenario that must show it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import opskit
from faults import machine, scenario, world

PACKAGE = Path(opskit.__file__).parent
FOUR = world.TENANTS[4:]  # of twenty, four are left to migrate
FIRST, SECOND = world.TENANTS[:2]


@dataclass(frozen=True)
class Mutant:
    """A text of one file of the package, which must be there exactly once, and what stands there instead."""

    file: str
    text: str
    instead: str
    shown_by: scenario.Scenario
    as_what: str  # how the misreport begins

    def write(self, folder: Path) -> Path:
        """A copy of the package with this fault, in a folder for PYTHONPATH."""
        shutil.copytree(PACKAGE, folder / "opskit", ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "opskit" / self.file
        source = file.read_text()
        assert source.count(self.text) == 1, f"{self.file} has {source.count(self.text)} times: {self.text}"
        file.write_text(source.replace(self.text, self.instead))
        return folder


def _of(*faults: scenario.Planned, **more) -> scenario.Scenario:
    return scenario.Scenario(0, faults, home=FOUR, reconnect="1s", settle="1s", **more)


# What is held is let go by the machine, so that no scenario depends on how fast its machine is.
QUIET = _of()
BROKEN_ONCE = _of(orders={"broken": [FIRST]}, flags=("--retries=1",))
STOPPED = _of(orders={"broken": [FIRST]}, flags=("--fail-fast",))
LIAR = _of(orders={"liars": [FIRST]})
OPSKIT_KILLED = _of(scenario.Planned("opskit killed"), orders={"slow": {FIRST: 1.0}})
JOURNAL_TORN = _of(scenario.Planned("journal torn"), orders={"slow": {FIRST: 1.0}})
FOLLOWING = (
    scenario.Planned("opskit killed"),
    scenario.Planned(scenario.LET_GO, after=0, sitting=1, lasts=machine.LIMIT),
)
FOLLOWED = _of(*FOLLOWING, orders={"held": [FIRST]}, held=1)
FOLLOWED_BROKEN = _of(*FOLLOWING, orders={"held": [FIRST], "broken": [FIRST]}, held=1)
SECOND_OPSKIT = _of(
    scenario.Planned("second opskit, and let go", lasts=machine.LIMIT), orders={"held": [FIRST]}, held=1
)
AGENT_KILLED = _of(scenario.Planned("agent and opskit killed"), orders={"held": [FIRST]}, held=1)
HOST_AWAY = _of(
    scenario.Planned("host away until let go", lasts=machine.LIMIT), orders={"held": [FIRST]}, held=1, hosts=2
)
ALL_KILLED = _of(
    scenario.Planned("everything killed in a statement", lasts=machine.LIMIT),
    orders={"held_inside": [FIRST]},
    held=1,
    env=scenario.UNWATCHFUL,
)

MUTANTS = {
    "a start is told when it is over": Mutant(
        "rollout/drive.py",
        "            self.emit(model.TenantStarted(self.clock.now(), name, attempt, self.watch.host(), pending))\n"
        "            self.crew.start(following.tenant, attempt)\n",
        "            late = model.TenantStarted(self.clock.now(), name, attempt, self.watch.host(), pending)\n"
        "            self.crew.start(following.tenant, attempt)\n"
        "            over = type(self.crew).ended(self.crew, None)\n"
        "            self.crew.ended = lambda _: over\n"
        "            self.emit(late)\n",
        QUIET,
        "not synced",
    ),
    "the journal is not synced": Mutant("journal.py", "if self._sync:", "if not self._sync:", QUIET, "not synced"),
    "a torn line is taken for an event": Mutant(
        "journal.py",
        "enumerate(lines[:-1], 1)",
        "enumerate(filter(None, lines), 1)",
        JOURNAL_TORN,
        "a record that can't",
    ),
    "the next line is written behind a torn one": Mutant(
        "journal.py", "            os.ftruncate(self._fd, whole)\n", "", JOURNAL_TORN, "a journal that can't"
    ),
    "the lock is let go early, and no record is asked": Mutant(
        "remote/agent/state.py",
        "        self._refuse_orphan()\n        if self.worker",
        "        fcntl.flock(self.held, fcntl.LOCK_UN)\n        if self.worker",
        SECOND_OPSKIT,
        "started twice",
    ),
    "the host's record is not asked": Mutant(
        "remote/agent/state.py",
        "            if processes.alive(record):\n",
        "            if False:\n",
        AGENT_KILLED,
        "started twice",
    ),
    "what was left at work is not followed": Mutant(
        "tasks/following.py", "for left in hosts.left:", "for left in ():", FOLLOWED, "not followed"
    ),
    "how a followed command ended is not asked": Mutant(
        "tasks/following.py",
        "        outcome = here.outcome(tenant, reply)\n",
        "        outcome = model.Outcome(tenant.id, model.Status.MIGRATED)\n",
        FOLLOWED_BROKEN,
        "`migrated` that isn't",
    ),
    "the exit code is trusted": Mutant(
        "frameworks/omnitenant.py",
        "    said = [mark for mark in reply.marks if",
        "    return django.outcome(tenant, reply, model.Status.MIGRATED)\n    said = [mark for mark in reply.marks if",
        BROKEN_ONCE,
        "`migrated` that isn't",
    ),
    "nobody looks whether it is done": Mutant(
        "tasks/verifying.py", "    if first.asked.framework.survey is None:\n", "    if True:\n", LIAR, "never tried"
    ),
    "what may be at work elsewhere is started": Mutant(
        "tasks/resuming.py", "    if why:\n", "    if False:\n", HOST_AWAY, "started twice"
    ),
    "PostgreSQL's connections are not looked at": Mutant(
        "tasks/resuming.py",
        "busy = survey is not None and shown(tenant.id) in survey.busy",
        "busy = False",
        ALL_KILLED,
        "started twice",
    ),
    "PostgreSQL's connections have no name": Mutant(
        "transport/fleet.py",
        '"env": {"PGAPPNAME": self.application_name(label)}',
        '"env": {}',
        ALL_KILLED,
        "started twice",
    ),
    "what will not help is tried again": Mutant(
        "rollout/step.py",
        "retry = outcome.retryable and done.attempt",
        "retry = done.attempt",
        BROKEN_ONCE,
        "started again",
    ),
    "what was pending is forgotten": Mutant(
        "rollout/resume.py",
        "    for plan in run.plans:\n        for name, pending",
        "    for plan in ():\n        for name, pending",
        OPSKIT_KILLED,
        "migrated, and nobody says",
    ),
    "who was not reached is not in the summary": Mutant(
        "rollout/run.py", "found.setdefault(tenant.id, ", "found.get(tenant.id, ", STOPPED, "lost from the summary"
    ),
}
