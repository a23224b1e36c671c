import os

from acme.settings.common import *  # noqa: F403
from acme.settings.common import APPS, database

SHARED_APPS = ["django_pgschemas", "customers.pgschemas", "django.contrib.contenttypes"]
TENANTS = {
    "public": {"APPS": SHARED_APPS},
    "default": {
        "TENANT_MODEL": "customers.Customer",
        "DOMAIN_MODEL": "customers.Domain",
        "APPS": APPS,
        "URLCONF": "acme.urls",
        "CLONE_REFERENCE": "sample",
    },
    "www": {"APPS": ["members"], "DOMAINS": ["www.example.com"], "URLCONF": "acme.urls"},
}
INSTALLED_APPS = SHARED_APPS + APPS
DATABASES = {"default": database("django_pgschemas.postgresql", os.environ["DB_NAME"])}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
DATABASE_ROUTERS = ["django_pgschemas.routers.TenantAppsRouter"]
