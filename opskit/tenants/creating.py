"""Make a tenant, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import IntegrityError

from opskit import model
from opskit.tenants import databases, history, making, migrating, models, naming, registry, telling
from opskit.tenants.errors import TenantDatabaseError


def create(tenant_id: str, name: str, hear: telling.Hear | None = None, **where: str) -> models.AbstractTenant:
    """Create a tenant's row and its database or schema, and migrate it where there is somebody to hear of it.

    `where` are fields of the tenant: `isolation_type`, `database`, `schema`, `alias`, `url_variable`. A database that
    an alias or a variable names is used as it is. What was created is undone when a later step fails.
    Raises CommandError.
    """
    tenant: models.AbstractTenant = registry.tenant_model()(tenant_id=tenant_id, name=name, **where)
    _name(tenant)
    with _row(tenant), _place(tenant):
        if hear is not None:
            _migrate(tenant, hear)
    return tenant


def _name(tenant: models.AbstractTenant) -> None:
    if tenant.isolation_type == models.Isolation.SCHEMA:
        tenant.schema = tenant.schema or naming.schema_for(tenant.tenant_id)
    elif databases.is_masters_own(tenant):
        sqlite = databases.vendor() == "sqlite"
        tenant.database = tenant.database or naming.database_for(tenant.tenant_id, sqlite=sqlite)


@contextlib.contextmanager
def _row(tenant: models.AbstractTenant) -> Iterator[None]:
    try:
        tenant.clean_fields()
        tenant.save()
    except ValidationError as error:
        raise CommandError(_said(error)) from error
    except IntegrityError as error:
        raise CommandError(f"tenant `{tenant.tenant_id}` exists already. nothing was created") from error
    try:
        yield
    except BaseException:
        tenant.delete()
        raise


@contextlib.contextmanager
def _place(tenant: models.AbstractTenant) -> Iterator[None]:
    made = tenant.isolation_type == models.Isolation.SCHEMA or databases.is_masters_own(tenant)
    try:
        registry.refuse_company(tenant)
        if made:
            making.create(tenant)
    except TenantDatabaseError as error:
        raise CommandError(f"{error}. nothing was created") from error
    try:
        yield
    except BaseException as failure:
        if made:
            _remove(tenant, failure)
        raise


def _remove(tenant: models.AbstractTenant, failure: BaseException) -> None:
    try:
        making.drop(tenant)
    except TenantDatabaseError as error:
        raise CommandError(f"{history.reason(failure)}. but this could not be removed: {error}") from failure


def _migrate(tenant: models.AbstractTenant, hear: telling.Hear) -> None:
    outcome = migrating.migrate(tenant, history.Target(), hear)
    if outcome.status is model.Status.FAILED:
        raise CommandError(
            f"tenant `{tenant.tenant_id}` could not be migrated, and what was created is removed: {outcome.error}"
        )


def _said(error: ValidationError) -> str:
    return "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
