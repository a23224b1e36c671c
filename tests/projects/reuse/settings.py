"""A project that is migrated twice over: by Django's own command, and by opskit's executor.

DATABASES comes as JSON. With BIG set, third-party apps with two hundred migrations are installed.
"""

import json
import os

SECRET_KEY = "of a test"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = json.loads(os.environ["DATABASES"])
DATABASE_ROUTERS = ["loop.routers.Router"]
ROOT_URLCONF = "urls"
SITE_ID = 1
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sites",
    "opskit.tenants",
    "loop",
]
OWN = ["library", "ledger"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STATIC_URL = "/static/"
Q_CLUSTER = {"name": "test", "orm": "default", "timeout": 60, "retry": 120}
CONSTANCE_BACKEND = "constance.backends.memory.MemoryBackend"
BIG = [
    "django.contrib.admin",
    "django.contrib.flatpages",
    "django.contrib.messages",
    "django.contrib.redirects",
    "django.contrib.sessions",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.usersessions",
    "auditlog",
    "axes",
    "constance",
    "django_celery_beat",
    "django_celery_results",
    "django_otp",
    "django_otp.plugins.otp_email",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "django_q",
    "guardian",
    "invitations",
    "oauth2_provider",
    "organizations",
    "push_notifications",
    "rest_framework",
    "rest_framework.authtoken",
    "reversion",
    "simple_history",
    "taggit",
    "waffle",
]
INSTALLED_APPS += BIG if os.environ.get("BIG") else OWN
if os.environ.get("MORE"):  # an app with one migration more, for the benchmarks
    INSTALLED_APPS += OWN
