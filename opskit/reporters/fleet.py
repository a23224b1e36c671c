"""How far an environment's tenants are, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from opskit.reporters import tables
from opskit.reporters.text import plural, printable, some
from opskit.rollout import alike

_HEADERS = ("tenants", "newest", "pending", "which")


@dataclass(frozen=True)
class Fleet:
    """What was found. `wanted` is the migration that every tenant should have, "" is none; `lacking` who does not."""

    name: str  # the environment's
    shared: tuple[str, ...] | None
    groups: tuple[alike.Group, ...]
    wanted: str = ""
    lacking: tuple[str, ...] = ()


def as_json(fleet: Fleet) -> str:
    told: dict[str, object] = {
        "environment": fleet.name,
        "shared": fleet.shared,
        "groups": [_group(group) for group in fleet.groups],
    }
    if fleet.wanted:
        everyone = not fleet.lacking
        told["at_least"] = {"migration": fleet.wanted, "everyone": everyone, "lacking": fleet.lacking}
    return json.dumps(told, indent=2)


def _group(group: alike.Group) -> dict[str, object]:
    pending = None if group.error else group.pending
    return {"tenants": group.tenants, "newest": group.newest, "pending": pending, "error": group.error}


def as_table(fleet: Fleet, width: int | None = None) -> str:
    """The groups, a row each; `width` is the terminal's, None where long lines may stay whole."""
    rows = list(map(_row, fleet.groups))
    parts = [tables.table(_HEADERS, rows, width, folds=("pending", "which"), least=("newest",))] if rows else []
    if fleet.shared:
        parts.append(f"the shared database has {plural(len(fleet.shared), 'pending migration')}: {some(fleet.shared)}")
    parts.append(_counted(fleet))
    if fleet.wanted and fleet.lacking:
        verb = "does" if len(fleet.lacking) == 1 else "do"
        parts.append(f"{len(fleet.lacking)} {verb} not have {fleet.wanted} for certain: {some(fleet.lacking)}")
    elif fleet.wanted:
        parts.append(f"every tenant has {fleet.wanted}.")
    return "\n".join(map(printable, "\n".join(parts).splitlines()))


def _row(group: alike.Group) -> tuple[str, ...]:
    pending = f"not known: {group.error}" if group.error else alike.span(group.pending)
    drifted = bool(group.error or group.pending)
    which = some(group.tenants, 10 if drifted else 3)
    return str(len(group.tenants)), printable(group.newest), printable(pending), which


def _counted(fleet: Fleet) -> str:
    def count(holds: Callable[[alike.Group], bool]) -> int:
        return sum(len(group.tenants) for group in fleet.groups if holds(group))

    total = count(lambda _group: True)
    if not total:
        return f"`{fleet.name}` has no tenants" + (" that could be listed." if fleet.shared else ".")
    current = count(lambda group: not group.error and not group.pending)
    unasked = count(lambda group: bool(group.error))
    told = f"{plural(total, 'tenant')}: {current} with nothing pending, {total - current - unasked} with something"
    return told + (f", {unasked} that could not be asked." if unasked else ".")
