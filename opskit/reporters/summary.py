"""The end of a run: a table, the counts, the log's path, and the next command to type."""

from __future__ import annotations

import collections
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opskit import durations, errors, journal, model
from opskit.frameworks import django
from opskit.reporters import failures, tables, telling
from opskit.reporters.text import named, painted, plural, printable, shortened, some, typed
from opskit.rollout import run as runs
from opskit.rollout import step

_FEW = 50  # tenants: where there are more, those with nothing pending are only counted
_MANY = 200  # rows: where there would be more, those that need nothing from the operator are only counted
_NARROW = 60  # columns: on a terminal with fewer, a tenant is a sentence and not a row
_CAUSES = 5  # of many failures, that are told
_LONGEST = 200  # characters of an id that is to be typed again
_HEADERS = ("tenant", "status", "applied", "seconds", "what went wrong")
_GAP = 2  # blanks between columns; tabulate keeps as many behind a header
_LAST = (model.Status.SKIPPED, model.Status.FAILED, model.Status.UNKNOWN)  # what matters most stands last


Since = Mapping[str, tuple[str, str]]
"""{tenant_id: (a later run, what became of it there)} of those that a run left open, and who are home since."""


def as_json(run: runs.Run, run_id: str, environment: str, since: Since = MappingProxyType({})) -> str:
    """The run for machines; its shape is in docs/tasks.md."""
    outcomes = run.settled()
    later = {name: {"run_id": where, "status": status} for name, (where, status) in since.items()}
    return json.dumps(
        {
            "run_id": run_id,
            "environment": environment,
            "counts": run.counts(),
            "seconds": round(run.seconds(), 3),
            "tenants_seconds": round(run.tenants_seconds(), 3),
            "failures": [_group_as_data(group) for group in failures.grouped(outcomes)],
            "outcomes": [as_data(outcome) for outcome in outcomes],
            **({"since": later} if later else {}),
        }
    )


def _group_as_data(group: failures.Group) -> dict[str, Any]:
    tenants = [outcome.tenant for outcome in group.outcomes]
    return {"count": len(tenants), **asdict(group.fingerprint), "tenants": tenants}


def as_data(outcome: model.Outcome) -> dict[str, Any]:
    """An outcome for machines."""
    return {
        "tenant_id": outcome.tenant,
        "status": outcome.status.value,
        "applied": list(outcome.applied),
        "error": outcome.error,
        "seconds": round(outcome.seconds, 3),
        "attempt": outcome.attempt,
        "host": outcome.host,
        "verified": outcome.verified,
        "taken_back": list(outcome.taken_back),
        "fingerprint": asdict(outcome.fingerprint) if outcome.fingerprint else None,
    }


def as_table(
    run: runs.Run,
    folder: Path,
    environment: str,
    width: int | None = None,
    *,
    colours: bool = False,
    since: Since = MappingProxyType({}),
) -> str:
    """The run for people. `width` is the terminal's, None where long lines may stay whole."""
    outcomes = run.settled()
    left = tuple(outcome for outcome in outcomes if outcome.tenant not in since)
    parts = [table(outcomes, width, colours=colours), *_head(run, outcomes), *_since(since)]
    parts += [f"log: {_near(folder / 'run.log')}", *_next(run, left, folder, environment)]
    return "\n".join(part for part in parts if part)


def _since(since: Since) -> list[str]:
    """Who is home by now, those together that a run brought there."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, where in since.items():
        alike.setdefault(where, []).append(name)
    return [f"since then: {some(names)} {status} in run {run_id}." for (run_id, status), names in alike.items()]


def _head(run: runs.Run, outcomes: tuple[model.Outcome, ...]) -> list[str]:
    reason = run.finished.reason if run.finished else "it did not end"
    stopped = "" if reason == step.DONE else f" the run stopped: {reason}."
    unverified = sum(1 for each in outcomes if each.status is model.Status.MIGRATED and not each.verified)
    why = "this framework can't be asked what is pending" if reason != step.INTERRUPTED else "the run was left before"
    doubt = f"{plural(unverified, 'tenant')} could not be verified: {why}."
    counts = telling.counted(run.counts(), undoes=bool(run.undoes))
    return [
        f"{plural(len(outcomes), 'tenant')}: {counts}.{printable(stopped)}",
        _took_back(run, outcomes) if run.undoes else "",
        _took(run),
        doubt if unverified else "",
        f"what is required first was overridden: {printable(run.override)}" if run.override else "",
    ]


def _took_back(run: runs.Run, outcomes: tuple[model.Outcome, ...]) -> str:
    if any(each.taken_back for each in outcomes):
        return f"it took back what run {run.undoes} applied."
    if all(each.status is model.Status.CURRENT for each in outcomes):
        return f"nothing was left of what run {run.undoes} applied."
    return f"nothing of what run {run.undoes} applied was taken back."


def _took(run: runs.Run) -> str:
    """How long, for who asks what a night took: with its pauses, and without."""
    if run.began_at is None:
        return ""
    alone = f", pauses included; the tenants' commands took {durations.show(run.tenants_seconds())}"
    return f"it took {durations.show(run.seconds())}{alone if run.tenants_seconds() else ''}."


def table(outcomes: Iterable[model.Outcome], width: int | None, *, colours: bool = False) -> str:
    """Outcomes as a table, those that went wrong last, where the eye is when it is printed."""
    everyone = sorted(outcomes, key=lambda each: _LAST.index(each.status) if each.status in _LAST else -1)
    rows = _worth_a_row(everyone)
    below = [*_left_out(everyone, rows), *_alike(everyone, rows)]
    if not rows:
        return "\n".join(below)
    cells = [_cells(each) for each in rows]
    shown = _narrow(cells, width) if width and width < _NARROW else _wide(cells, width, colours=colours)
    return "\n".join([shown, *below])


def _narrow(cells: list[tuple[str, ...]], width: int) -> str:
    """Sentences, wrapped: a table's columns would fall over each other."""
    told = (": ".join(part for part in (name, status, error) if part) for name, status, _, _, error in cells)
    return "\n".join(textwrap.fill(each, max(width, 10), subsequent_indent="  ") for each in told)


def _wide(cells: list[tuple[str, ...]], width: int | None, *, colours: bool) -> str:
    from tabulate import tabulate  # noqa: PLC0415 - start-up time

    room = _room(cells, width)
    if colours:
        cells = [(name, painted(status, status), *rest) for name, status, *rest in cells]
    return tabulate(
        cells,
        headers=_HEADERS,
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left", "right", "right", "left"),
        maxcolwidths=[None, None, None, None, room] if room else None,
    )


def _worth_a_row(outcomes: list[model.Outcome]) -> list[model.Outcome]:
    """The outcomes that a person wants to see; of few, all of them.

    Of many, those go first that need nothing: current, then migrated, then skipped. Whoever is left is cut at
    the front, since what matters most stands last.
    """
    rows = outcomes
    for dull, most in ((model.Status.CURRENT, _FEW), (model.Status.MIGRATED, _MANY), (model.Status.SKIPPED, _MANY)):
        if len(rows) > most:
            rows = [each for each in rows if each.status is not dull]
    return rows[-_MANY:]


def _left_out(everyone: list[model.Outcome], rows: list[model.Outcome]) -> list[str]:
    """Who has no row, and of many failures what they have in common."""
    shown = {each.tenant for each in rows}
    others = collections.Counter(each.status for each in everyone if each.tenant not in shown)
    others.pop(model.Status.CURRENT, None)  # the counts below name them, and nothing was done
    if not others:
        return []
    named_ = telling.counted({status: others[status] for status in model.Status})
    return [f"and without a row: {named_}. `invoke show-run --format=json` has everyone."]


def _alike(everyone: list[model.Outcome], rows: list[model.Outcome]) -> list[str]:
    """What several failures have in common; where not every failure has a row, what most have."""
    groups = failures.grouped(everyone)
    all_there = groups == failures.grouped(rows)
    worth = [group for group in groups if len(group.outcomes) > 1 or not all_there]
    most = [f"{plural(len(group.outcomes), 'tenant')}: {printable(group.told)}" for group in worth[:_CAUSES]]
    return most + ([f"and {plural(len(worth) - _CAUSES, 'more cause')}"] if len(worth) > _CAUSES else [])


def _cells(outcome: model.Outcome) -> tuple[str, ...]:
    return (
        named(outcome.tenant),
        _status(outcome),
        _applied(outcome) if outcome.attempt else "",
        f"{outcome.seconds:.1f}" if outcome.attempt else "",
        printable(outcome.error),
    )


def _status(outcome: model.Outcome) -> str:
    back = outcome.status is model.Status.MIGRATED and outcome.taken_back
    return "taken back" if back else outcome.status.value


def _applied(outcome: model.Outcome) -> str:
    """How many; what was taken back counts downwards."""
    return str(len(outcome.applied) - len(outcome.taken_back))


def _room(cells: list[tuple[str, ...]], width: int | None) -> int | None:
    """The columns that are left for what went wrong, at least enough for a few words."""
    if width is None:
        return None
    taken = sum(max(*(len(row[at]) for row in cells), len(_HEADERS[at]) + _GAP) + _GAP for at in range(4))
    return max(20, width - taken)


def _next(run: runs.Run, outcomes: tuple[model.Outcome, ...], folder: Path, environment: str) -> list[str]:
    """The next command to type."""
    if run.undoes:
        return _next_back(run.undoes, outcomes, folder, environment)
    by_status = {status: [each for each in outcomes if each.status is status] for status in model.Status}
    if any(each.tenant == model.SHARED.id and each.status in _LAST for each in outcomes):
        return [f"next: fix the cause, then `invoke migrate-all --env={environment} --shared`."]  # no tenant has a plan
    again = f"`invoke migrate-all --env={environment} --resume`"
    if by_status[model.Status.UNKNOWN]:
        return [f"next: {again} asks the host and the databases first, and starts nothing that may still be at work."]
    if by_status[model.Status.FAILED]:
        return _after_failures(by_status[model.Status.FAILED], again, folder, environment)
    if by_status[model.Status.SKIPPED]:
        return [f"next: {again} goes on with those that are left."]
    status = " --status" if _can_be_asked(outcomes) else ""
    return [f"next: `invoke show-tenants --env={environment}{status}`"]


def _after_failures(failed: list[model.Outcome], again: str, folder: Path, environment: str) -> list[str]:
    """The first failure with a cause to fix; whom the operator ended has none."""
    caused = [each for each in failed if not each.error.startswith(django.INTERRUPTED)]
    if not caused:
        whom = (
            f"`{named(failed[0].tenant)}`" if len(failed) == 1 else plural(len(failed), "tenant") + " that were ended"
        )
        return [f"next: {again} goes on with those that are left, {whom} included."]
    name = caused[0].tenant
    one = f"`invoke migrate-tenant --env={environment} --tenant-id={typed(name)}`, or "
    one = one if len(name) <= _LONGEST else ""
    return [_output_of(caused[0], folder), f"next: fix the cause, then {one}{again} for all that are left."]


def _next_back(undone: str, outcomes: tuple[model.Outcome, ...], folder: Path, environment: str) -> list[str]:
    """The next command to type after a run was taken back."""
    again = f"`invoke undo --run={undone} --yes`"
    open_ = [each for each in outcomes if each.status in _LAST]
    sent = [each for each in open_ if each.attempt]
    if open_:
        return [
            _output_of(sent[0], folder) if sent else "",
            f"next: `invoke undo --run={undone}` shows what is left; {again} goes on, and starts nothing at work.",
        ]
    return [
        f"next: deploy code without these migrations: `invoke migrate-all --env={environment}` would apply them again."
    ]


def _can_be_asked(outcomes: tuple[model.Outcome, ...]) -> bool:
    """Whether this framework tells what is pending: then whatever was tried has been verified."""
    tried = [each for each in outcomes if each.attempt]
    return not tried or any(each.verified for each in tried)


def _output_of(outcome: model.Outcome, folder: Path) -> str:
    file = journal.tenant_file(folder, outcome.tenant)
    return f"output of {named(outcome.tenant)}: {_near(file)}" if file.exists() else ""


def _near(path: Path) -> str:
    """A path as one would type it here."""
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except ValueError:
        return printable(str(path))


# ---------------------------------------------------------------- many runs


@dataclass(frozen=True)
class Past:
    """One run as a list of runs shows it. What nobody knows is None, or empty."""

    run_id: str
    environment: str
    going_on: bool
    operator: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float | None = None  # that it was going on, pauses included
    tenants_seconds: float | None = None  # that its tenants' commands took
    counts: Mapping[str, int] = field(default_factory=dict)  # {status: tenants}
    reason: str = ""  # "done", or why it ended
    undoes: str = ""  # the run that it takes back
    error: str = ""  # why its record can't be read


def past(folder: Path) -> Past:
    """One run; a record that can't be read is no reason to hide the others."""
    run_id, environment, going_on = folder.name, journal.environment_of(folder.name), journal.going_on(folder)
    try:
        run = journal.glance(folder)
    except errors.JournalError as error:
        return Past(run_id, environment, going_on, error=str(error))
    ended = None if going_on else run.finished  # of one that goes on again, the end of its last part
    return Past(
        run_id,
        environment,
        going_on,
        operator=run.started.operator if run.started else "",
        started_at=run.started.at if run.started else None,
        ended_at=ended.at if ended else None,
        seconds=round(run.seconds(), 3) if ended else None,
        tenants_seconds=ended.tenants_seconds if ended else None,
        counts=ended.counts if ended else run.counts(),
        reason=ended.reason if ended else "",
        undoes=run.undoes,
    )


def history_as_json(folders: Iterable[Path]) -> str:
    """A list, an object a run with the fields of Past."""
    return json.dumps([asdict(past(folder)) for folder in folders], default=journal.plain)


def history(folders: Iterable[Path], width: int | None = None) -> str:
    """A table of runs, one a folder. The environment stands in a run's id."""
    headers = ("run", "by", "tenants", "took", "commands", "how it ended")
    rows = [_row(past(each)) for each in folders]
    return tables.table(headers, rows, width, folds=("tenants", "how it ended"), least=("commands", "by"))


def _row(run: Past) -> tuple[str, ...]:
    if run.error:
        return (printable(run.run_id), "", "", "", "", printable(run.error))
    return (
        printable(run.run_id),
        printable(run.operator),
        telling.counted(run.counts, undoes=bool(run.undoes)),
        "" if run.seconds is None else durations.show(run.seconds),
        "" if run.tenants_seconds is None else durations.show(run.tenants_seconds),
        _ending(run),
    )


def _ending(run: Past) -> str:
    if run.going_on:
        return "it is going on"
    return shortened(printable(run.reason)) or "no end recorded: it was killed"
