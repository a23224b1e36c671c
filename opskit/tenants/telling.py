"""How tenants' migrations are told: to a person as they happen, to a program as the journal's events, to a log."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from opskit import durations, model
from opskit.rollout import run as runs
from opskit.tenants import migrating, printing

SCHEMA = 1  # of a journal line

Heard = model.Event | migrating.Heard
Hear = Callable[[Heard], None]

_BAD = (model.Status.FAILED, model.Status.UNKNOWN)


# ---------------------------------------------------------------- a person


def as_text(stdout: Any) -> Hear:
    """Whole sentences; a failure's own sentence is left to whoever raises it."""

    def hear(heard: Heard) -> None:
        if isinstance(heard, model.TenantStarted):
            printing.write(stdout, f"Migrating tenant: {printing.shown(heard.tenant)}")
        elif isinstance(heard, migrating.Progress):
            file = f"{heard.migration.replace('.', '/', 1)}.py"
            _write_step(stdout, heard, f"{'undoing ' if heard.backwards else ''}{file} ...")
        elif isinstance(heard, model.TenantFinished) and heard.outcome.status not in _BAD:
            _write_success(stdout, heard.outcome)

    return hear


def as_rollout(stdout: Any) -> Hear:
    """The same for many tenants: a failure is told where it happens, and that the next one's turn has come."""
    one = as_text(stdout)
    failed = [False]  # the last tenant: whether there is a next one is not known before it comes
    waited = [""]

    def hear(heard: Heard) -> None:
        if isinstance(heard, model.TenantStarted | model.Waiting) and failed[0]:
            printing.write(stdout, "Continuing with next tenant...")
            failed[0] = False
        if isinstance(heard, model.PlanMade):
            for name, why in heard.plan.refused.items():
                _write_failure(stdout, name, why)
            failed[0] = bool(heard.plan.refused)
        if isinstance(heard, model.Waiting) and heard.tenant != waited[0]:
            waited[0] = heard.tenant
            printing.write(stdout, f"Waiting {durations.show(heard.seconds or 0.0)}...")
        if isinstance(heard, model.TenantFinished) and heard.outcome.status in _BAD:
            _write_failure(stdout, heard.outcome.tenant, heard.outcome.error)
            failed[0] = True
        one(heard)

    return hear


def write_summary(stdout: Any, run: runs.Run, order: tuple[model.Tenant, ...]) -> None:
    """A line a tenant, and the total."""
    outcomes = {outcome.tenant: outcome.status for outcome in run.settled()}
    statuses = {tenant.id: outcomes.get(tenant.id, model.Status.SKIPPED) for tenant in order}
    well = all(status in (model.Status.MIGRATED, model.Status.CURRENT) for status in statuses.values())
    printing.write(stdout, "Migration Summary:")
    for name, status in statuses.items():
        printing.write(stdout, _line_of(printing.shown(name), status, well=well))
    printing.write(stdout, f"Total: {_total(run.counts())}")


def _line_of(name: str, status: model.Status, *, well: bool) -> str:
    if status is model.Status.MIGRATED:
        return f"✓ {name} - {'migrated successfully' if well else 'successful'}"
    if status is model.Status.CURRENT:
        return f"✓ {name} - nothing to migrate"
    return f"✗ {name} - {'not started' if status is model.Status.SKIPPED else 'FAILED'}"


def _total(counts: Mapping[str, int]) -> str:
    migrated = counts["migrated"]
    parts = [f"{migrated} tenant{'' if migrated == 1 else 's'} migrated"]
    parts += [f"{counts['current']} with nothing to migrate"] if counts["current"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{counts['skipped']} not started"] if counts["skipped"] else []
    return ", ".join(parts)


def _write_step(stream: Any, step: migrating.Progress, text: str) -> None:
    if step.ended:
        printing.write(stream, f" {step.ended}")
    else:
        printing.write(stream, text, ending="")


def _write_success(stdout: Any, outcome: model.Outcome) -> None:
    if outcome.status is model.Status.CURRENT:
        printing.write(stdout, "No migrations to apply.")
    printing.write(stdout, f"✓ Tenant '{printing.shown(outcome.tenant)}' migrated successfully.")


def _write_failure(stdout: Any, tenant: str, why: str) -> None:
    printing.write(stdout, f"✗ Migrations failed for tenant '{printing.shown(tenant)}': {printing.shown(why)}")


# ---------------------------------------------------------------- a program


def as_events(stdout: Any, stderr: Any) -> Hear:
    """Events on stdout, one a line; on stderr what Django's migrate prints."""
    count = itertools.count(1)

    def hear(heard: Heard) -> None:
        if isinstance(heard, migrating.Progress):
            verb = "Unapplying" if heard.backwards else "Applying"
            _write_step(stderr, heard, f"  {verb} {heard.migration}...")
        elif isinstance(heard, model.Journalled):
            printing.write(stdout, _line(next(count), heard))

    return hear


def _line(seq: int, event: model.Journalled) -> str:
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return json.dumps({"v": SCHEMA, "seq": seq, "event": type(event).__name__, **fields}, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


# ---------------------------------------------------------------- grep


def as_errors(stderr: Any) -> Hear:
    """A line for each failure: `ERROR tenant=globex …`."""

    def hear(heard: Heard) -> None:
        for level, tenant, text in _lines(heard):
            if level == "ERROR":
                printing.write(stderr, f"ERROR tenant={printing.word(tenant)} {printing.shown(text)}")

    return hear


def as_log(file: Any) -> Hear:
    """A line an event, with time, level and tenant."""

    def hear(heard: Heard) -> None:
        for level, tenant, text in _lines(heard):
            at = getattr(heard, "at", None)
            who = f" tenant={printing.word(tenant)}" if tenant else ""
            file.write(f"{at:%Y-%m-%dT%H:%M:%SZ} {level}{who} {printing.shown(text)}\n")

    return hear


def _lines(heard: Heard) -> list[tuple[str, str, str]]:
    """(level, tenant, text) that something heard is worth, oldest first."""
    match heard:
        case model.PlanMade(_, plan):
            lines = [("ERROR", name, f"{why} (nothing was run)") for name, why in plan.refused.items()]
            number = sum(len(batch.tenants) for batch in plan.batches)
            return [*lines, ("INFO", "", f"{number} to migrate, {len(plan.current)} with nothing pending")]
        case model.TenantStarted(_, tenant, _, _, pending):
            return [("INFO", tenant, "migrating" if pending is None else f"migrating ({len(pending)} pending)")]
        case model.TenantFinished(_, outcome):
            took = durations.show(outcome.seconds)
            if outcome.status in _BAD:
                return [("ERROR", outcome.tenant, f"{outcome.status} after {took}: {outcome.error}")]
            return [("INFO", outcome.tenant, f"{outcome.status}: {len(outcome.applied)} applied, {took}")]
        case model.RunFinished(_, reason, counts):
            said = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
            return [("INFO", "", f"ended: {reason}: {said or 'no tenants'}")]
    return []
