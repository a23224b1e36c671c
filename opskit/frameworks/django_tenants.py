"""django-tenants 4.0.1: a PostgreSQL schema a tenant, and one for all (`public`).

Its plain `migrate` migrates every tenant, and its pool tells one error of many. `migrate_schemas --schema=…` with the
standard executor migrates one, and its exit code is reliable. `tenant_command --schema=12` is not used: it takes digits
for a place in the list first (management/commands/__init__.py).
"""

from __future__ import annotations

from opskit import model
from opskit.frameworks import django, survey
from opskit.frameworks.framework import Framework, Target

_COMMAND = "migrate_schemas"
_HOW = ("--executor=standard", "--noinput")  # it knows no --no-input; the environment's EXECUTOR may name another


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    return model.Command(args=(_COMMAND, f"--schema={tenant.id}", *_HOW, *target.args))


FRAMEWORK = Framework(
    name="django-tenants",
    migrate=migrate,
    judge=django.judge,
    marks=django.MARKS,
    survey=survey.command("django-tenants"),
    read_survey=survey.read,
    shared=model.Command(args=(_COMMAND, "--shared", *_HOW)),
)
