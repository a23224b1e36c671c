"""The workers of a run: one from its beginning, the others hired as soon as it is known how many are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from opskit import errors, model
from opskit.reporters.text import some
from opskit.rollout import resume
from opskit.tasks import attending, crew, following, timeouts, watchfulness, worker


@dataclass(frozen=True)
class Staff:
    """`first` speaks for the run, too."""

    first: worker.Worker
    others: list[worker.Worker] = field(default_factory=list)
    following: following.Following = field(default_factory=following.Following)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where they are, each host once."""
        return tuple(dict.fromkeys(each.asked.fleet.host for each in (self.first, *self.others)))

    def hire(self) -> None:
        """One more worker, with a line to the next of the hosts. Raises what opening it raises, and LockHeld."""
        hosts = self.first.asked.fleet.colleague(len(self.others) + 1)
        attends = attending.Attending(self.first.interrupted, self.first.clock, hosts.end, self.first.notice)
        hosts.watch = attends.look
        hired = replace(self.first, asked=replace(self.first.asked, fleet=hosts), attends=attends)
        self.others.append(hired)
        hosts.open()
        self.following.follow(hired)

    def fill(self, made: model.Plan) -> None:
        """Have as many workers as can be at work at once. Raises CannotStart where a host has other code."""
        wanted = min(made.forks, max((len(batch.tenants) for batch in made.batches), default=0))
        while len(self.others) + 1 < wanted:
            self.hire()
        first = self.first.asked
        seen = {first.fleet.host}
        for each in self.others:
            each.asked.framework = first.framework  # which may not have been known when this one was hired
            if each.asked.fleet.host not in seen:
                seen.add(each.asked.fleet.host)
                _refuse_other_code(each, made, first.fleet.host)
                watchfulness.switch_on(each.asked)
                timeouts.refuse_for(each.asked, made)

    def crew_for(
        self, made: model.Plan, begins: Callable[[model.Tenant, int], model.Outcome | None]
    ) -> crew.Crew | None:
        """Those who run the plan's commands; None where they are run one after the other, by the first."""
        return None if made.forks == 1 else crew.Crew((self.first, *self.others), begins)

    def dismiss(self) -> None:
        """Hang up for the other workers."""
        for each in self.others:
            each.asked.fleet.close()


def _refuse_other_code(hired: worker.Worker, made: model.Plan, first: str) -> None:
    """Raises CannotStart where this host's migrations are not those of the plan, which the first host gave."""
    there = hired.asked.survey()
    if there is None:
        return
    found = [*resume.changes([made], there.code), *resume.added([made], there.tenants, made.pending)]
    if found:
        raise errors.CannotStart(
            f"{hired.asked.fleet.host} has other migrations than {first}: {some(found)}",
            hint="deploy the same code to both, or give `--forks=1`.",
        )
