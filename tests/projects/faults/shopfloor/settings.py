"""The project that the fault machine migrates, on either framework: WITNESS_FRAMEWORK says which.

With `omnitenant` its tenants are schemas of one database, with `opskit` schemas or databases.
"""

import os

SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
OMNITENANT = os.environ["WITNESS_FRAMEWORK"] == "omnitenant"

INSTALLED_APPS = [
    "witness",  # its migratetenant stands before the framework's own
    *(
        ["django.contrib.contenttypes", "django.contrib.auth", "django_omnitenant", "companies"]
        if OMNITENANT
        else ["opskit.tenants"]
    ),
    "members",
]
DATABASES = {
    "default": {
        "ENGINE": "django_omnitenant.backends.postgresql" if OMNITENANT else "django.db.backends.postgresql",
        "NAME": os.environ["DB_NAME"],
        "USER": os.environ["DB_USER"],
        "PASSWORD": os.environ["DB_PASSWORD"],
        "HOST": os.environ["DB_HOST"],
        "PORT": os.environ["DB_PORT"],
    },
}
if OMNITENANT:
    CUSTOM_APPS = ["companies", "members"]
    OMNITENANT_CONFIG = {
        "TENANT_MODEL": "companies.Company",
        "DOMAIN_MODEL": "companies.Domain",
        "PUBLIC_HOST": "localhost",
    }
    DATABASE_ROUTERS = ["django_omnitenant.routers.TenantRouter"]
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
else:
    DATABASE_ROUTERS = ["opskit.tenants.routers.TenantRouter"]
    SILENCED_SYSTEM_CHECKS = ["opskit_tenants.E003"]  # the witness stands before its migratetenant on purpose
