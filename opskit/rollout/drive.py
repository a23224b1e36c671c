"""Drives: does what `next_step` says, and tells what happened."""

from __future__ import annotations

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


def drive(plan: model.Plan, run: Runner, emit: Emit, clock: Clock, watch: Watch = UNWATCHED) -> str:
    """Roll the plan out and return why it ended. Every start is told before it happens."""
    progress = step.Progress()
    ended: float | None = None
    refused: float | None = None  # when the gate said wait
    outcomes = {name: each for name, each in watch.before.items() if each.attempt}
    while True:
        left = None if plan.deadline is None else (plan.deadline - clock.now()).total_seconds()
        idle, asked = _since(ended, clock), _since(refused, clock)
        match step.next_step(plan, progress, idle, watch.word(), left=left, asked=asked):
            case step.Stop(reason):
                return reason
            case step.Wait(seconds, tenant, why):
                emit(model.Waiting(seconds, tenant.id, why))
                clock.sleep(_TICK if seconds is None else min(_TICK, seconds))
            case step.Look(tenants, pause):
                progress = step.looked(progress, watch.look(tenants))
                if pause and not progress.halted:
                    watch.pause(pause)
            case step.Ask(tenant):
                progress, refused = _asked(progress, tenant, watch, emit), clock.monotonic()
            case step.Run(tenant, attempt):
                started = model.TenantStarted(
                    clock.now(), tenant.id, attempt, watch.host(), plan.pending.get(tenant.id)
                )
                last = outcomes.get(tenant.id)
                outcome = outcomes[tenant.id] = _run(run, tenant, started, emit, clock, before=last)
                ended, refused = clock.monotonic(), None
                emit(model.TenantFinished(clock.now(), outcome))
                progress = step.advance(plan, progress, outcome)


def _since(then: float | None, clock: Clock) -> float | None:
    return None if then is None else clock.monotonic() - then


def _asked(progress: step.Progress, tenant: model.Tenant, watch: Watch, emit: Emit) -> step.Progress:
    assert watch.gate is not None  # noqa: S101 - a plan with a gate comes with somebody to ask it
    answer = watch.gate(tenant)
    emit(answer)
    return step.gated(progress, answer)


def _run(
    run: Runner,
    tenant: model.Tenant,
    started: model.TenantStarted,
    emit: Emit,
    clock: Clock,
    *,
    before: model.Outcome | None,
) -> model.Outcome:
    """The tenant's outcome; where opskit could not even start it, that is said of it before the run ends.

    `before` is what its last attempt was, which stands where there is no other.
    """
    try:
        emit(started)
        return run(tenant, started.attempt)
    except errors.OpskitError as error:
        outcome = model.Outcome(tenant.id, model.Status.SKIPPED, error=f"not started: {error}")
        if before is not None:
            outcome = replace(before, retryable=False, error=f"{before.error}; not tried again: {error}")
        emit(model.TenantFinished(clock.now(), outcome))
        raise
