"""Plain Django with many DATABASES: an alias is a tenant, and `default` is what they share."""

from __future__ import annotations

from opskit import model
from opskit.frameworks import django, survey
from opskit.frameworks.framework import Framework, Target


def framework(aliases: tuple[str, ...]) -> Framework:
    """The framework whose tenants are the aliases that these globs match. The default alias never is one."""
    return Framework(
        name="databases",
        migrate=migrate,
        judge=django.judge,
        marks=django.MARKS,
        survey=survey.command("databases", aliases=list(aliases)),
        read_survey=survey.read,
        shared=model.Command(args=("migrate", "--noinput")),
    )


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    return model.Command(args=("migrate", f"--database={tenant.id}", "--noinput", *target.args))
