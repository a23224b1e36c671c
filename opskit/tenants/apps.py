from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class TenantsConfig(AppConfig):
    name = "opskit.tenants"
    label = "opskit_tenants"
    verbose_name = "Tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from opskit.tenants import checks, sessions  # noqa: PLC0415 - Django imports this module first

        connection_created.connect(sessions.begin, dispatch_uid="opskit.tenants")
        checks.register()
