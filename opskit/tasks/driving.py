"""Drives a plan, with all that watches over it: the operator's words, hooks, the gate, and a look at the canary."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

from opskit import errors, model, redaction
from opskit.rollout import drive
from opskit.tasks import desk, gate, hooks, staff, verifying, worker


@dataclass(frozen=True)
class Rollout:
    """One run, wired."""

    staff: staff.Staff
    desk: desk.Desk
    around: hooks.Hooks
    listed: set[str] = field(default_factory=set)  # the tenants there were when the run began

    @property
    def first(self) -> worker.Worker:
        """Who speaks for the run."""
        return self.staff.first

    def tell(self, event: model.Event) -> None:
        """Write an event down, and do what it is a reason for. Raises JournalError."""
        self.first.interrupted.idle = isinstance(event, model.Waiting)
        self.first.record.emit(event)
        self.around.heard(event)

    def drive(self, made: model.Plan) -> str:
        """Have a plan's commands run. Returns why that ended; raises what ends a run early."""
        self.around.begin(made)
        self.tell(model.PlanMade(self.first.clock.now(), replace(made, gate=redaction.redact(made.gate))))
        self.staff.following.forget()  # a run without a plan leaves nothing behind: what it heard is told again
        interrupted = self.first.interrupted
        interrupted.patient = interrupted.began = True
        several = self.staff.crew_for(made, self._begins)
        try:
            watched = drive.Watch(
                host=lambda: several.host if several else self.first.asked.fleet.host,
                word=self.desk.word,
                pause=self.desk.pause,
                gate=functools.partial(self._ask_gate, made.gate),
                look=self._look,
                before=self.first.record.run.outcomes,
            )
            return drive.drive(made, several or self._run, self.tell, self.first.clock, watched)
        finally:
            interrupted.patient = False

    def _run(self, tenant: model.Tenant, attempt: int) -> model.Outcome:
        held = self._begins(tenant, attempt)
        return self.first.work(tenant, attempt) if held is None else held

    def _begins(self, tenant: model.Tenant, attempt: int) -> model.Outcome | None:
        """What comes before a tenant's command; what became of it where it gets none."""
        try:
            self.first.commands(tenant)
        except errors.UsageError as error:
            host = self.first.asked.fleet.host
            return model.Outcome(tenant.id, model.Status.FAILED, error=f"{error} (no command was sent)", host=host)
        return self.around.tenant_begins(tenant, attempt)

    def _ask_gate(self, command: str, tenant: model.Tenant) -> model.GateAnswered:
        self.first.interrupted.idle = False
        environment = self.first.asked.environment
        about = {"OPSKIT_RUN": self.first.record.journal.run_id, "OPSKIT_ENV": environment.name}
        return gate.ask(command, tenant, about, environment.root)

    def _look(self, tenants: tuple[model.Tenant, ...]) -> list[model.Outcome]:
        """The outcomes of a canary that stand, now that its databases were asked; none where they can't be."""
        self.first.interrupted.idle = False
        found = verifying.look(self.first, tenants)
        for stands in found:
            self.tell(model.TenantVerified(self.first.clock.now(), stands))
        return found
