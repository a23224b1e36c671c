import os

from acme.settings.common import *  # noqa: F403
from acme.settings.common import APPS, database

SHARED_APPS = ["django_tenants", "customers.django_tenants", "django.contrib.contenttypes"]
TENANT_APPS = APPS
INSTALLED_APPS = SHARED_APPS + TENANT_APPS
TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
DATABASES = {"default": database("django_tenants.postgresql_backend", os.environ["DB_NAME"])}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
