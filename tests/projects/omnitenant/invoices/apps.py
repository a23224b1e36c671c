from django.apps import AppConfig
from django_omnitenant.utils import TenantScope


class InvoicesConfig(AppConfig):
    name = "invoices"
    tenant_scope = TenantScope.TENANT
