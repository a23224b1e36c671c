"""`inventory`: what opskit reads in an environment's inventory, and from where."""

from __future__ import annotations

import os

import invoke

from opskit.tasks.task import ENV, answer, choose, one_of, task


@task(
    help={
        "env": ENV,
        "format": "`yaml` for people, `json` for machines",
        "schema": "print the JSON Schema of inventories instead, for editors",
    }
)
def inventory(context: invoke.Context, env: str | None = None, format: str = "yaml", schema: bool = False) -> None:
    """Show an environment's inventory as it is read, with where each value came from. Secrets are hidden."""
    from opskit import inventory as inventories  # noqa: PLC0415 - start-up time
    from opskit.inventory import reference, resolved  # noqa: PLC0415

    as_json = one_of("format", format, ("yaml", "json")) == "json"
    if schema:
        answer(reference.SCHEMA.read_text("utf-8").rstrip("\n"))
        return
    root, name = choose(context, env)
    found = inventories.explain(root, name, os.environ)
    answer(resolved.as_json(found) if as_json else resolved.as_yaml(found))
