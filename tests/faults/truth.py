"""Holds what opskit said against what is so: every sentence that comes back is a misreport.

What is so: Django's own rows and the columns in every tenant's database, the audit rows that the migrations wrote, and
what the witness saw begin on the hosts. What was said: every event of every journal, every report, every exit code.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from faults import scenario, world
from opskit import errors, journal, model
from opskit.rollout import run as runs
from opskit.rollout import verify

MIGRATED, CURRENT, FAILED, UNKNOWN, SKIPPED = (
    model.Status.MIGRATED,
    model.Status.CURRENT,
    model.Status.FAILED,
    model.Status.UNKNOWN,
    model.Status.SKIPPED,
)
HOME = (MIGRATED, CURRENT)
AFTER_ALL = " (nothing is pending any more)"  # what a failure says of itself when its migrations were applied
SLACK = timedelta(seconds=0.05)  # two clocks of one machine, one of them PostgreSQL's


@dataclass(frozen=True)
class Truth:
    """What is so, when everything is over."""

    history: dict[str, dict[str, datetime]]  # {tenant: {migration: when it was applied}}
    columns: dict[str, set[str]]
    committed: dict[str, list[str]]
    started: list[tuple[str, str, datetime]]
    began: list[dict]  # commands, oldest first
    overlaps: list[dict]
    synced: list[dict]
    timed: bool = True  # whether clocks can be compared

    def home(self, tenant: str, at: datetime | None = None) -> bool:
        """Whether everything was applied, by then."""
        applied = [self.history[tenant].get(name) for name in world.MIGRATIONS]
        by = at + SLACK if at and self.timed else datetime.max.replace(tzinfo=UTC)
        return all(when is not None and when <= by for when in applied)


def look(at: world.World, *, timed: bool) -> Truth:
    database = at.database
    return Truth(
        database.histories(),
        database.columns(),
        database.committed(),
        database.started(),
        at.commands("began"),
        at.commands("overlap"),
        at.synced(),
        timed,
    )


@dataclass
class Told:
    """One journal, read line by line."""

    folder: Path
    events: list[tuple[model.Event, int]] = field(default_factory=list)  # (event, where its line ends in the file)
    broken: str = ""


def read(folder: Path) -> Told:
    """A journal's events. A last line that is torn is no event; any other that can't be read is a misreport."""
    told, end = Told(folder), 0
    lines = (folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        end += len(line) + 1
        try:
            event = journal.decode(line.decode())
        except (ValueError, KeyError, errors.JournalError) as error:
            told.broken = f"line {number}: {error}"
            return told
        if event is not None:
            told.events.append((event, end))
    return told


# ---------------------------------------------------------------- the misreports


def misreports(story: scenario.Scenario, at: world.World, truth: Truth) -> list[str]:
    told = [read(folder) for folder in at.runs if (folder / "journal.jsonl").exists()]
    found = [
        *_not_home(truth),
        *_twice(story, truth),
        *_unannounced(truth, told),
        *(sentence for each in told for sentence in _verdicts(each, truth, story.orders.get("liars", ()))),
        *(sentence for each in told for sentence in _again(each)),
        *(sentence for sitting in at.sittings for sentence in _said(sitting)),
    ]
    return list(dict.fromkeys(found))


def _not_home(truth: Truth) -> Iterator[str]:
    """In the end every tenant is migrated: in Django's rows, in its schema, and in what its migrations wrote."""
    for tenant in world.TENANTS:
        if not truth.home(tenant):
            yield f"never tried: {tenant} has {sorted(truth.history[tenant])} when all is said to be done"
        elif not {"bonus", "rank"} <= truth.columns[tenant]:
            yield f"the schema of {tenant} is not what its history says: {sorted(truth.columns[tenant])}"


def _twice(story: scenario.Scenario, truth: Truth) -> Iterator[str]:
    for line in truth.overlaps:
        yield f"started twice: a command of {line['tenant']} began while another was at work: {line}"
    for tenant in world.TENANTS:
        times = Counter(truth.committed[tenant])["0002_bonus"]
        if times > (0 if tenant in story.home else 1):
            yield f"started twice: 0002_bonus was committed {times} times for {tenant}"
    for tenant, migration, when in truth.started:
        applied = truth.history[tenant].get(f"members.{migration}")
        if truth.timed and applied and when > applied + SLACK:
            yield f"started twice: {migration} began for {tenant} after it had been applied"


def _unannounced(truth: Truth, told: list[Told]) -> Iterator[str]:
    """Every command that began was announced before, and what announced it would have survived a power cut."""
    starts = [
        [start, None] for each in told for start in _starts(each)
    ]  # [(tenant, when, journal, end of its line), the command that began]
    for command in truth.began:
        when = datetime.fromtimestamp(command["at"], UTC)
        fits = [
            each
            for each in starts
            if each[1] is None and each[0][0] == command["tenant"] and (not truth.timed or each[0][1] <= when)
        ]
        if not fits:
            yield f"not announced: a command of {command['tenant']} began at {when:%H:%M:%S.%f}, and no journal says so"
            continue
        fits[-1][1] = command
        _, _, path, end = fits[-1][0]
        safe = [each for each in truth.synced if each["path"] == path and each["size"] >= end]
        if truth.timed and not any(each["at"] <= command["at"] for each in safe):
            yield f"not synced: a command of {command['tenant']} began before its announcement was on the disk"


def _starts(told: Told) -> Iterator[tuple[str, datetime, str, int]]:
    for event, end in told.events:
        if isinstance(event, model.TenantStarted):
            yield event.tenant, event.at, str(told.folder / "journal.jsonl"), end


def _verdicts(told: Told, truth: Truth, liars) -> Iterator[str]:
    """Each verdict, when it was given, and what stood when a part of the run ended.

    Of liars only what was verified counts: until then opskit says no more than that they said so.
    """
    name = told.folder.name
    if told.broken:
        yield f"a journal that can't be read: {name}, {told.broken}"
    run = runs.Run()
    for event, _ in told.events:
        run.apply(event)
        if isinstance(event, model.TenantVerified) or (
            isinstance(event, model.TenantFinished) and event.outcome.tenant not in liars
        ):
            yield from _verdict(name, event.outcome, truth, event.at)
        if isinstance(event, model.RunFinished):
            yield from (sentence for each in run.settled() for sentence in _stands(name, each, truth, event.at))


def _verdict(run: str, outcome: model.Outcome, truth: Truth, at: datetime) -> Iterator[str]:
    if outcome.status in HOME and not truth.home(outcome.tenant, at):
        yield f"`{outcome.status}` that isn't: {outcome.tenant} in {run} at {at:%H:%M:%S.%f}"
    extra = set(outcome.applied) - set(truth.history[outcome.tenant])
    if extra:
        yield f"said to be applied and not there: {sorted(extra)} of {outcome.tenant} in {run}"


def _stands(run: str, outcome: model.Outcome, truth: Truth, at: datetime) -> Iterator[str]:
    """What a part of the run left standing."""
    home = truth.home(outcome.tenant, at - 2 * SLACK) if truth.timed else False
    told = AFTER_ALL in outcome.error or verify.NOT_ASKED in outcome.error
    if outcome.status is FAILED and home and not told:
        yield f"`failed` that is migrated: {outcome.tenant} in {run}: {outcome.error}"
    if outcome.status is MIGRATED and outcome.verified and not outcome.applied:
        yield f"migrated, and nobody says what was applied: {outcome.tenant} in {run}"
    if outcome.status in HOME:
        yield from _verdict(run, outcome, truth, at)


def _again(told: Told) -> Iterator[str]:
    """A tenant is started again only when its last attempt is known to be over, and may be tried again.

    No more are at work than the plan says.
    """
    run = runs.Run()
    at_work: set[str] = set()
    tried: set[str] = set()  # in this part of the run
    for event, _ in told.events:
        if isinstance(event, model.TenantStarted):
            last = run.outcomes.get(event.tenant) or model.Outcome(event.tenant, SKIPPED)
            why = _one_too_many(run.plans[-1], at_work) or _why_not(last, again=event.tenant in tried)
            if why:
                yield f"started again: {event.tenant} in {told.folder.name} {why}"
            at_work.add(event.tenant)
            tried.add(event.tenant)
        if isinstance(event, model.TenantFollowed):
            at_work.add(event.tenant)
        if isinstance(event, model.TenantFinished):
            at_work.discard(event.outcome.tenant)
        if isinstance(event, model.RunResumed):
            at_work.clear()
            tried.clear()
        run.apply(event)


def _one_too_many(plan: model.Plan, at_work: set[str]) -> str:
    canary = {tenant.id for batch in plan.batches[: plan.canaries] for tenant in batch.tenants}
    alone = 1 if at_work & canary else plan.forks
    return f"while {len(at_work)} were at work" if len(at_work) >= alone else ""


def _why_not(last: model.Outcome, *, again: bool) -> str:
    """Why a tenant with this outcome must not be started, "" where it may; `again` is in the same part of a run."""
    if last.status not in (SKIPPED, FAILED):
        return f"although it was {last.status}"
    return "although nothing said that another try would help" if again and not last.retryable else ""


def _said(sitting: world.Sitting) -> Iterator[str]:
    typed = " ".join(sitting.argv)
    if "Traceback" in sitting.said:
        yield f"a traceback from `{typed}`: {sitting.said[-800:]}"
    if re.search(r"journal\.jsonl(, line \d+)? can't be read", sitting.said):
        yield f"a record that can't be read, says `{typed}`: {sitting.said[-600:]}"
    if sitting.code is None:
        yield f"a hang: `{typed}` did not end: {sitting.said[-600:]}"
    report = sitting.report
    if report is None:
        if sitting.code == 0:
            yield f"`{typed}` exited 0 without a report"
        return
    yield from _reported(typed, sitting.code, report)


def _reported(typed: str, code: int | None, report: dict) -> Iterator[str]:
    outcomes = {each["tenant_id"]: each["status"] for each in report["outcomes"]}
    lost = [tenant for tenant in world.TENANTS if tenant not in outcomes]
    if lost:
        yield f"lost from the summary of `{typed}`: {', '.join(lost)}"
    counted = {status: number for status, number in report["counts"].items() if number}
    if counted != Counter(outcomes.values()):
        yield f"the counts of `{typed}` do not add up: {counted} of {json.dumps(outcomes)}"
    statuses = set(outcomes.values())
    expected = 6 if UNKNOWN in statuses else 5 if statuses - set(HOME) else 0
    killed = -signal.SIGKILL  # after it had reported: by the machine, nobody else is near
    if code not in (expected, 130, killed) and not (code == 5 and expected == 0):
        yield f"`{typed}` exited {code}, and its report says {dict(Counter(outcomes.values()))}"
