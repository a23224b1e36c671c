"""`migrate-all` and `migrate-tenant`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import invoke

from opskit import errors, model, selections
from opskit.tasks.task import ENV, FORMAT, duration, environment, one_of, root, task

_COMMON = {
    "env": ENV,
    "lock-timeout": "how long a statement may wait for a lock, in PostgreSQL: `5s`, or `none`",
    "statement-timeout": "how long a statement may run, in PostgreSQL: `10min`, or `none`",
    "timeout": "how long one tenant may take before its processes are ended: `30m`, or `none`",
    "override-requires": "why the environments are not asked that the inventory's `requires` names; it is written down",
    "lock-wait": "how long to wait for the lock where another run holds it: `10m` (default: not at all)",
    "runner": "how the host starts commands: `auto`, `warm` (the project is loaded once) or `cold`",
    "yes": "answer the confirmation that the inventory asks for",
    "format": FORMAT,
    "log-file": "write the log to this file, too",
    "v": "show all that the commands print",
}
_OF_UNDO = ("lock-timeout", "statement-timeout", "timeout", "runner", "lock-wait", "format", "log-file", "v")


@task(
    help={
        **_COMMON,
        "stagger": "the pause between the end of one tenant and the start of the next: `60`, `60s`, `10m`",
        "forks": "how many tenants at a time, spread over the hosts (default: 1); not together with a stagger",
        "tenants": "only these: ids, globs or @files of them, with commas between them",
        "exclude": "not these: ids, globs or @files of them, with commas between them",
        "canary": "these first, alone: a count, or ids, globs, @files; a failure stops the run. `=3` is the tenant 3",
        "max-failures": "stop when more than this many have failed: `3`, or `5%` of the run",
        "fail-fast": "stop at the first failure",
        "stop-after-same": "stop when so many tenants in a row have failed alike: `3`",
        "retries": "how often to try a tenant again that failed of a lock or a deadlock",
        "order": "`listed`, `name`, `smallest-first` or `slowest-first`, as the last runs tell",
        "until": "start no tenant after this time of day (`06:00`), and none that would overrun it",
        "max-duration": "start no tenant after this long (`2h`), and none that would overrun it",
        "gate": "a command that is asked before each tenant: exit 0 goes on, 1 stops, 2 waits and is asked again",
        "pause-after-canary": "wait for a person (or for --gate) when the canary is home",
        "go-on": "start the others although nobody knows how one ended, from another host where one was lost",
        "resume": "go on with this run (default: the newest that left tenants behind), with those that are not home",
        "changed-code": "resume although the code's migrations are not those that were planned",
        "all": "run the command for tenants with nothing pending, too",
        "shared": "migrate the shared (master, public) database first, where it has pending migrations",
        "plan": "show what would be done, and do nothing",
        "sql": "show the SQL of each pending migration, too, and what squawk says of it; needs --plan",
        "out": "write the plan to this file, too, for somebody to review and --apply to run; needs --plan",
        "apply": "run the plan in this file: refused where revision, migrations, tenants or what is pending differ",
    },
    optional=("resume",),
)
def migrate_all(
    context: invoke.Context,
    env: str | None = None,
    stagger: str | None = None,
    forks: str | None = None,
    tenants: str | None = None,
    exclude: str | None = None,
    canary: str | None = None,
    max_failures: str | None = None,
    fail_fast: bool = False,
    stop_after_same: str | None = None,
    retries: str | None = None,
    order: str | None = None,
    until: str | None = None,
    max_duration: str | None = None,
    gate: str | None = None,
    pause_after_canary: bool = False,
    go_on: bool = False,
    resume: Any = None,
    changed_code: bool = False,
    all: bool = False,
    shared: bool = False,
    plan: bool = False,
    sql: bool = False,
    out: str | None = None,
    apply: str | None = None,
    lock_timeout: str | None = None,
    statement_timeout: str | None = None,
    timeout: str | None = None,
    override_requires: str | None = None,
    lock_wait: str | None = None,
    runner: str | None = None,
    yes: bool = False,
    format: str = "table",
    log_file: str | None = None,
    v: bool = False,
) -> int:
    """Migrate every tenant that has something pending, one after the other, or --forks of them at a time."""
    typed = locals()  # of which `pacing` takes its own
    from opskit.tasks import (  # noqa: PLC0415 - start-up time
        flow,
        pacing,
        planning,
        project,
        requiring,
        resuming,
        reviewing,
        timeouts,
    )

    options = project.Options(
        only=selections.patterns("tenants", tenants),
        exclude=selections.patterns("exclude", exclude),
        everything=all,
        shared=shared,
        sql=sql,
        override=override_requires or "",
        **_common(lock_wait, yes, format, log_file, v),
    )
    planned = plan or context.config.run.dry
    if sql and not planned:
        raise errors.UsageError("--sql needs --plan")
    if fail_fast and max_failures is not None:
        raise errors.UsageError("--fail-fast and --max-failures contradict each other")
    _resumable(options, resume, changed_code=changed_code)
    how = pacing.changes(typed | ({"max_failures": "0"} if fail_fast else {}))
    how |= timeouts.changes(lock_timeout, statement_timeout)
    limits = _limits(timeout, runner)
    if apply is not None:
        if resume:
            raise errors.UsageError("--apply begins a run, and --resume goes on with one: give one of them")
        options, env = reviewing.applying(apply, options, env)
        how = reviewing.controls(options, how, fail_fast=fail_fast)
        limits = reviewing.limits(options, limits)
    chosen = environment(context, env if env is not None else _of_the_run(resume))
    requiring.refuse_flag(chosen, override_requires)
    if resume:
        options = resuming.options(options, chosen, "" if resume is True else resume, changed_code=changed_code)
        limits = resuming.limits(options) | limits
    chosen = replace(chosen, rollout=replace(resuming.controls(options, chosen), **how), **limits)
    if resume:
        resuming.refuse_hidden(chosen.rollout)
    pacing.one_or_many(chosen.rollout, how if apply is None else {}, _others(apply, resume))
    pacing.someone_to_ask(chosen.rollout)
    if out is not None:
        options = reviewing.writing(out, options, chosen, planned=planned)
    return (planning.show_plan if planned else flow.migrate)(chosen, options)


@task(
    help={
        **_COMMON,
        "tenant-id": "the tenant",
        "app-label": "migrate only this app",
        "migration-name": "migrate the app up or down to this migration",
    }
)
def migrate_tenant(
    context: invoke.Context,
    tenant_id: str | None = None,
    env: str | None = None,
    app_label: str | None = None,
    migration_name: str | None = None,
    lock_timeout: str | None = None,
    statement_timeout: str | None = None,
    timeout: str | None = None,
    override_requires: str | None = None,
    lock_wait: str | None = None,
    runner: str | None = None,
    yes: bool = False,
    format: str = "table",
    log_file: str | None = None,
    v: bool = False,
) -> int:
    """Migrate one tenant, again after a fix, or to a migration of one app."""
    from opskit.tasks import flow, planning, project, requiring, timeouts  # noqa: PLC0415 - start-up time

    if not tenant_id:
        raise errors.UsageError("--tenant-id says which tenant. `invoke show-tenants` lists them.")
    for flag, value in (("app-label", app_label), ("migration-name", migration_name)):
        if value is not None and (not value or value.startswith("-")):
            raise errors.UsageError(f"--{flag}: expected a name, found `{value}`")
    if migration_name and not app_label:
        raise errors.UsageError("--migration-name needs --app-label: names are an app's own.")
    options = project.Options(
        tenant_id=tenant_id,
        everything=True,
        app_label=app_label or "",
        migration_name=migration_name or "",
        override=override_requires or "",
        **_common(lock_wait, yes, format, log_file, v),
    )
    limits = _limits(timeout, runner)
    how: dict[str, Any] = {"canary": model.Canary(), "forks": 1}  # it is one tenant
    how |= timeouts.changes(lock_timeout, statement_timeout)
    chosen = environment(context, env)
    requiring.refuse_flag(chosen, override_requires)
    chosen = replace(chosen, rollout=replace(chosen.rollout, **how), **limits)
    if context.config.run.dry:
        return planning.show_plan(chosen, options)
    return flow.migrate(chosen, options)


@task(
    help={
        **{flag: _COMMON[flag] for flag in _OF_UNDO},
        "timeout": "how long one command may take before its processes are ended; a tenant may need several: `30m`",
        "run": "the run's id, or its beginning: `invoke runs` lists them",
        "yes": "do it, as a rollout; without it, show how each tenant gets back, and do nothing",
        "stagger": "the pause between the end of one tenant and the start of the next: `60`, `60s`, `10m`",
        "canary": "these first, alone: a count, or ids and globs; a failure there stops the run. `=3` is the tenant 3",
        "max-failures": "stop when more than this many have failed: `3`, or `5%` of the run",
    }
)
def undo(
    context: invoke.Context,
    run: str | None = None,
    yes: bool = False,
    stagger: str | None = None,
    canary: str | None = None,
    max_failures: str | None = None,
    lock_timeout: str | None = None,
    statement_timeout: str | None = None,
    timeout: str | None = None,
    runner: str | None = None,
    lock_wait: str | None = None,
    format: str = "table",
    log_file: str | None = None,
    v: bool = False,
) -> int:
    """Show how the tenants that a run changed get back to where they were; with --yes, take them back."""
    from opskit.tasks import flow, pacing, project, timeouts, undoing  # noqa: PLC0415 - start-up time

    if not run:
        raise errors.UsageError("--run says which run. `invoke runs` lists them.")
    how = pacing.changes({"stagger": stagger, "canary": canary, "max_failures": max_failures})
    how |= {"forks": 1}  # what is taken back goes one by one
    how |= timeouts.changes(lock_timeout, statement_timeout)
    limits = _limits(timeout, runner)
    common = _common(lock_wait, yes, format, log_file, v)
    folder, taken = undoing.find(root(), run)
    chosen = environment(context, undoing.environment_of(folder))
    chosen = replace(chosen, rollout=replace(chosen.rollout, **how), **limits)
    options = project.Options(undo=undoing.meant(folder, taken), **common)
    if yes and not context.config.run.dry:
        return flow.migrate(chosen, options)
    return undoing.show(chosen, options, taken)


def _others(apply: str | None, resume: Any) -> str:
    """Who says how a run is paced where the flags don't."""
    if apply is not None:
        return "the plan"
    return "the run" if resume else "the inventory"


def _resumable(options: Any, resume: Any, *, changed_code: bool) -> None:
    """A resumed run has its tenants already. Raises UsageError."""
    if resume == "":
        raise errors.UsageError("--resume: expected a run's id, found nothing")
    if resume and (options.only or options.exclude or options.everything):
        raise errors.UsageError("--resume goes on with a run's own tenants: not with --tenants, --exclude or --all")
    if changed_code and not resume:
        raise errors.UsageError("--changed-code needs --resume")


def _of_the_run(resume: Any) -> str | None:
    """The environment of the run that is named. Raises UsageError."""
    if not resume or resume is True:
        return None
    from opskit.tasks import resuming  # noqa: PLC0415 - start-up time

    return resuming.environment_of(root(), str(resume))


def _common(lock_wait: str | None, yes: bool, format_: str, log_file: str | None, verbose: bool) -> dict[str, Any]:
    if log_file == "":
        raise errors.UsageError("--log-file: expected a file's path, found nothing")
    return {
        "lock_wait": 0.0 if lock_wait is None else duration("lock-wait", lock_wait),
        "yes": yes,
        "json": one_of("format", format_, ("table", "json")) == "json",
        "log_file": log_file,
        "verbose": verbose,
    }


def _limits(timeout: str | None, runner: str | None) -> dict[str, Any]:
    """What --timeout, in seconds, and --runner say instead of the inventory."""
    said: dict[str, Any] = {}
    if runner is not None:
        said["runner"] = model.Runner(one_of("runner", runner, tuple(model.Runner)))
    if timeout is None:
        return said
    seconds = None if timeout == "none" else duration("timeout", timeout)
    if seconds == 0:
        raise errors.UsageError("--timeout: `0` would end every command at once; `none` is no limit")
    return {**said, "timeout": seconds}
