"""A run that is going on, as its journal tells it: for people, and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from opskit import control, durations, errors, journal
from opskit.reporters import tables
from opskit.reporters.text import named, printable
from opskit.rollout import eta
from opskit.rollout import run as runs


@dataclass(frozen=True)
class AtWork:
    """A tenant whose command is running. Times are in seconds; what nobody knows is None."""

    tenant: str
    host: str
    attempt: int
    seconds: float  # that it has been at work
    usual: float | None  # that it took the last time


@dataclass(frozen=True)
class Now:
    """One run at one moment. Times are in seconds; what nobody knows is None, or empty.

    `host`, `tenant`, `attempt`, `seconds` and `usual` are those of the first that is `at_work`.
    """

    run_id: str
    environment: str
    operator: str
    host: str
    state: str  # "asking", "migrating", "taking back", "waiting", "pausing", "stopping", or why it is paused
    tenant: str
    attempt: int
    seconds: float | None
    usual: float | None
    done: int  # tenants whose command has ended
    total: int  # tenants that get a command
    left: float | None  # until the run ends, pauses included
    at_work: tuple[AtWork, ...]


def look(folder: Path, now: datetime) -> Now:
    """What the run of a folder is doing. Raises JournalError."""
    run = journal.load(folder)
    started = run.started
    ids = [tenant.id for plan in run.plans for batch in plan.batches for tenant in batch.tenants]
    ended = [name for name in dict.fromkeys(ids) if name not in run.ahead and name in run.outcomes]
    expected = {name: usual for plan in run.plans for name, usual in plan.expected.items()}
    at_work = tuple(
        AtWork(name, begun.host, begun.attempt, (now - begun.at).total_seconds(), expected.get(name))
        for name, begun in run.at_work.items()
    )
    first = at_work[0] if at_work else None
    return Now(
        run_id=folder.name,
        environment=journal.environment_of(folder.name),
        operator=started.operator if started else "",
        host=first.host if first else (started.host if started else ""),
        state=_state(run, control.heard(folder)),
        tenant=first.tenant if first else "",
        attempt=first.attempt if first else 0,
        seconds=first.seconds if first else None,
        usual=first.usual if first else None,
        done=len(ended),
        total=len(set(ids)),
        left=_left(run, ended, now),
        at_work=at_work,
    )


def _state(run: runs.Run, said: control.Said) -> str:
    if said.word == control.STOP:
        return "stopping"
    if said.word == control.PAUSE:
        return "pausing" if run.at_work else said.reason
    if run.at_work:
        return "taking back" if run.undoes else "migrating"
    return "waiting" if run.ahead else "asking"


def _left(run: runs.Run, ended: list[str], now: datetime) -> float | None:
    estimate = eta.Eta()
    for plan in run.plans:
        estimate.take(plan)
    for name in ended:
        estimate.done(run.outcomes[name])
    return estimate.seconds(
        at_work={name: (now - started.at).total_seconds() for name, started in run.at_work.items()},
        idle=(now - run.last_end).total_seconds() if run.last_end else None,
    )


def as_json(folders: Iterable[Path], now: datetime) -> str:
    """A list, an object a run with the fields of Now."""
    return json.dumps([asdict(look(folder, now)) for folder in folders])


def as_table(folders: Iterable[Path], now: datetime, width: int | None = None) -> str:
    """A row a run, as wide as the terminal; None lets lines stay whole."""
    found = []
    for folder in folders:
        try:
            found.append(_row(look(folder, now)))
        except errors.JournalError as error:  # a record that can't be read must not hide the others
            found.append((printable(folder.name), "", printable(str(error)), "", "", "", ""))
    if not found:
        return "no run is going on here."
    headers = ("run", "by", "state", "done", "at work", "for", "left")
    return tables.table(headers, found, width, folds=("state",), least=("by",))


def _row(now: Now) -> tuple[str, ...]:
    return (
        now.run_id,
        printable(now.operator),
        printable(now.state),
        f"{now.done} of {now.total}",
        "\n".join(f"{named(each.tenant)} on {printable(each.host)}" for each in now.at_work),
        "\n".join(_time(each) for each in now.at_work),
        durations.show(now.left) if now.left is not None else "?",
    )


def _time(each: AtWork) -> str:
    usual = f" (usually {durations.show(each.usual)})" if each.usual is not None else ""
    return f"{durations.show(each.seconds)}{usual}"


def obeyed(run: runs.Run, folder: Path, word: str, *, new: bool) -> str:
    """What becomes of the word that was said, which may be no news, and what to type next."""
    name = journal.environment_of(folder.name)
    at_work = " and ".join(f"`{named(each)}`" for each in run.at_work)
    first = f"{at_work} {'is' if len(run.at_work) == 1 else 'are'} finished first; " if at_work else ""
    if word == control.PAUSE:
        return f"{folder.name}: {first}nothing else starts until `invoke continue --env={name}`."
    if word == control.STOP:
        return f"{folder.name}: {first}nothing else starts. `invoke {_later(run, name)}` goes on later."
    goes_on = "it goes on" if new else "it was not paused"
    return f"{folder.name}: {goes_on}. `invoke status --env={name}` shows how far it is."


def _later(run: runs.Run, environment: str) -> str:
    if run.undoes:
        return f"undo --run={run.undoes} --yes"
    return f"migrate-all --env={environment} --resume"
