"""The tenant table, asked so that a person can act on the answer."""

from __future__ import annotations

import contextlib
import difflib
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error

from opskit import model
from opskit.tenants import databases, history, models, routers
from opskit.tenants.errors import TenantDatabaseError


def tenant_model() -> Any:
    """The project's tenant model: OPSKIT_TENANT_MODEL, or this app's own."""
    return apps.get_model(getattr(settings, routers.MODEL_SETTING, f"{routers.OWN_LABEL}.Tenant"))


def every() -> list[models.AbstractTenant]:
    """All tenants, by id. Raises CommandError where the table can't be read."""
    tenant = tenant_model()
    require_master()
    try:
        return list(tenant.objects.order_by("tenant_id"))
    except Error as error:
        label = tenant._meta.app_label  # noqa: SLF001 - Django's documented model API
        raise CommandError(
            f"the tenant table can't be read: {history.reason(error)}. `manage.py migrate {label}` makes it"
        ) from error


def require_master() -> None:
    """Raises CommandError where the master database is a file that is missing."""
    try:
        databases.require_master()
    except TenantDatabaseError as error:
        raise CommandError(f"the tenant table can't be read: {error}. `manage.py migrate` makes it") from error


def find(tenant_id: str) -> models.AbstractTenant:
    """The tenant of this id. Raises CommandError, which names the nearest ones, or those that share its place."""
    tenants = {tenant.tenant_id: tenant for tenant in every()}
    if tenant_id not in tenants:
        raise CommandError(f"tenant `{tenant_id}` does not exist. {_hint(tenant_id, list(tenants))}")
    return tenants[tenant_id]


def place(tenant: models.AbstractTenant) -> model.Place | None:
    """Where a tenant's data lives, None where its row does not say so that it can be used."""
    with contextlib.suppress(TenantDatabaseError):
        return databases.place(tenant)
    return None


def refuse_company(tenant: models.AbstractTenant) -> None:
    """Raises CommandError where another tenant lives in the same place: it would be migrated, too."""
    here = place(tenant)
    others = [each.tenant_id for each in every() if each.tenant_id != tenant.tenant_id and place(each) == here]
    if here is not None and others:
        named = ", ".join(f"`{other}`" for other in others[:3])
        raise CommandError(f"tenant `{tenant.tenant_id}` shares its place with {named}: {here}. nothing was migrated")


def _hint(tenant_id: str, known: list[str]) -> str:
    near = difflib.get_close_matches(tenant_id, known)
    if not near:
        return "`manage.py showtenants` lists those that do"
    return f"did you mean {' or '.join(f'`{each}`' for each in near)}?"
