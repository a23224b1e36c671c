"""Decides: `next_step` is pure, and answers Run, Wait or Stop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from opskit import durations, model

DONE = "done"
INTERRUPTED = "interrupted"


BACKOFF = 5.0  # seconds before a first retry; each further one waits twice as long


@dataclass(frozen=True)
class Run:
    tenant: model.Tenant
    attempt: int = 1


@dataclass(frozen=True)
class Wait:
    seconds: float
    tenant: model.Tenant  # that comes next


@dataclass(frozen=True)
class Stop:
    reason: str  # DONE, INTERRUPTED, or a sentence


Step = Run | Wait | Stop


@dataclass(frozen=True)
class Progress:
    """How far a plan is: the place in its batches, what is to be tried again, and what has gone wrong in this batch."""

    batch: int = 0
    index: int = 0
    again: tuple[Run, ...] = ()  # at the back of the queue
    failures: int = 0
    unknown: str = ""


def advance(plan: model.Plan, progress: Progress, outcome: model.Outcome) -> Progress:
    """The progress after an outcome of the tenant that was next."""
    done = _next(plan, progress)
    first = progress.index < len(plan.batches[progress.batch].tenants)
    again = progress.again if first else progress.again[1:]
    retry = outcome.retryable and done.attempt <= plan.retries
    bad = outcome.status in (model.Status.FAILED, model.Status.UNKNOWN) and not retry
    after = replace(
        progress,
        index=progress.index + first,
        again=(*again, Run(done.tenant, done.attempt + 1)) if retry else again,
        failures=progress.failures + bad,
        unknown=outcome.tenant if outcome.status is model.Status.UNKNOWN else progress.unknown,
    )
    over = after.index == len(plan.batches[after.batch].tenants) and not after.again
    return Progress(batch=after.batch + 1) if over and not stopped(plan, after) else after


def _next(plan: model.Plan, progress: Progress) -> Run:
    """Who is next: the batch's own first, then those that are tried again."""
    tenants = plan.batches[progress.batch].tenants
    return Run(tenants[progress.index]) if progress.index < len(tenants) else progress.again[0]


def stopped(plan: model.Plan, progress: Progress) -> str:
    """Why the run must not go on, "" where it may."""
    if progress.unknown:
        return f"nobody knows how `{progress.unknown}` ended"
    limit = plan.batches[progress.batch].max_failures if progress.batch < len(plan.batches) else None
    alone = progress.batch < plan.canaries
    failures = progress.failures + (0 if alone else len(plan.refused))  # who was refused has failed, too
    return f"{failures} failed, {limit} allowed" if limit is not None and failures > limit else ""


def next_step(
    plan: model.Plan,
    progress: Progress,
    idle: float | None,
    interrupted: bool = False,
    left: float | None = None,
) -> Step:
    """What to do now.

    `idle` is the seconds since the last command ended, None before the first: the stagger is the pause
    between the end of one command and the start of the next, and never after the last. `left` is the
    seconds until the run must start nothing more, None where it may go on for ever.
    """
    why = stopped(plan, progress)
    if why or interrupted:
        return Stop(why or INTERRUPTED)
    if progress.batch == len(plan.batches):
        return Stop(DONE)
    following = _next(plan, progress)
    pause = _pause(plan, following) - idle if idle is not None else 0.0
    if left is not None and left - max(0.0, pause) < plan.expected.get(following.tenant.id, 0.0):
        return Stop(_out_of_time(plan, following.tenant, left))
    return Wait(pause, following.tenant) if pause > 0 else following


def _pause(plan: model.Plan, following: Run) -> float:
    """The least time between the last command's end and this start: the stagger, or a retry's longer patience."""
    if following.attempt == 1:
        return plan.stagger
    return max(plan.stagger, BACKOFF * 2.0 ** (following.attempt - 2))


def _out_of_time(plan: model.Plan, tenant: model.Tenant, left: float) -> str:
    usual = plan.expected.get(tenant.id)
    if left <= 0 or usual is None:
        return "its time is up"
    return f"`{tenant.id}` usually takes {durations.show(usual)}, and {durations.show(max(0.0, left))} are left"
