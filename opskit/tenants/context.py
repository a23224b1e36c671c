"""Which tenant's database the ORM speaks to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

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
