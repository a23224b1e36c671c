"""Judges what was seen of an environment before the first migration: facts in, a line a check out.

What could not be asked, because an earlier check of that host failed, has no line. docs/checks.md
has a section for each name.
"""

from __future__ import annotations

from collections.abc import Iterable

from opskit import model
from opskit.rollout.checks import environment as environments
from opskit.rollout.checks import hosts, servers

__all__ = ["NAMES", "counts", "judge"]

NAMES = (
    *("connection", "host key", "sudo", "python", "env file", "path", "manage.py"),
    *("user", "state folder", "disk", "clock", "MaxStartups"),
    *("django", "framework", "commands", "database"),
    *("revision", "listing", "shared database", "tenants", "master", "places", "names"),
    *("connections", "locks", "database size", "database disk", "PGOPTIONS", "pooler"),
)
"""Every check, in the order in which they are shown: a host's, the environment's, a database server's."""


def judge(look: model.Look, environment: model.Environment) -> tuple[model.Check, ...]:
    """All that was found, in the order of NAMES for each host, then for the environment, then for each server."""
    checks: list[model.Check] = []
    for seen in look.hosts:
        checks += hosts.judge(seen, look, environment)
    if look.serving:
        checks += environments.judge(look, environment)
        in_schemas = any(state.place and state.place.schema for state in environments.states(look).values())
        for server in servers.distinct(look):
            checks += servers.judge(server, look, in_schemas=in_schemas, forks=environment.rollout.forks)
        checks += servers.unasked(look, environment)
    return tuple(checks)


def counts(checks: Iterable[model.Check]) -> dict[str, int]:
    """{status: checks}, every status in it."""
    found = [check.status for check in checks]
    return {status.value: found.count(status) for status in model.CheckStatus}
