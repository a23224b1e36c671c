"""A project on django-omnitenant 1.0.2. Where its databases are comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django_omnitenant",
    "companies",
    "members",
    "invoices",
]
CUSTOM_APPS = ["companies", "members", "invoices"]

OMNITENANT_CONFIG = {
    "TENANT_MODEL": "companies.Company",
    "DOMAIN_MODEL": "companies.Domain",
    "PUBLIC_HOST": "localhost",
}

DATABASES = {
    "default": {
        "ENGINE": "django_omnitenant.backends.postgresql",
        "NAME": os.environ["DB_NAME"],
        "USER": os.environ["DB_USER"],
        "PASSWORD": os.environ["DB_PASSWORD"],
        "HOST": os.environ["DB_HOST"],
        "PORT": os.environ["DB_PORT"],
    },
}
DATABASE_ROUTERS = ["django_omnitenant.routers.TenantRouter"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
