"""What the projects on all the frameworks have in common. Where the databases are comes from the environment."""

import os

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "acme.urls"
APPS = ["members", "invoices"]


def database(engine, name):
    return {
        "ENGINE": engine,
        "NAME": name,
        "USER": os.environ["DB_USER"],
        "PASSWORD": os.environ["DB_PASSWORD"],
        "HOST": os.environ["DB_HOST"],
        "PORT": os.environ["DB_PORT"],
    }
