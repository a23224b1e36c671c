import os

from acme.settings.common import *  # noqa: F403
from acme.settings.common import APPS, database

INSTALLED_APPS = ["django.contrib.contenttypes", *APPS]
NAME = os.environ["DB_NAME"]
ENGINE = "django.db.backends.postgresql"
ALIASES = os.environ.get("DB_ALIASES", "").split()  # `alias`, or `alias=database`
DATABASES = {
    "default": database(ENGINE, NAME),
    **{
        alias: database(ENGINE, name or f"{NAME}_{alias}")
        for alias, _, name in (each.partition("=") for each in ALIASES)
    },
}
