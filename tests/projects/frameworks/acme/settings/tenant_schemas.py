import os

from acme.settings.common import *  # noqa: F403
from acme.settings.common import APPS, database

SHARED_APPS = ["tenant_schemas", "customers.tenant_schemas", "django.contrib.contenttypes"]
TENANT_APPS = APPS
INSTALLED_APPS = SHARED_APPS + TENANT_APPS
TENANT_MODEL = "customers.Customer"
DATABASES = {"default": database("tenant_schemas.postgresql_backend", os.environ["DB_NAME"])}
DATABASE_ROUTERS = ["tenant_schemas.routers.TenantSyncRouter"]
