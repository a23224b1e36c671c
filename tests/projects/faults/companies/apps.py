from django.apps import AppConfig
from django_omnitenant.utils import TenantScope


class CompaniesConfig(AppConfig):
    name = "companies"
    tenant_scope = TenantScope.MASTER
