"""Tenants in Django's admin: looked at there, made with `createtenant`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from opskit.tenants import history, models, registry


class TenantAdmin(admin.ModelAdmin):
    """Where each tenant lives, and its migrations: asked of each tenant on the page.

    A row without a database, or a database without a row, is nobody's: so none is added or deleted here.
    """

    list_display = ("tenant_id", "name", "isolation_type", "place", "status")
    list_per_page = 20
    search_fields = ("tenant_id", "name")
    fields = ("tenant_id", "name", "isolation_type", "place", "status", "pending")
    readonly_fields = ("tenant_id", "isolation_type", "place", "status", "pending")

    def has_add_permission(self, _request: Any) -> bool:
        return False

    def has_delete_permission(self, _request: Any, _obj: Any = None) -> bool:
        return False

    def place(self, tenant: models.AbstractTenant) -> str:
        return str(registry.place(tenant) or "-")

    def status(self, tenant: models.AbstractTenant) -> str:
        found = _asked(tenant)
        return found.error or f"{len(found.applied)} applied, {len(found.pending) or 'nothing'} pending"

    def pending(self, tenant: models.AbstractTenant) -> str:
        return ", ".join(_asked(tenant).pending) or "-"


def _asked(tenant: models.AbstractTenant) -> history.History:
    ((_, found),) = history.of_tenants([tenant])
    return found


admin.site.register(models.Tenant, TenantAdmin)  # which does nothing where another model stands in for it
