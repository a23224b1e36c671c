"""`status`, `pause`, `continue` and `stop`: a run that is going on, from another terminal."""

from __future__ import annotations

from pathlib import Path

import invoke

from opskit import errors
from opskit.tasks.task import FORMAT, answer, answer_data, one_of, root, task, width

_WHICH = {
    "env": "the environment whose run is meant (default: the only run that is going on)",
    "run": "the run's id, or its beginning",
}


@task(help={**_WHICH, "env": "only this environment's runs", "format": FORMAT})
def status(
    context: invoke.Context,  # noqa: ARG001 - Invoke passes it
    env: str | None = None,
    run: str | None = None,
    format: str = "table",
) -> None:
    """Show the runs that are going on: what is at work where, for how long, and how long it usually takes."""
    from datetime import UTC, datetime  # noqa: PLC0415 - start-up time

    from opskit.reporters import status as reporter  # noqa: PLC0415

    as_json = one_of("format", format, ("table", "json")) == "json"
    folders = _going_on(env, run)
    now = datetime.now(UTC)
    if as_json:
        answer_data(reporter.as_json(folders, now))
    else:
        answer(reporter.as_table(folders, now, width()))


@task(help=_WHICH)
def pause(context: invoke.Context, env: str | None = None, run: str | None = None) -> None:  # noqa: ARG001
    """Let the tenant at work finish, and start no other until `continue`."""
    from opskit import control  # noqa: PLC0415 - start-up time

    _say(control.PAUSE, env, run)


@task(help=_WHICH, name="continue")
def continue_(context: invoke.Context, env: str | None = None, run: str | None = None) -> None:  # noqa: ARG001
    """Let a paused run go on."""
    from opskit import control  # noqa: PLC0415 - start-up time

    _say(control.CONTINUE, env, run)


@task(help=_WHICH)
def stop(context: invoke.Context, env: str | None = None, run: str | None = None) -> None:  # noqa: ARG001
    """Let the tenant at work finish, and end the run with its summary."""
    from opskit import control  # noqa: PLC0415 - start-up time

    _say(control.STOP, env, run)


def _say(word: str, env: str | None, run: str | None) -> None:
    from opskit import control, journal  # noqa: PLC0415 - start-up time
    from opskit.reporters import status as reporter  # noqa: PLC0415
    from opskit.tasks import wiring  # noqa: PLC0415

    folders = _going_on(env, run)
    if len(folders) != 1:
        hint = "`invoke status` shows them." if folders else "`invoke runs` lists what there was."
        raise errors.UsageError(_none_or_many(folders, env), hint=hint)
    new = word != control.CONTINUE or control.holds_up(folders[0])
    if new:
        control.say(folders[0], control.Said(word, wiring.operator()))
    answer(reporter.obeyed(journal.load(folders[0]), folders[0], word, new=new))


def _none_or_many(folders: list[Path], env: str | None) -> str:
    if not folders:
        return f"no run{f' of `{env}`' if env else ''} is going on here"
    names = ", ".join(f"`{folder.name}`" for folder in folders)
    return f"more than one run is going on ({names}): --run says which"


def _going_on(env: str | None, run: str | None) -> list[Path]:
    """The folders of the runs that this machine's processes write, newest first. Raises UsageError."""
    from opskit import inventory, journal  # noqa: PLC0415 - start-up time

    here = root()
    if env is not None:
        inventory.choose(here, env, None)  # a name that never was one
    folders = journal.history(here, env)
    if run is not None:
        folders = [folder for folder in folders if folder == journal.find(here, run)]
    return [folder for folder in folders if journal.going_on(folder)]
