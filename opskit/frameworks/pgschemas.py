"""django-pgschemas 1.3: a PostgreSQL schema a tenant, static ones that the settings name, and `public`.

`migrateschema` is its `migrate` by a name that no other app takes. Without --no-create-schemas each of its commands
makes a schema that is missing, `--plan` too. `--schema` takes the beginning of a domain where no schema has that name:
a tenant that is deleted between the listing and its turn may so be taken for another, and the verification misses it.
"""

from __future__ import annotations

from opskit import model
from opskit.frameworks import django, survey
from opskit.frameworks.framework import Framework, Target

_COMMAND = "migrateschema"


def migrate(tenant: model.Tenant, target: Target) -> model.Command:
    return _migrate(tenant.id, target)


def _migrate(schema: str, target: Target) -> model.Command:
    """The target stands first: `--schema` takes every word that follows."""
    return model.Command(args=(_COMMAND, *target.args, f"--schema={schema}", "--no-create-schemas", "--noinput"))


FRAMEWORK = Framework(
    name="django-pgschemas",
    migrate=migrate,
    judge=django.judge,
    marks=django.MARKS,
    survey=survey.command("django-pgschemas"),
    read_survey=survey.read,
    shared=_migrate("public", Target()),
)
