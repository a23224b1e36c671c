"""Which tenant the ORM speaks to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:  # the router needs this module before the models are ready
    from opskit.tenants import models

_alias: ContextVar[str | None] = ContextVar("opskit_tenant_alias", default=None)


def current_alias() -> str | None:
    return _alias.get()


@contextlib.contextmanager
def using(alias: str) -> Iterator[None]:
    """Send queries on the tenants' own apps to this database."""
    token = _alias.set(alias)
    try:
        yield
    finally:
        _alias.reset(token)


@contextlib.contextmanager
def tenant_context(tenant: models.AbstractTenant) -> Iterator[str]:
    """Send queries on the tenants' apps to this tenant, and give its alias.

    It holds for this thread or task and for what it starts with a copy of its context. A query is sent when it is
    evaluated: a QuerySet that leaves the block goes elsewhere. The connection that it opened is closed as
    CONN_MAX_AGE says. Raises TenantDatabaseError.
    """
    from opskit.tenants import databases  # noqa: PLC0415 - which the router, and so this module, comes before

    alias = databases.register(tenant, keep=True)
    was_open = connections[alias].connection is not None
    try:
        with using(alias):
            yield alias
    finally:
        if not was_open:
            connections[alias].close_if_unusable_or_obsolete()
