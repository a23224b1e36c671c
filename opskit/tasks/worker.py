"""A worker: sends a tenant's commands over a line of its own, and says what became of them."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field, replace

from opskit import errors, frameworks, model, redaction
from opskit.frameworks import django
from opskit.reporters.text import named
from opskit.rollout import drive, resume, settle
from opskit.tasks import attending, interrupts, project, settling, wiring
from opskit.tasks.task import as_called
from opskit.transport import fleet


@dataclass(frozen=True, eq=False)
class Worker:
    """One of a run's workers: line and patience are its own, all else is the run's."""

    asked: project.Project
    attends: attending.Attending
    options: project.Options
    record: wiring.Record
    interrupted: interrupts.Interrupts
    clock: drive.Clock
    ways: dict[str, model.WayBack] = field(default_factory=dict)  # of the tenants that are taken back
    places: dict[str, fleet.Fleet] = field(default_factory=dict)  # {tenant_id: where its command was sent last}

    def work(self, tenant: model.Tenant, attempt: int) -> model.Outcome:
        """Have a tenant's commands run."""
        first, *others = self.commands(tenant)
        self.attend(tenant, self.record.run.plans[-1].expected.get(tenant.id))
        outcome = self._send(tenant, first)
        for command in others:
            if outcome.status is model.Status.MIGRATED:
                before = outcome.seconds
                outcome = self._send(tenant, command)
                outcome = replace(outcome, seconds=before + outcome.seconds)
        self.interrupted.at_work.discard(tenant.id)
        return replace(outcome, attempt=attempt)

    def commands(self, tenant: model.Tenant) -> list[model.Command]:
        """What a tenant is sent: one command, or one for each app that is taken back. Raises UsageError."""
        if tenant != model.SHARED:
            own = (self.options.app_label, self.options.migration_name)
            targets = self.ways[tenant.id].steps if tenant.id in self.ways else (own,)
            return [self.asked.framework.migrate(tenant, frameworks.Target(*each)) for each in targets]
        if self.asked.framework.shared is None:
            raise errors.UsageError("this framework has no command for the shared database")
        return [self.asked.framework.shared]

    def attend(self, tenant: model.Tenant, usual: float | None) -> None:
        """A tenant is at work here from now on; it usually takes so many seconds."""
        self.places[tenant.id] = self.asked.fleet
        self.attends.begin(tenant.id, usual)
        self.interrupted.at_work.add(tenant.id)

    def _send(self, tenant: model.Tenant, command: model.Command, *, cold: bool = False) -> model.Outcome:
        """The outcome of a command; of a fork that hung before it reached a database, that of the same one run cold."""
        hosts = self.asked.fleet
        reply = hosts.run(
            replace(command, timeout=self.asked.environment.timeout),
            tenant.id,
            self.asked.framework.marks,
            functools.partial(self.hear, tenant.id),
            leaves=functools.partial(self._leaves, tenant.id),
            cold=cold,
        )
        outcome = self.outcome(tenant, reply)
        if reply.stuck and outcome.status is model.Status.FAILED:
            self.notice(f"`{named(tenant.id)}`: its fork hung before it reached a database. it is run once more, cold")
            return self._send(tenant, command, cold=True)
        return outcome

    def _leaves(self, tenant: str, host: str) -> None:
        """Write down where a command goes: who resumes asks that host how it ended."""
        begun = self.record.run.at_work.get(tenant)
        if begun and begun.host != host:
            self.record.emit(model.TenantMoved(self.clock.now(), tenant, begun.attempt, host))

    # -- what became of it

    def outcome(self, tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
        """What a reply says; where the command did not come to its end, the database says it."""
        outcome = self.judge(tenant, _named(reply, self.asked.fleet.host, tenant, back=tenant.id in self.ways))
        return self._settled(outcome) if settle.doubtful(reply) else outcome

    def judge(self, tenant: model.Tenant, reply: model.Reply) -> model.Outcome:
        """What a reply says by itself."""
        judge = django.judge if tenant.id == model.SHARED.id else self.asked.framework.judge
        return replace(judge(tenant, reply), host=self.asked.fleet.host)

    def _settled(self, outcome: model.Outcome) -> model.Outcome:
        """The outcome of a command that was killed, ended or lost, as soon as the database is done with it."""
        narrow = bool(self.options.app_label or self.options.undo)
        settler = settling.Settling(self.asked, self.clock, self.notice, narrow=narrow)

        def before(survey: model.Survey) -> tuple[str, ...] | None:
            return resume.before(self.record.run, survey.code).get(outcome.tenant)

        return settler.settle(outcome, before, self.asked.environment.settle)

    # -- said

    def hear(self, tenant: str, text: str, partial: str) -> None:
        """What a tenant's command prints."""
        self.attends.heard()
        self.record.emit(model.Output(tenant, text, partial))

    def notice(self, text: str) -> None:
        """Tell the operator. Raises JournalError."""
        self.record.emit(model.Notice(self.clock.now(), redaction.hide(as_called(text))))

    def late_notice(self, text: str) -> None:
        """Tell the operator, as far as that can be written down."""
        with contextlib.suppress(errors.JournalError):
            self.notice(text)


def _named(reply: model.Reply, host: str, tenant: model.Tenant, *, back: bool) -> model.Reply:
    """A lost connection, as the operator needs to read it."""
    if reply.exit is not None or reply.over:
        return reply
    doing = f"taking back `{tenant.id}`" if back else f"migrating `{tenant.id}`"
    return replace(reply, error=f"lost {host} while {doing} ({reply.error}): it may still be running there")
