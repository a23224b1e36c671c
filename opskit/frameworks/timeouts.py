"""Time limits for statements: how PostgreSQL is told of them, and whether it heard (`remote/timeouts.py`)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from opskit import errors, model
from opskit.frameworks import django, listing

_FEW = 3  # tenants that a message names


@dataclass(frozen=True)
class Difference:
    """A connection on which the limits do not hold."""

    tenant: str  # "" is nobody's
    alias: str  # of a connection that is no tenant's and not the master's
    vendor: str
    found: Mapping[str, str]
    own: bool  # the project's settings have start-up options of their own
    pooled: bool
    refused: str  # why it was refused with them


def settings(how: model.Controls) -> dict[str, str]:
    """{setting of PostgreSQL: value in milliseconds}; those that nobody wants are left out."""
    given = {"lock_timeout": how.lock_timeout, "statement_timeout": how.statement_timeout}
    return {name: str(max(1, round(seconds * 1000))) for name, seconds in given.items() if seconds}  # 0 is no limit


def command(framework: str, pgoptions: str, wanted: Mapping[str, str], *, tenants: bool) -> model.Command:
    """Whether the settings hold for the master, and for each of the `tenants` that has a connection of its own."""
    params = {"pgoptions": pgoptions, "wanted": dict(wanted), "tenants": tenants}
    return model.Command(args=(framework, json.dumps(params)), question="timeouts")


def read(reply: model.Reply) -> tuple[Difference, ...]:
    """Raises ListingError."""
    content = listing.parse(listing.answer(reply, "asking whether the time limits hold"), dict)
    if not isinstance(content, dict) or not isinstance(content.get("differ"), list):
        raise errors.ListingError("asking whether the time limits hold gave no `differ`")
    return tuple(map(_difference, content["differ"]))


def _difference(row: Any) -> Difference:
    if not isinstance(row, dict) or not isinstance(row.get("tenant"), str):
        raise errors.ListingError("asking whether the time limits hold gave a connection of nobody")
    found = row.get("found")
    return Difference(
        row["tenant"],
        django.one_line(str(row.get("alias") or "")),
        str(row.get("vendor")),
        {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {},
        bool(row.get("own")),
        bool(row.get("pooled")),
        django.one_line(str(row.get("refused") or "")),
    )


def refusal(wanted: Mapping[str, str], differences: Collection[Difference], names: Collection[str]) -> str:
    """Why the limits can't be had for the master and the tenants called `names`; "" where they hold."""
    bad = [each for each in differences if not each.tenant or each.tenant in names]
    if not bad:
        return ""
    first = next((each for each in bad if not each.tenant), bad[0])
    alike = [each.tenant for each in bad if each.tenant and _why(wanted, each) == _why(wanted, first)]
    return f"{' and '.join(wanted)} would not hold {_where(first, alike)}: {_why(wanted, first)}"


def _where(first: Difference, tenants: list[str]) -> str:
    if first.alias:
        return f"on the project's connection `{first.alias}`"
    if not first.tenant:
        return "in the project's own database"
    more = f" and {len(tenants) - _FEW} more" if len(tenants) > _FEW else ""
    return f"in the database of {', '.join(f'`{name}`' for name in tenants[:_FEW])}{more}"


def _why(wanted: Mapping[str, str], each: Difference) -> str:
    if each.vendor != "postgresql":
        return f"it is {each.vendor}, and these limits are PostgreSQL's"
    if each.refused:
        return f"start-up options are refused on the way to it ({each.refused})"
    found = ", ".join(f"{name} is {each.found.get(name, 'not known')} ms" for name in wanted)
    if each.own:
        return f"{found} there, since the project's DATABASES has `options` of its own, which stand before PGOPTIONS"
    if each.pooled:
        return f"{found} there, since a pooler in between drops start-up options (PgBouncer: ignore_startup_parameters)"
    return f"{found} there: something sets it when the project connects, or drops PGOPTIONS"
