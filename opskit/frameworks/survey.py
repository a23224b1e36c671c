"""Reads the answer of `remote/status.py`: what is pending, in the shared database and for each tenant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opskit import errors, model
from opskit.frameworks import django, listing

COMMAND = "status"
_PLACE = 3  # server, database, schema
OURS = "opskit/"  # how the application names of all runs begin
_NAMED = 1000  # application names of 63 bytes each


def command(framework: str, **params: object) -> model.Command:
    return model.Command(args=(framework, json.dumps(params)), question=COMMAND)


def watching(asked: model.Command, names: Sequence[str], beginning: str, wait: float = 0.0) -> model.Command:
    """The same question, which also tells which of these PostgreSQL application names are at work.

    It waits so many seconds for them to go before it looks at what is pending.

    Of very many it is asked by how they all begin: an argument of a command may have 128 KB (Linux, MAX_ARG_STRLEN).
    """
    if asked.question != COMMAND:
        return asked
    who: dict[str, object] = {"busy": list(names)} if len(names) <= _NAMED else {"busy_of": beginning}
    if wait:
        who["wait"] = wait
    framework, params = asked.args
    return replace(asked, args=(framework, json.dumps({**json.loads(params), **who})))


def watching_all(asked: model.Command, *, waits: bool = False) -> model.Command:
    """The same question, which also tells the application names of all runs that are at work in PostgreSQL.

    With `waits` it tells the histories that most tenants wait with, too.
    """
    if asked.question != COMMAND:
        return asked
    framework, params = asked.args
    more = {"busy_of": OURS, **({"waits": True} if waits else {})}
    return replace(asked, args=(framework, json.dumps({**json.loads(params), **more})))


def trying(asked: model.Command, settings: Mapping[str, str], pgoptions: str) -> model.Command:
    """The same question, which also tells whether every connection takes these settings of PostgreSQL.

    They are tried where a tenant has something pending: nobody else is going to get them.
    """
    if asked.question != COMMAND:
        return asked
    framework, params = asked.args
    more = {"tries": dict(settings), "pgoptions": pgoptions}
    return replace(asked, args=(framework, json.dumps({**json.loads(params), **more})))


def read(reply: model.Reply) -> model.Survey:
    """The survey in a reply. Raises ListingError."""
    content = listing.parse(listing.answer(reply, "asking what is pending"))
    if isinstance(content, dict) and isinstance(content.get("frameworks"), list):
        raise not_one(content["frameworks"])
    if not isinstance(content, dict) or not isinstance(content.get("tenants"), list):
        raise errors.ListingError("asking what is pending gave no `tenants`")
    told = content.get("shared")
    shared = told if isinstance(told, dict) else {}
    pending = listing.strings(shared.get("pending", []), "shared.pending")
    if content.get("listing_error") and not pending:
        raise errors.ListingError(f"the tenants can't be read: {django.one_line(str(content['listing_error']))}")
    busy = listing.strings(content.get("busy", []), "busy")
    code = content.get("code")
    digests = {str(name): str(digest) for name, digest in code.items()} if isinstance(code, dict) else {}
    states = dict(map(_state, content["tenants"]))
    replaces = _replaces(content.get("replaces"))
    holds = content.get("holds")
    return model.Survey(
        pending,
        states,
        frozenset(busy),
        digests,
        _listed(content["tenants"]),
        replaces,
        str(content.get("framework") or ""),
        listing.strings(shared.get("unrecorded", []), "shared.unrecorded"),
        holds if isinstance(holds, bool) else None,
        tuple(listing.strings(history, "waits") for history in _list(content.get("waits"))),
    )


def not_one(found: Sequence[Any]) -> errors.InventoryError:
    """The inventory names no framework, and the project does not tell."""
    names = [django.one_line(f"`{name}`") for name in found]
    there = f"has the apps of {' and '.join(names)}" if names else "has the app of none that opskit knows"
    return errors.InventoryError(
        f"the inventory names no `framework`, and INSTALLED_APPS {there}",
        hint="name it there: `framework: …` (docs/frameworks.md).",
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _replaces(value: Any) -> dict[str, tuple[str, ...]]:
    told = value if isinstance(value, dict) else {}
    return {str(squash): listing.strings(replaced, f"replaces.{squash}") for squash, replaced in told.items()}


def _listed(rows: list[Any]) -> tuple[model.Tenant, ...]:
    """The tenants, where the rows tell what a listing does."""
    told = [row for row in rows if "isolation_type" in row]
    return listing.tenants(told, "tenant_id", "name", {})


def _state(row: Any) -> tuple[str, model.TenantState]:
    if not isinstance(row, dict) or "tenant_id" not in row:
        raise errors.ListingError("asking what is pending gave a tenant without `tenant_id`")
    name = str(row["tenant_id"])
    applied = row.get("applied")
    return name, model.TenantState(
        applied=applied if isinstance(applied, int) and not row.get("error") else None,
        latest=listing.strings(row.get("latest", []), f"`{name}`.latest"),
        pending=listing.strings(row.get("pending", []), f"`{name}`.pending"),
        error=django.one_line(str(row.get("error") or "")),
        place=_place(row.get("place"), name),
        missing=bool(row.get("missing")),
        cut=bool(row.get("cut")),
        unrecorded=listing.strings(row.get("unrecorded", []), f"`{name}`.unrecorded"),
    )


def _place(value: Any, name: str) -> model.Place | None:
    if value is None:
        return None
    parts = listing.strings(value, f"`{name}`.place")
    if len(parts) != _PLACE:
        raise errors.ListingError(f"asking what is pending gave `{name}` a place of {len(parts)} parts")
    return model.Place(*parts)
