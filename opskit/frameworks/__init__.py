"""What we say to each tenancy framework, and what it answered. Pure: no I/O, no clock.

A framework is a value of functions; `get` is the dictionary of them. Adding one is adding a file
here (and, where it can't say what is pending, a branch to the question in `remote/status.py`).
"""

from __future__ import annotations

from opskit import errors, model
from opskit.frameworks import (
    auto,
    custom,
    databases,
    django_tenants,
    omnitenant,
    pgschemas,
    tenant_schemas,
    tenants_app,
)
from opskit.frameworks.framework import Framework, Target

__all__ = ["AUTO", "KNOWN", "NAMED", "NAMES", "Framework", "Target", "get"]

_NAMED = (
    omnitenant.FRAMEWORK,
    tenants_app.FRAMEWORK,
    django_tenants.FRAMEWORK,
    pgschemas.FRAMEWORK,
    tenant_schemas.FRAMEWORK,
)
KNOWN = {framework.name: framework for framework in _NAMED}

NAMED = tuple(KNOWN)
"""Those that need no more than their name."""

NAMES = (*NAMED, "databases", "custom")

AUTO = auto.NAME
"""In the place of a name: what the project says of itself."""

_AUTO = auto.framework(_NAMED)


def get(environment: model.Environment) -> Framework:
    """The environment's framework. Raises InventoryError for a name that is none."""
    if environment.framework == "custom" and environment.custom is not None:
        return custom.framework(environment.custom)
    if environment.framework == AUTO:
        return _AUTO
    if environment.framework == "databases":
        return databases.framework(environment.aliases)
    try:
        return KNOWN[environment.framework]
    except KeyError:
        raise errors.InventoryError(
            f"framework `{environment.framework}` is none of {', '.join(f'`{name}`' for name in NAMES)}"
        ) from None
