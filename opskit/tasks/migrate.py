"""`migrate-all` and `migrate-tenant`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import invoke

from opskit import errors
from opskit.tasks.task import ENV, FORMAT, duration, environment, one_of, patterns, task

_COMMON = {
    "env": ENV,
    "timeout": "how long one tenant may take before its processes are ended: `30m`, or `none`",
    "yes": "answer the confirmation that the inventory asks for",
    "format": FORMAT,
    "log-file": "write the log to this file, too",
    "v": "show all that the commands print",
}


@task(
    help={
        **_COMMON,
        "stagger": "the pause between the end of one tenant and the start of the next: `60`, `60s`, `10m`",
        "tenants": "only these: ids or globs, with commas between them",
        "exclude": "not these: ids or globs, with commas between them",
        "all": "run the command for tenants with nothing pending, too",
        "shared": "migrate the shared (master, public) database first, where it has pending migrations",
        "plan": "show what would be done, and do nothing",
    }
)
def migrate_all(
    context: invoke.Context,
    env: str | None = None,
    stagger: str | None = None,
    tenants: str | None = None,
    exclude: str | None = None,
    all: bool = False,
    shared: bool = False,
    plan: bool = False,
    timeout: str | None = None,
    yes: bool = False,
    format: str = "table",
    log_file: str | None = None,
    v: bool = False,
) -> int:
    """Migrate every tenant that has something pending, one after the other."""
    from opskit.tasks import flow, planning, project  # noqa: PLC0415 - start-up time

    options = project.Options(
        only=patterns("tenants", tenants),
        exclude=patterns("exclude", exclude),
        everything=all,
        shared=shared,
        **_common(yes, format, log_file, v),
    )
    limits = _limits(timeout, stagger)
    chosen = replace(environment(context, env), **limits)
    if plan or context.config.run.dry:
        return planning.show_plan(chosen, options)
    return flow.migrate(chosen, options)


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
    timeout: str | None = None,
    yes: bool = False,
    format: str = "table",
    log_file: str | None = None,
    v: bool = False,
) -> int:
    """Migrate one tenant, again after a fix, or to a migration of one app."""
    from opskit.tasks import flow, planning, project  # noqa: PLC0415 - start-up time

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
        **_common(yes, format, log_file, v),
    )
    limits = _limits(timeout, None)
    chosen = replace(environment(context, env), **limits)
    if context.config.run.dry:
        return planning.show_plan(chosen, options)
    return flow.migrate(chosen, options)


def _common(yes: bool, format_: str, log_file: str | None, verbose: bool) -> dict[str, Any]:
    if log_file == "":
        raise errors.UsageError("--log-file: expected a file's path, found nothing")
    return {
        "yes": yes,
        "json": one_of("format", format_, ("table", "json")) == "json",
        "log_file": log_file,
        "verbose": verbose,
    }


def _limits(timeout: str | None, stagger: str | None) -> dict[str, Any]:
    """What the flags say instead of the inventory, in seconds."""
    limits: dict[str, Any] = {}
    if timeout is not None:
        limits["timeout"] = None if timeout == "none" else duration("timeout", timeout)
    if limits.get("timeout") == 0:
        raise errors.UsageError("--timeout: `0` would end every command at once; `none` is no limit")
    if stagger is not None:
        limits["stagger"] = duration("stagger", stagger)
    return limits
