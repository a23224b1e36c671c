"""The tenant table, asked so that a person can act on the answer."""

from __future__ import annotations

import difflib

from django.core.management.base import CommandError
from django.db import Error

from opskit.tenants import databases, history, models


def every() -> list[models.Tenant]:
    """All tenants, by id. Raises CommandError where the table can't be read."""
    try:
        databases.require_master()
        return list(models.Tenant.objects.all())
    except (Error, databases.TenantDatabaseError) as error:
        raise CommandError(
            f"the tenant table can't be read: {history.reason(error)}. `manage.py migrate opskit_tenants` makes it"
        ) from error


def find(tenant_id: str) -> models.Tenant:
    """The tenant of this id. Raises CommandError, which names the nearest ones."""
    tenants = {tenant.tenant_id: tenant for tenant in every()}
    if tenant_id not in tenants:
        raise CommandError(f"tenant `{tenant_id}` does not exist. {_hint(tenant_id, list(tenants))}")
    return tenants[tenant_id]


def _hint(tenant_id: str, known: list[str]) -> str:
    near = difflib.get_close_matches(tenant_id, known)
    if not near:
        return "`manage.py showtenants` lists those that do"
    return f"did you mean {' or '.join(f'`{each}`' for each in near)}?"
