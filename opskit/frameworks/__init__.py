"""What we say to each tenancy framework, and what it answered. Pure: no I/O, no clock.

A framework is a value of functions; `get` is the dictionary of them. Adding one is adding a file
here (and, where it can't say what is pending, a branch to the question in `remote/status.py`).
"""

from __future__ import annotations

from opskit import errors, model
from opskit.frameworks import custom, omnitenant, tenants_app
from opskit.frameworks.framework import Framework, Target

__all__ = ["NAMES", "Framework", "Target", "get"]

_KNOWN = {"omnitenant": omnitenant.FRAMEWORK, "opskit": tenants_app.FRAMEWORK}

NAMES = (*_KNOWN, "custom")


def get(environment: model.Environment) -> Framework:
    """The environment's framework. Raises InventoryError for a name that is none."""
    if environment.framework == "custom" and environment.custom is not None:
        return custom.framework(environment.custom)
    try:
        return _KNOWN[environment.framework]
    except KeyError:
        raise errors.InventoryError(
            f"framework `{environment.framework}` is none of {', '.join(f'`{name}`' for name in NAMES)}"
        ) from None
