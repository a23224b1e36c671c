"""Decides: `next_step` is pure, and answers Run, Wait or Stop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from opskit import model

DONE = "done"
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Run:
    tenant: model.Tenant


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
    """How far a plan is: the place in its batches, and what has gone wrong in this one."""

    batch: int = 0
    index: int = 0
    failures: int = 0
    unknown: str = ""


def advance(plan: model.Plan, progress: Progress, outcome: model.Outcome) -> Progress:
    """The progress after an outcome of the tenant that was next."""
    bad = outcome.status in (model.Status.FAILED, model.Status.UNKNOWN)
    after = replace(
        progress,
        index=progress.index + 1,
        failures=progress.failures + bad,
        unknown=outcome.tenant if outcome.status is model.Status.UNKNOWN else progress.unknown,
    )
    if after.index == len(plan.batches[after.batch].tenants) and not stopped(plan, after):
        return Progress(batch=after.batch + 1)
    return after


def stopped(plan: model.Plan, progress: Progress) -> str:
    """Why the run must not go on, "" where it may."""
    if progress.unknown:
        return f"nobody knows how `{progress.unknown}` ended"
    limit = plan.batches[progress.batch].max_failures if progress.batch < len(plan.batches) else None
    if limit is not None and progress.failures > limit:
        return f"{progress.failures} failed where {limit} may"
    return ""


def next_step(plan: model.Plan, progress: Progress, idle: float | None, interrupted: bool = False) -> Step:
    """What to do now.

    `idle` is the seconds since the last command ended, None before the first: the stagger is the pause
    between the end of one command and the start of the next, and never after the last.
    """
    why = stopped(plan, progress)
    if why or interrupted:
        return Stop(why or INTERRUPTED)
    if progress.batch == len(plan.batches):
        return Stop(DONE)
    tenant = plan.batches[progress.batch].tenants[progress.index]
    if idle is not None and idle < plan.stagger:
        return Wait(plan.stagger - idle, tenant)
    return Run(tenant)
