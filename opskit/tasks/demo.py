"""The demo's own tasks: something new to do, something that fails, a fresh start."""

from __future__ import annotations

from pathlib import Path

import invoke

from opskit.tasks.task import answer, root, task


def _folder() -> Path:
    return root() / ".opskit" / "demo"


@task(help={})
def add_migration(context: invoke.Context) -> None:  # noqa: ARG001 - Invoke passes it
    """Give the demo's tenants a new migration to apply."""
    from opskit.demo import data  # noqa: PLC0415 - start-up time

    data.prepare(_folder())
    answer(f"added {data.add_migration(_folder())}\nnext: `invoke migrate-all --env=demo`")


@task(help={"tenant-id": "the tenant to break (default: one of them)"})
def break_tenant(context: invoke.Context, tenant_id: str | None = None) -> None:  # noqa: ARG001 - Invoke passes it
    """Make the next migration fail for one of the demo's tenants."""
    from opskit.demo import data  # noqa: PLC0415 - start-up time

    data.prepare(_folder())
    answer(f"{data.break_tenant(_folder(), tenant_id)}\nnext: `invoke migrate-all --env=demo`")


@task(help={})
def reset(context: invoke.Context) -> None:  # noqa: ARG001 - Invoke passes it
    """Start the demo over: a dozen tenants, nothing migrated."""
    from opskit.demo import data  # noqa: PLC0415 - start-up time

    data.reset(_folder())
    answer("the demo starts over.\nnext: `invoke migrate-all --env=demo`")
