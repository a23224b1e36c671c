"""Drives: does what `next_step` says, and tells what happened."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from opskit import errors, model
from opskit.rollout import step

_TICK = 1.0  # seconds between two looks at the countdown


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


Emit = Callable[[model.Event], None]

Runner = Callable[[model.Tenant, int], model.Outcome]
"""Runs the command for a tenant (the given attempt) and judges it; what it prints is the runner's to report.
Raises OpskitError where opskit could not do its own part: the run ends with it."""


@dataclass(frozen=True)
class Watch:
    """What a run can ask of those who watch over it; the defaults are for a run that nobody watches.

    `host` names the host that serves. `word` is what the operator wants by now, and `pause` makes that a pause
    until somebody says otherwise. `gate` asks the operator's command about a tenant. `look` asks the databases
    of tenants and returns the outcomes that stand; none where nobody can be asked. `before` are the outcomes that
    an earlier part of the run left: of who can't be started now, they stand.
    """

    host: Callable[[], str] = lambda: ""
    word: Callable[[], step.Word] = lambda: step.NOTHING_SAID
    pause: Callable[[str], None] = lambda _: None
    gate: Callable[[model.Tenant], model.GateAnswered] | None = None
    look: Callable[[tuple[model.Tenant, ...]], Sequence[model.Outcome]] = lambda _: ()
    before: Mapping[str, model.Outcome] = field(default_factory=dict)


UNWATCHED = Watch()


@dataclass(frozen=True)
class Ended:
    """The end of a tenant's command: its outcome, or why opskit could not do its own part."""

    tenant: str
    how: model.Outcome | errors.OpskitError


class Crew(Protocol):
    """Those who run commands, `plan.forks` of them at a time."""

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        """Have a tenant's command run. Raises OpskitError where that can't be."""
        ...

    def ended(self, seconds: float | None) -> Ended | None:
        """The next end, for which it is waited so long at most; None where there is none."""
        ...


class Alone:
    """A crew of one, which runs a command while it is waited for its end."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self._next: tuple[model.Tenant, int] | None = None

    def start(self, tenant: model.Tenant, attempt: int) -> None:
        self._next = tenant, attempt

    def ended(self, seconds: float | None) -> Ended | None:  # noqa: ARG002 - it takes as long as it takes
        assert self._next is not None  # noqa: S101 - it is waited for those alone that were started
        tenant, attempt = self._next
        try:
            return Ended(tenant.id, self._run(tenant, attempt))
        except errors.OpskitError as error:
            return Ended(tenant.id, error)


def drive(plan: model.Plan, run: Runner | Crew, emit: Emit, clock: Clock, watch: Watch = UNWATCHED) -> str:
    """Roll the plan out and return why it ended. Every start is told before it happens.

    Where an error ends it, it is raised when all that is at work has ended, too.
    """
    crew = Alone(run) if callable(run) else run
    return Drive(plan, crew, emit, clock, watch).through()


@dataclass
class Drive:
    """One plan on its way. Mutable on purpose: it keeps what has been started."""

    plan: model.Plan
    crew: Crew
    emit: Emit
    clock: Clock
    watch: Watch
    progress: step.Progress = field(default_factory=step.Progress)
    last_end: float | None = None
    refused: float | None = None  # when the gate said wait
    outcomes: dict[str, model.Outcome] = field(default_factory=dict)  # the last of each tenant

    def through(self) -> str:
        self.outcomes.update((name, each) for name, each in self.watch.before.items() if each.attempt)
        try:
            while True:
                decided = self._decided()
                if isinstance(decided, step.Stop):
                    return decided.reason
                self._do(decided)
        except errors.OpskitError:
            self._finish()
            raise

    def _decided(self) -> step.Step:
        deadline = self.plan.deadline
        left = None if deadline is None else (deadline - self.clock.now()).total_seconds()
        idle, asked = self._since(self.last_end), self._since(self.refused)
        return step.next_step(self.plan, self.progress, idle, self.watch.word(), left=left, asked=asked)

    def _since(self, then: float | None) -> float | None:
        return None if then is None else self.clock.monotonic() - then

    def _do(self, decided: step.Step) -> None:
        match decided:
            case step.Wait(seconds, tenant, why):
                self.emit(model.Waiting(seconds, tenant.id, why))
                self._rest(_TICK if seconds is None else min(_TICK, seconds))
            case step.Look(tenants, pause):
                self.progress = step.looked(self.progress, self.watch.look(tenants))
                if pause and not self.progress.halted:
                    self.watch.pause(pause)
            case step.Ask(tenant):
                self._ask(tenant)
            case step.Run():
                self._start(decided)
                if step.full(self.plan, self.progress):
                    self._hear(None)
            case step.Await():
                self._hear(None)

    def _rest(self, seconds: float) -> None:
        """Let time pass: where somebody is at work, until one of them ends."""
        if self.progress.at_work:
            self._hear(seconds)
        else:
            self.clock.sleep(seconds)

    def _ask(self, tenant: model.Tenant) -> None:
        assert self.watch.gate is not None  # noqa: S101 - a plan with a gate comes with somebody to ask it
        answer = self.watch.gate(tenant)
        self.emit(answer)
        self.progress, self.refused = step.gated(self.progress, answer), self.clock.monotonic()

    def _start(self, following: step.Run) -> None:
        name, attempt = following.tenant.id, following.attempt
        pending = self.plan.pending.get(name)
        try:
            self.emit(model.TenantStarted(self.clock.now(), name, attempt, self.watch.host(), pending))
            self.crew.start(following.tenant, attempt)
        except errors.OpskitError as error:
            self._not_started(name, error)
            raise
        self.progress, self.refused = step.begun(self.plan, self.progress, following), None

    def _hear(self, seconds: float | None) -> None:
        """Hear of the next end, where there is one in so many seconds."""
        ended = self.crew.ended(seconds)
        if ended is not None:
            self._end(ended)

    def _end(self, ended: Ended) -> None:
        if isinstance(ended.how, errors.OpskitError):
            self.progress = step.dropped(self.progress, ended.tenant)
            self._not_started(ended.tenant, ended.how)
            raise ended.how
        self.outcomes[ended.tenant] = ended.how
        self.last_end = self.clock.monotonic()
        self.progress = step.advance(self.plan, self.progress, ended.how)
        self.emit(model.TenantFinished(self.clock.now(), ended.how))

    def _not_started(self, tenant: str, error: errors.OpskitError) -> None:
        """Say of a tenant that opskit could not even start it; where there was an attempt before, that stands."""
        before = self.outcomes.get(tenant)
        outcome = model.Outcome(tenant, model.Status.SKIPPED, error=f"not started: {error}")
        if before is not None:
            outcome = replace(before, retryable=False, error=f"{before.error}; not tried again: {error}")
        self.emit(model.TenantFinished(self.clock.now(), outcome))

    def _finish(self) -> None:
        """Hear of all that are at work, and start nothing more. What was raised first is what the run ends with."""
        while self.progress.at_work:
            with contextlib.suppress(errors.OpskitError):
                self._hear(None)
