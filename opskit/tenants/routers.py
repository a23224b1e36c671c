"""What lives in the shared database and what in the tenants'."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from opskit.tenants import context, databases

OWN_LABEL = "opskit_tenants"


def shared_apps() -> frozenset[str]:
    """The labels of the apps that live in the shared database; the tenant table's is always one."""
    return frozenset({OWN_LABEL, *getattr(settings, "OPSKIT_TENANTS", {}).get("SHARED_APPS", ())})


class TenantRouter:
    def db_for_read(self, model: type, **hints: Any) -> str | None:
        return _database_of(model, hints.get("instance"))

    def db_for_write(self, model: type, **hints: Any) -> str | None:
        return _database_of(model, hints.get("instance"))

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        if db == DEFAULT_DB_ALIAS:
            return app_label in shared_apps()
        if databases.is_tenant_alias(db):
            return app_label not in shared_apps()
        return None


def _database_of(model: Any, instance: Any) -> str | None:
    if model._meta.app_label in shared_apps():  # noqa: SLF001 - Django's documented model API
        return str(DEFAULT_DB_ALIAS)
    if instance is not None and instance._state.db:  # noqa: SLF001 - as above
        return None  # Django keeps it in the database that it came from
    return context.current_alias()
