from django.apps import AppConfig
from django_omnitenant.utils import TenantScope


class MembersConfig(AppConfig):
    name = "members"
    tenant_scope = TenantScope.TENANT
