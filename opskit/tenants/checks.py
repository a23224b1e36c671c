"""Django's system checks for this app: what is wrong with the settings, and with the rows of the tenant table.

A row is no reason for `migrate` to refuse the master database, so those are warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks, management
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, router

from opskit import model
from opskit.rollout import places
from opskit.tenants import databases, making, models, naming, registry, routers
from opskit.tenants.errors import TenantDatabaseError

_LABEL = routers.OWN_LABEL
_ROUTER = "opskit.tenants.routers.TenantRouter"
_KEYS = ("SHARED_APPS", "TENANT_APPS")
_ROW = "correct its row, or delete it: `manage.py showtenants` lists them"


def register() -> None:
    checks.register(check_settings, checks.Tags.models)
    checks.register(check_tenants, checks.Tags.database)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Router, OPSKIT_TENANTS, the names of the commands."""
    return [*_router(), *_named_apps(), *_commands()]


def check_tenants(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """The rows, where the master database may be asked (`check --database default`, `migrate`)."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        tenants = registry.every()
    except CommandError:  # before the first migrate
        return []
    there = making.existing() if tenants else (frozenset(), frozenset())
    return [*_shared(tenants), *(found for tenant in tenants for found in _row(tenant, there))]


def _router() -> Iterator[checks.CheckMessage]:
    if not any(isinstance(each, routers.TenantRouter) for each in router.routers):
        yield checks.Error(
            "DATABASE_ROUTERS has no router of opskit.tenants: tenants' tables would be made in the master database.",
            hint=f'DATABASE_ROUTERS = ["{_ROUTER}"]',
            id=f"{_LABEL}.E001",
        )


def _named_apps() -> Iterator[checks.CheckMessage]:
    said = getattr(settings, "OPSKIT_TENANTS", {})
    known = {name for config in apps.get_app_configs() for name in (config.label, config.name)}
    unknown = [key for key in said if key not in (*_KEYS, "EXTENSION_SCHEMAS")]
    unknown += [f"{key}: {name}" for key in _KEYS for name in said.get(key) or () if name not in known]
    if unknown:
        yield checks.Error(
            f"OPSKIT_TENANTS says what means nothing: {', '.join(f'`{each}`' for each in unknown)}.",
            hint=f"its keys are {' and '.join(_KEYS)}, lists of installed apps, and EXTENSION_SCHEMAS.",
            id=f"{_LABEL}.E002",
        )


def _commands() -> Iterator[checks.CheckMessage]:
    own = management.find_commands(str(Path(__file__).parent / "management"))
    given = management.get_commands()
    for name in own:
        if given.get(name) != "opskit.tenants":
            yield checks.Error(
                f"the command `{name}` is that of `{given.get(name)}`, which INSTALLED_APPS lists earlier.",
                hint=f'list "opskit.tenants" before "{given.get(name)}".',
                id=f"{_LABEL}.E003",
            )


def _shared(tenants: list[Any]) -> Iterator[checks.CheckMessage]:
    states = {tenant.tenant_id: model.TenantState(place=registry.place(tenant)) for tenant in tenants}
    for place, names in places.shared(states).items():
        yield _warning(f"tenants {', '.join(f'`{name}`' for name in names)} have one place: {place}.", "W002")


def _row(tenant: models.AbstractTenant, there: tuple[frozenset[str], frozenset[str]]) -> Iterator[checks.CheckMessage]:
    name = tenant.schema if tenant.isolation_type == "schema" else tenant.database
    if not name and (tenant.isolation_type == "schema" or databases.is_masters_own(tenant)):
        yield _warning(f"tenant `{tenant.tenant_id}` has no {tenant.isolation_type}.", "W001")
    elif why := naming.fault(name, databases.vendor()):
        yield _warning(f"tenant `{tenant.tenant_id}`: the name `{name}` can't be used: {why}.", "W003")
    else:
        yield from _use(tenant, name, there)


def _use(
    tenant: models.AbstractTenant, name: str, there: tuple[frozenset[str], frozenset[str]]
) -> Iterator[checks.CheckMessage]:
    try:
        databases.settings_for(tenant)
    except TenantDatabaseError as error:
        yield _warning(f"tenant `{tenant.tenant_id}`: {error}.", "W004")
        return
    if databases.is_masters_own(tenant) and not making.is_there(tenant, there):
        yield _warning(f"tenant `{tenant.tenant_id}`: there is no {tenant.isolation_type} `{name}`.", "W001")


def _warning(text: str, number: str) -> checks.CheckMessage:
    return checks.Warning(text, hint=_ROW, id=f"{_LABEL}.{number}")
