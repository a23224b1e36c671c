"""django-tenant-schemas 2.0.0: a PostgreSQL schema a tenant, and one for all. Its `migrate` is disabled."""

from __future__ import annotations

from opskit import model
from opskit.frameworks import django, survey
from opskit.frameworks.framework import Framework, Target

_COMMAND = "migrate_schemas"
_HOW = ("--executor=standard", "--noinput")  # the environment's EXECUTOR may name another


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    return model.Command(args=(_COMMAND, f"--schema={tenant.id}", *_HOW, *target.args))


FRAMEWORK = Framework(
    name="django-tenant-schemas",
    migrate=migrate,
    judge=django.judge,
    marks=django.MARKS,
    survey=survey.command("django-tenant-schemas"),
    read_survey=survey.read,
    shared=model.Command(args=(_COMMAND, "--shared", *_HOW)),
)
