from django.apps import AppConfig


class MembersConfig(AppConfig):
    name = "members"

    @property
    def tenant_scope(self):
        from django_omnitenant.utils import TenantScope

        return TenantScope.TENANT
