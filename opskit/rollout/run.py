"""A run is a fold over its events: its summary, history and exit code are read off it."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from opskit import model
from opskit.rollout import step

_CURRENT = model.Status.CURRENT
_BAD = (model.Status.FAILED, model.Status.SKIPPED)


@dataclass
class Run:
    """What is known of a run so far. Mutable on purpose: it is the one accumulator of the fold."""

    started: model.RunStarted | None = None
    plans: list[model.Plan] = field(default_factory=list)
    outcomes: dict[str, model.Outcome] = field(default_factory=dict)  # in the order they came to be
    at_work: dict[str, model.TenantStarted] = field(default_factory=dict)
    ahead: set[str] = field(default_factory=set)  # planned tenants whose command has not ended
    last_end: datetime | None = None  # of a command of this part of the run
    notices: list[str] = field(default_factory=list)
    finished: model.RunFinished | None = None
    override: str = ""  # why the environments that must come first were not asked
    began_at: datetime | None = None  # its newest part
    heard_at: datetime | None = None  # its newest event
    before: float = 0.0  # seconds of its earlier parts

    def apply(self, event: model.Event) -> None:
        self._look_at_the_clock(event)
        match event:
            case model.RunStarted():
                self.started, self.override = event, event.override
            case model.RunResumed():
                self._resume()
                self.override = event.override or self.override
            case model.PlanMade(_, plan):
                self._take_plan(plan)
            case model.TenantStarted() | model.TenantMoved() | model.TenantFollowed():
                self._begin(event)
            case model.TenantFinished(at, outcome):
                self.last_end = at
                self._take_outcome(outcome)
            case model.TenantVerified(_, outcome):
                self._take_outcome(outcome)
            case model.Notice(_, text):
                self.notices.append(text)
            case model.RunFinished():
                self.finished = event

    def _begin(self, event: model.TenantStarted | model.TenantMoved | model.TenantFollowed) -> None:
        match event:
            case model.TenantStarted():
                begun = event
            case model.TenantFollowed(at, tenant, attempt, host):
                begun = model.TenantStarted(at, tenant, attempt, host, None)
            case model.TenantMoved(_, tenant, _, host):
                if tenant not in self.at_work:
                    return
                begun = replace(self.at_work[tenant], host=host)
        self.at_work[begun.tenant] = begun
        self.ahead.add(begun.tenant)

    def _look_at_the_clock(self, event: model.Event) -> None:
        if isinstance(event, model.RunStarted | model.RunResumed):
            self.before, self.began_at = self.seconds(), event.at
        if not isinstance(event, model.Output | model.Waiting):
            self.heard_at = event.at

    def seconds(self, now: datetime | None = None) -> float:
        """How long it was going on, pauses included; what lies between its parts is not."""
        if self.finished and self.finished.seconds is not None:
            return self.finished.seconds
        until = now or self.heard_at
        if self.began_at is None or until is None:
            return self.before
        return self.before + max(0.0, (until - self.began_at).total_seconds())

    def tenants_seconds(self) -> float:
        """How long the commands of its tenants took."""
        if self.finished and self.finished.tenants_seconds is not None:
            return self.finished.tenants_seconds
        return sum(outcome.seconds for outcome in self.outcomes.values() if outcome.attempt)

    def _resume(self) -> None:
        """Who was at work when the run ended is not at work for this part of it."""
        self.finished = self.last_end = None
        self.outcomes.update((name, _lost(started)) for name, started in self.at_work.items())
        self.at_work.clear()
        self.ahead.clear()

    def _take_outcome(self, outcome: model.Outcome) -> None:
        self.at_work.pop(outcome.tenant, None)
        self.ahead.discard(outcome.tenant)
        self.outcomes[outcome.tenant] = outcome

    def _take_plan(self, plan: model.Plan) -> None:
        self.plans.append(plan)
        self.ahead.update(tenant.id for batch in plan.batches for tenant in batch.tenants)
        for tenant in plan.current:
            self.outcomes[tenant.id] = model.Outcome(tenant.id, _CURRENT, verified=True)
        for name, why in plan.refused.items():
            self.outcomes[name] = model.Outcome(name, model.Status.FAILED, error=f"{why} (no command was sent)")

    @property
    def undoes(self) -> str:
        """The run whose migrations this one takes back, "" of any other."""
        return self.started.undoes if self.started else ""

    def ends(self, at: datetime, reason: str) -> model.RunFinished:
        """The event of its end."""
        seconds, of_tenants = round(self.seconds(at), 3), round(self.tenants_seconds(), 3)
        return model.RunFinished(at, reason, self.counts(), seconds, of_tenants)

    def settled(self) -> tuple[model.Outcome, ...]:
        """An outcome for every tenant of the plans: those never reached are skipped, those at work are unknown."""
        found = self.outcomes | {name: _lost(started) for name, started in self.at_work.items()}
        for plan in self.plans:
            for batch in plan.batches:
                for tenant in batch.tenants:
                    found.setdefault(tenant.id, model.Outcome(tenant.id, model.Status.SKIPPED))
        return tuple(found.values())

    def counts(self) -> dict[str, int]:
        """{status: tenants}, every status named."""
        counted = collections.Counter(outcome.status for outcome in self.settled())
        return {status.value: counted[status] for status in model.Status}

    def exit_code(self) -> int:
        """0 all migrated or current, 5 not all home, 6 at least one unknown, 130 interrupted."""
        if self.finished and self.finished.reason == step.INTERRUPTED:
            return 130
        statuses = {outcome.status for outcome in self.settled()}
        if model.Status.UNKNOWN in statuses:
            return 6
        return 5 if statuses & set(_BAD) else 0


def _lost(started: model.TenantStarted) -> model.Outcome:
    return model.Outcome(
        started.tenant,
        model.Status.UNKNOWN,
        error="the run ended while it was at work: it may still be running on the host",
        attempt=started.attempt,
        host=started.host,
    )


def fold(events: Iterable[model.Event]) -> Run:
    run = Run()
    for event in events:
        run.apply(event)
    return run
