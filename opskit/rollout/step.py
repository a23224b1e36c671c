"""Decides: `next_step` is pure, and answers Run, Await, Wait, Ask, Look or Stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from opskit import durations, model

DONE = "done"
INTERRUPTED = "interrupted"


BACKOFF = 5.0  # seconds before a first retry; each further one waits twice as long
GATE_AGAIN = 10.0  # seconds until a gate that said `wait` is asked again
GO_ON, HALT, ASK_AGAIN = 0, 1, 2  # the exit codes of a gate


@dataclass(frozen=True)
class Run:
    tenant: model.Tenant
    attempt: int = 1


@dataclass(frozen=True)
class Await:
    """Wait until one of those at work has ended."""


@dataclass(frozen=True)
class Wait:
    seconds: float | None  # None: until somebody says so
    tenant: model.Tenant  # that comes next
    why: str = ""  # "" is the stagger


@dataclass(frozen=True)
class Ask:
    """Ask the gate whether this tenant may start."""

    tenant: model.Tenant


@dataclass(frozen=True)
class Look:
    """Ask the databases of these tenants, the canary, before anybody else starts; then pause, where that was asked."""

    tenants: tuple[model.Tenant, ...]
    pause: str = ""  # why


@dataclass(frozen=True)
class Stop:
    reason: str  # DONE, INTERRUPTED, or a sentence


Step = Run | Await | Wait | Ask | Look | Stop


@dataclass(frozen=True)
class Word:
    """What the operator has said so far, with signals or from another terminal."""

    stop: str = ""  # why the run must start nothing more: INTERRUPTED, or who said so
    pause: str = ""  # why it must wait: who said so


NOTHING_SAID = Word()


@dataclass(frozen=True)
class Progress:
    """How far a plan is: the place in its batches, who is at work or to be tried again, and what has gone wrong."""

    batch: int = 0
    index: int = 0
    at_work: tuple[Run, ...] = ()  # in the order in which they began
    again: tuple[Run, ...] = ()  # at the back of the queue
    failures: int = 0
    unknown: str = ""
    last: model.Fingerprint | None = None  # of the tenant before, where that has failed for good
    alike: int = 0  # failures with this one, in a row
    looked: bool = False  # the databases have confirmed the canary
    cleared: bool = False  # the gate lets the next tenant pass
    halted: str = ""  # why the gate, the look at the canary, or failures that are alike end the run


def begun(plan: model.Plan, progress: Progress, following: Run) -> Progress:
    """The progress once the one that was next is at work."""
    first = progress.index < len(plan.batches[progress.batch].tenants)
    return replace(
        progress,
        index=progress.index + first,
        again=progress.again if first else progress.again[1:],
        at_work=(*progress.at_work, following),
        cleared=False,
    )


def advance(plan: model.Plan, progress: Progress, outcome: model.Outcome) -> Progress:
    """The progress after an outcome of a tenant that was at work."""
    done = next(each for each in progress.at_work if each.tenant.id == outcome.tenant)
    retry = outcome.retryable and done.attempt <= plan.retries
    bad = outcome.status in (model.Status.FAILED, model.Status.UNKNOWN) and not retry
    alike = _alike(progress, outcome.fingerprint if bad else None)
    after = replace(
        progress if retry else replace(progress, **alike),
        at_work=tuple(each for each in progress.at_work if each != done),
        again=(*progress.again, Run(done.tenant, done.attempt + 1)) if retry else progress.again,
        failures=progress.failures + bad,
        unknown=outcome.tenant if outcome.status is model.Status.UNKNOWN else progress.unknown,
    )
    after = replace(after, halted=after.halted or _too_many_alike(plan, after))  # the next one may end in another way
    over = after.index == len(plan.batches[after.batch].tenants) and not after.again and not after.at_work
    return Progress(after.batch + 1, last=after.last, alike=after.alike) if over and not stopped(plan, after) else after


def dropped(progress: Progress, tenant: str) -> Progress:
    """The progress where a tenant that was at work has no outcome: opskit could not do its own part, and ends."""
    return replace(progress, at_work=tuple(each for each in progress.at_work if each.tenant.id != tenant))


def _alike(progress: Progress, print_: model.Fingerprint | None) -> dict[str, Any]:
    """How many have failed alike in a row, after one more tenant; None is one that has not, or in its own way."""
    again = print_ is not None and print_ == progress.last
    return {"last": print_, "alike": progress.alike + 1 if again else int(print_ is not None)}


def _too_many_alike(plan: model.Plan, progress: Progress) -> str:
    if not 0 < plan.stop_after_same <= progress.alike:
        return ""
    return f"{progress.alike} tenants in a row failed alike, which is no single tenant's fault: {progress.last}"


def gated(progress: Progress, answer: model.GateAnswered) -> Progress:
    """The progress after the gate's answer."""
    if answer.exit == GO_ON:
        return replace(progress, cleared=True)
    if answer.exit == ASK_AGAIN:
        return progress
    said = f": {answer.said}" if answer.said else ""
    why = "the gate said stop" if answer.exit == HALT else "the gate could not be asked" + _exit(answer.exit)
    return replace(progress, halted=why + said)


def _exit(code: int | None) -> str:
    if code is None:
        return ""
    return f" (it was ended by signal {-code})" if code < 0 else f" (exit {code}; it may say 0, 1 or 2)"


def looked(progress: Progress, outcomes: Iterable[model.Outcome]) -> Progress:
    """The progress after the databases were asked about the canary."""
    bad = next((each for each in outcomes if each.status in (model.Status.FAILED, model.Status.UNKNOWN)), None)
    why = f"the canary `{bad.tenant}` is not migrated: {bad.error}" if bad else ""
    return replace(progress, looked=True, halted=why)


def _next(plan: model.Plan, progress: Progress) -> Run | None:
    """Who is next: the batch's own first, then those that are tried again; None where all of it are at work or done."""
    tenants = plan.batches[progress.batch].tenants
    if progress.index < len(tenants):
        return Run(tenants[progress.index])
    return progress.again[0] if progress.again else None


def stopped(plan: model.Plan, progress: Progress) -> str:
    """Why the run must not go on, "" where it may."""
    if progress.unknown and not plan.go_on:
        return f"nobody knows how `{progress.unknown}` ended"
    if progress.halted:
        return progress.halted
    limit = plan.batches[progress.batch].max_failures if progress.batch < len(plan.batches) else None
    alone = progress.batch < plan.canaries
    failures = progress.failures + (0 if alone else len(plan.refused))  # who was refused has failed, too
    return f"{failures} failed, {limit} allowed" if limit is not None and failures > limit else ""


def next_step(
    plan: model.Plan,
    progress: Progress,
    idle: float | None,
    word: Word = NOTHING_SAID,
    *,
    left: float | None = None,
    asked: float | None = None,
) -> Step:
    """What to do now.

    `idle` is the seconds since the last command ended, None before the first: the stagger is the pause
    between the end of one command and the start of the next, and never after the last. `left` is the
    seconds until the run must start nothing more, None where it may go on for ever. `asked` is the seconds
    since the gate said `wait` to the next tenant, None where it did not. Before a Stop, who is at work ends.
    """
    why = stopped(plan, progress) or word.stop
    if not why and progress.batch < len(plan.batches):
        following = _next(plan, progress)
        if following is None or full(plan, progress):
            return Await()
        pause = _pause(plan, following) - idle if idle is not None else 0.0
        if left is None or left - max(0.0, pause) >= plan.expected.get(following.tenant.id, 0.0):
            if 0 < plan.canaries == progress.batch and not progress.looked:
                return _look(plan)
            if word.pause:
                return Wait(None, following.tenant, word.pause)
            return _paced(plan, progress, following, pause, asked)
        why = _out_of_time(plan, following.tenant, left)
    return Await() if progress.at_work else Stop(why or DONE)


def full(plan: model.Plan, progress: Progress) -> bool:
    """Whether as many are at work as may be at once: a canary is alone."""
    return len(progress.at_work) >= (1 if progress.batch < plan.canaries else plan.forks)


def _look(plan: model.Plan) -> Look:
    canary = tuple(tenant for batch in plan.batches[: plan.canaries] for tenant in batch.tenants)
    waits = plan.pause_after_canary and not plan.gate  # a gate is asked anyway
    return Look(canary, "the canary is home" if waits else "")


def _paced(plan: model.Plan, progress: Progress, following: Run, pause: float, asked: float | None) -> Step:
    """The stagger, then the gate, then the tenant."""
    if pause > 0:
        return Wait(pause, following.tenant)
    if not plan.gate or progress.cleared:
        return following
    if asked is not None and asked < GATE_AGAIN:
        return Wait(GATE_AGAIN - asked, following.tenant, "the gate said wait")
    return Ask(following.tenant)


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
