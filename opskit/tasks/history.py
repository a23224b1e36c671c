"""`runs` and `show-run`: what the journals say."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from opskit.tasks.task import FORMAT, answer, answer_data, one_of, root, show_summary, task, width

if TYPE_CHECKING:
    from opskit.rollout import run as runs_


@task(help={"env": "only this environment's runs", "format": FORMAT})
def runs(context: invoke.Context, env: str | None = None, format: str = "table") -> None:  # noqa: ARG001 - Invoke passes it
    """List the runs there were, newest first."""
    from opskit import inventory, journal  # noqa: PLC0415 - start-up time
    from opskit.reporters import summary  # noqa: PLC0415

    as_json = one_of("format", format, ("table", "json")) == "json"
    here = root()
    folders = journal.history(here, env)
    if env is not None and not folders:
        inventory.choose(here, env, None)  # a name that never was one
    if as_json:
        answer_data(summary.history_as_json(folders))
    else:
        answer(summary.history(folders, width()) if folders else "there are no runs yet.")


@task(help={"run": "the run's id, or its beginning (default: the newest)", "format": FORMAT})
def show_run(
    context: invoke.Context,  # noqa: ARG001 - Invoke passes it
    run: str | None = None,
    format: str = "table",
) -> None:
    """Show a run's summary again."""
    from opskit import journal  # noqa: PLC0415 - start-up time

    as_json = one_of("format", format, ("table", "json")) == "json"
    folder = journal.find(root(), run)
    shown = journal.load(folder)
    name = journal.environment_of(folder.name)
    show_summary(shown, folder, name, as_json=as_json, since=_since(folder, shown))


def _since(folder: Path, shown: runs_.Run) -> dict[str, tuple[str, str]]:
    """{tenant_id: (run, status)} of those that the run left open, and that the newest later run with them brought home.

    A run of one app says nothing about the others.
    """
    from opskit import errors, journal, model  # noqa: PLC0415 - start-up time

    home = (model.Status.MIGRATED, model.Status.CURRENT)
    found = {each.tenant: ("", each.status.value) for each in shown.settled() if each.status not in home}
    for other in reversed(journal.history(root(), journal.environment_of(folder.name))) if found else ():
        with contextlib.suppress(errors.JournalError):  # a record that can't be read says nothing
            later = journal.load(other)
            if other != folder and later.started and not later.started.app_label and _ended(later) > _ended(shown):
                back = "taken back" if later.started.undoes else ""
                told = {each.tenant: each for each in later.settled() if each.tenant in found}
                found |= {
                    name: (other.name if each.status in home else "", back or each.status.value)
                    for name, each in told.items()
                    if each.status is not model.Status.SKIPPED
                }
    return {name: each for name, each in found.items() if each[0]}


def _ended(run: runs_.Run) -> datetime:
    """When a run ended; of one that was killed, when it began."""
    told = run.finished or run.started
    return told.at if told else datetime.min.replace(tzinfo=UTC)
