"""Takes back what a run applied: how each tenant gets there, and who must not be touched now."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from opskit import errors, frameworks, journal, model
from opskit.frameworks import undo as question
from opskit.reporters.text import plural, printable, some, typed
from opskit.rollout import resume, undo
from opskit.rollout import run as runs
from opskit.tasks import project, wiring
from opskit.tasks.task import answer, answer_data, complain
from opskit.transport import fleet

_FEW = 50  # tenants that have a command each; of more, those that go the same way share one
_UNTOLD = model.WayBack(refusal="asking how to take it back did not mention it")


def find(root: Path, wanted: str) -> tuple[Path, runs.Run]:
    """The run that is to be taken back. Raises UsageError."""
    folder = journal.find(root, wanted)
    environment = journal.environment_of(folder.name)
    if journal.going_on(folder):
        raise errors.UsageError(
            f"--run: `{folder.name}` is going on", hint=f"`invoke stop --env={environment}` ends it first."
        )
    run = journal.load(folder)
    if run.undoes:
        raise errors.UsageError(
            f"--run: `{folder.name}` took back what `{run.undoes}` applied",
            hint=f"`invoke migrate-all --env={environment}` applies it again.",
        )
    return folder, run


def environment_of(folder: Path) -> str:
    return journal.environment_of(folder.name)


def meant(folder: Path, run: runs.Run) -> project.Undo:
    return project.Undo(folder.name, undo.changed(run), undo.uncertain(run))


UNSURE = "nobody knows what the run did there"


def told(lost: tuple[str, ...], environment: str, run_id: str) -> str:
    """Who is not taken back since nobody knows what the run did there, and what to type."""
    again = f"`invoke migrate-all --env={environment} --resume={run_id}` finds out"
    return f"not taken back: {plural(len(lost), 'tenant')} ({some(lost)}): {UNSURE}. {again}"


def refuse_framework(asked: project.Project) -> None:
    """Raises UsageError where the project can't say what can be reversed."""
    asked.find_framework()
    if not question.can_be_asked(asked.framework):
        raise errors.UsageError(
            f"`{asked.framework.name}` can't say what can be reversed: it has commands of its own",
            hint="take it back with those.",
        )


def ways(asked: project.Project, undo: project.Undo) -> dict[str, model.WayBack]:
    """{tenant_id: way back} of the run's tenants. Raises UsageError, ListingError."""
    refuse_framework(asked)
    sets = list(dict.fromkeys(undo.applied.values()))
    if not sets:
        return {}
    reply = asked.fleet.ask(asked.timed(question.command(asked.framework, sets)))
    told: Mapping[str, tuple[model.WayBack, ...]] = asked.read(question.read, reply)
    found = {}
    for name, applied in undo.applied.items():
        each = told.get(name, (_UNTOLD,))
        found[name] = each[sets.index(applied)] if len(each) == len(sets) else each[0]
    return found


def held(asked: project.Project, undo: project.Undo, run_id: str = "") -> dict[str, str]:
    """{tenant_id: why it must not be started}: an earlier try to take it back may still be at work.

    `run_id` is this run's own.
    """
    found: dict[str, str] = {}
    for name, (folder, outcome) in _lost(asked.environment, undo, run_id).items():
        why = resume.still_open(outcome, outcome.host, (asked.fleet.host,))
        survey = None if why else asked.survey([name], run_id=folder.name)
        busy = survey is not None and asked.fleet.application_name(name, folder.name) in survey.busy
        if why or busy:
            found[name] = why or f"the connection of run {folder.name} is still at work in PostgreSQL"
    return found


def _lost(environment: model.Environment, undo: project.Undo, run_id: str) -> dict[str, tuple[Path, model.Outcome]]:
    """{tenant_id: (run, outcome)} of those that the newest try to take them back lost sight of."""
    newest: dict[str, tuple[Path, model.Outcome]] = {}
    for folder in journal.history(Path(environment.root), environment.name):
        started = journal.beginning(folder)
        if started and started.undoes == undo.run_id and folder.name != run_id:
            for outcome in journal.load(folder).settled():
                if outcome.attempt:
                    newest.setdefault(outcome.tenant, (folder, outcome))
    return {name: each for name, each in newest.items() if each[1].status is model.Status.UNKNOWN}


# ---------------------------------------------------------------- shown


def show(environment: model.Environment, options: project.Options, run: runs.Run) -> int:
    """Print how each tenant gets back. No lock, no journal, no trace."""
    asked_for = options.undo
    assert asked_for is not None  # noqa: S101 - for mypy
    with wiring.reachable(environment) as reached, contextlib.closing(fleet.Fleet(reached, notice=complain)) as hosts:
        asked = project.Project(reached, frameworks.get(reached), hosts)
        found = ways(asked, asked_for)
        for name, why in held(asked, asked_for).items():
            if name in found and found[name].left:
                found[name] = replace(found[name], refusal=why)
    if options.json:
        answer_data(as_json(asked_for.run_id, run, environment.name, found))
    else:
        words = [word for word in sys.argv[1:] if word not in ("--dry", "-R", "--yes")]
        answer(as_text(asked_for.run_id, run, environment.name, found, words))
    return 0


def as_json(run_id: str, run: runs.Run, environment: str, found: Mapping[str, model.WayBack]) -> str:
    """The ways back for machines; their shape is in docs/tasks.md."""
    tenants = [
        {
            "tenant_id": name,
            "takes_back": way.left,
            "steps": [{"app_label": app, "migration_name": migration} for app, migration in way.steps],
            "loses": way.loses,
            "error": way.refusal,
        }
        for name, way in found.items()
    ]
    told = {"run_id": run_id, "environment": environment, "shared": undo.shared(run), "tenants": tenants}
    return json.dumps({**told, "uncertain": undo.uncertain(run)})


def as_text(
    run_id: str, run: runs.Run, environment: str, found: Mapping[str, model.WayBack], words: Sequence[str] = ()
) -> str:
    """The ways back for people, those that go the same way together, and the next command to type: `words` and --yes.

    With its pace and its limits it does what was looked at.
    """
    able = {name: way for name, way in found.items() if way.left and not way.refusal}
    parts = [part for way, names in _alike(able).items() for part in _way(way, names, environment, len(able))]
    loses = dict.fromkeys(each for way in able.values() for each in way.loses)
    if loses:
        parts.append(f"with it goes what was written there since: {some(list(loses), 10)}.")
    parts += _not_back(run_id, run, environment, found)
    if able:
        again = " ".join(["invoke", *map(typed, words or ("undo", f"--run={run_id}")), "--yes"])
        parts.append(f"next: `{again}` takes {plural(len(able), 'tenant')} back.")
    return "\n".join(parts or [f"nothing is left to take back of run {run_id}."])


def _not_back(run_id: str, run: runs.Run, environment: str, found: Mapping[str, model.WayBack]) -> Iterable[str]:
    """Who is not taken back, and what."""
    for why, names in _refused(found).items():
        yield f"not taken back: {plural(len(names), 'tenant')} ({some(names)}): {printable(why)}."
    lost = undo.uncertain(run)
    if lost:
        yield f"{told(lost, environment, run_id)}."
    if undo.shared(run):
        yield f"the shared database keeps {some(undo.shared(run))}: that is taken back by hand, and last."
    done = sum(1 for way in found.values() if not way.left and not way.refusal)
    if 0 < done < len(found):
        yield f"{done} of {plural(len(found), 'tenant')} {'has' if done == 1 else 'have'} nothing left of it."


def _alike(able: Mapping[str, model.WayBack]) -> dict[model.WayBack, list[str]]:
    alike: dict[model.WayBack, list[str]] = {}
    for name, way in able.items():
        alike.setdefault(way, []).append(name)
    return alike


def _refused(found: Mapping[str, model.WayBack]) -> dict[str, list[str]]:
    alike: dict[str, list[str]] = {}
    for name, way in found.items():
        if way.refusal:
            alike.setdefault(way.refusal, []).append(name)
    return alike


def _way(way: model.WayBack, names: list[str], environment: str, everyone: int) -> Iterable[str]:
    yield f"{plural(len(names), 'tenant')} ({some(names)}): {some(way.left, 10)}"
    each = names if everyone <= _FEW else [""]
    for name in each:
        who = f"--tenant-id={typed(name)}" if name else "--tenant-id=…"
        for app, migration in way.steps:
            target = f"--app-label={typed(app)} --migration-name={typed(migration)}"
            yield f"  `invoke migrate-tenant --env={environment} {who} {target}`"
