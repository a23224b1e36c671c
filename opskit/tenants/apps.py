from __future__ import annotations

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "opskit.tenants"
    label = "opskit_tenants"
    verbose_name = "Tenants"
    default_auto_field = "django.db.models.BigAutoField"
