"""`runs` and `show-run`: what the journals say."""

from __future__ import annotations

import invoke

from opskit.tasks.task import FORMAT, answer, one_of, root, show_summary, task


@task(help={"env": "only this environment's runs"})
def runs(context: invoke.Context, env: str | None = None) -> None:  # noqa: ARG001 - Invoke passes it
    """List the runs there were, newest first."""
    from opskit import inventory, journal  # noqa: PLC0415 - start-up time
    from opskit.reporters import summary  # noqa: PLC0415

    here = root()
    folders = journal.history(here, env)
    if env is not None and not folders:
        inventory.choose(here, env, None)  # a name that never was one
    answer(summary.history(folders) if folders else "there are no runs yet.")


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
    show_summary(journal.load(folder), folder, journal.environment_of(folder.name), as_json=as_json)
