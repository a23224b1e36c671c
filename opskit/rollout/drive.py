"""Drives: does what `next_step` says, and tells what happened."""

from __future__ import annotations

from collections.abc import Callable
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


def drive(
    plan: model.Plan,
    run: Runner,
    emit: Emit,
    clock: Clock,
    *,
    host: Callable[[], str] = lambda: "",
    interrupted: Callable[[], bool] = lambda: False,
) -> str:
    """Roll the plan out and return why it ended. Every start is told before it happens."""
    progress = step.Progress()
    ended: float | None = None
    while True:
        now = clock.monotonic()
        idle = None if ended is None else now - ended
        left = None if plan.deadline is None else (plan.deadline - clock.now()).total_seconds()
        match step.next_step(plan, progress, idle, interrupted(), left):
            case step.Stop(reason):
                return reason
            case step.Wait(seconds, tenant):
                emit(model.Waiting(seconds, tenant.id))
                clock.sleep(min(_TICK, seconds))
            case step.Run(tenant, attempt):
                started = model.TenantStarted(clock.now(), tenant.id, attempt, host(), plan.pending.get(tenant.id))
                outcome = _run(run, tenant, started, emit, clock)
                ended = clock.monotonic()
                emit(model.TenantFinished(clock.now(), outcome))
                progress = step.advance(plan, progress, outcome)


def _run(run: Runner, tenant: model.Tenant, started: model.TenantStarted, emit: Emit, clock: Clock) -> model.Outcome:
    """The tenant's outcome; where opskit could not even start it, that is said of it before the run ends."""
    try:
        emit(started)
        return run(tenant, started.attempt)
    except errors.OpskitError as error:
        skipped = model.Outcome(tenant.id, model.Status.SKIPPED, error=f"not started: {error}")
        emit(model.TenantFinished(clock.now(), skipped))
        raise
