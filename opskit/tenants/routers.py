"""What lives in the master database and what in the tenants'."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from opskit.tenants import context, databases

OWN_LABEL = "opskit_tenants"
MODEL_SETTING = "OPSKIT_TENANT_MODEL"


def master_apps() -> frozenset[str]:
    """The labels of the apps that live in the master database: SHARED_APPS, and always the tenant table's."""
    model: str = getattr(settings, MODEL_SETTING, OWN_LABEL)
    return frozenset({OWN_LABEL, model.partition(".")[0], *_labels(_setting("SHARED_APPS") or ())})


def tenant_apps() -> frozenset[str]:
    """The labels of the apps that live in each tenant: TENANT_APPS, or all that are not in the master database."""
    named = _setting("TENANT_APPS")
    if named is not None:
        return frozenset(_labels(named))
    return frozenset(config.label for config in apps.get_app_configs()) - master_apps()


def _setting(name: str) -> Collection[str] | None:
    found: Collection[str] | None = getattr(settings, "OPSKIT_TENANTS", {}).get(name)
    return found


def _labels(names: Collection[str]) -> set[str]:
    """Labels of apps that are named by label or by module, as in INSTALLED_APPS."""
    modules = {config.name: config.label for config in apps.get_app_configs()}
    return {modules.get(name, name) for name in names}


class TenantRouter:
    def db_for_read(self, model: type, **hints: Any) -> str | None:
        return _database_of(model, hints.get("instance"))

    def db_for_write(self, model: type, **hints: Any) -> str | None:
        return _database_of(model, hints.get("instance"))

    def allow_migrate(self, db: str, app_label: str, **_hints: Any) -> bool | None:
        if db == DEFAULT_DB_ALIAS:
            return app_label in master_apps()
        if databases.is_tenant_alias(db):
            return app_label in tenant_apps()
        return None


def _database_of(model: Any, instance: Any) -> str | None:
    label = model._meta.app_label  # noqa: SLF001 - Django's documented model API
    if label in master_apps() and label not in tenant_apps():
        return str(DEFAULT_DB_ALIAS)
    if instance is not None and instance._state.db:  # noqa: SLF001 - as above
        return None  # Django keeps it in the database that it came from
    return context.current_alias()
