"""Make a tenant, whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import IntegrityError

from opskit import model
from opskit.tenants import databases, history, migrating, models, telling


def create(tenant_id: str, name: str, hear: telling.Hear | None = None) -> models.Tenant:
    """Create a tenant's row and database, and migrate it where there is somebody to hear of it.

    What was created is undone when a later step fails. Raises CommandError.
    """
    with _row(tenant_id, name) as tenant, _database(tenant.database):
        if hear is not None:
            _migrate(tenant, hear)
    return tenant


@contextlib.contextmanager
def _row(tenant_id: str, name: str) -> Iterator[models.Tenant]:
    tenant = models.Tenant(tenant_id=tenant_id, name=name, database=databases.name_for(tenant_id))
    try:
        tenant.clean_fields()
        tenant.save()
    except ValidationError as error:
        raise CommandError(_said(error)) from error
    except IntegrityError as error:
        raise CommandError(f"tenant `{tenant_id}` exists already. nothing was created") from error
    try:
        yield tenant
    except BaseException:
        tenant.delete()
        raise


@contextlib.contextmanager
def _database(name: str) -> Iterator[None]:
    try:
        databases.create(name)
    except databases.TenantDatabaseError as error:
        raise CommandError(f"{error}. nothing was created") from error
    try:
        yield
    except BaseException:
        databases.drop(name)
        raise


def _migrate(tenant: models.Tenant, hear: telling.Hear) -> None:
    outcome = migrating.migrate(tenant, history.Target(), hear)
    if outcome.status is model.Status.FAILED:
        raise CommandError(
            f"tenant `{tenant.tenant_id}` could not be migrated, and what was created is removed: {outcome.error}"
        )


def _said(error: ValidationError) -> str:
    return "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
