"""A tenant's own database or schema, known to Django while it is at work."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections

from opskit import model
from opskit.tenants import naming, sessions, urls
from opskit.tenants.errors import TenantDatabaseError

if TYPE_CHECKING:  # the router needs this module before the models are ready
    from opskit.tenants import models

_PREFIX = "tenant:"
_kept: set[str] = set()  # aliases that a tenant_context has used: their settings stay
_settings_lock = threading.Lock()


def is_tenant_alias(alias: str) -> bool:
    return alias.startswith(_PREFIX)


@contextlib.contextmanager
def connected(tenant: models.AbstractTenant, limits: sessions.Limits = sessions.UNLIMITED) -> Iterator[str]:
    """The alias of the tenant's database, registered with Django and connected until the block ends.

    Nothing is created. Raises TenantDatabaseError where there is no such database or schema.
    """
    alias = register(tenant, limits)
    try:
        _open(alias, tenant)
        yield alias
    finally:
        forget(alias)


def register(tenant: models.AbstractTenant, limits: sessions.Limits = sessions.UNLIMITED, *, keep: bool = False) -> str:
    """Make the tenant's database known to Django, and give its alias. With `keep` it stays known for good."""
    alias = f"{_PREFIX}{tenant.tenant_id}"
    wanted = settings_for(tenant, limits)
    with _settings_lock:
        if keep:
            _kept.add(alias)
        if connections.settings.get(alias) == wanted:
            return alias
        connections.settings[alias] = wanted
    _disconnect(alias)
    return alias


def forget(alias: str) -> None:
    """Close the connection and drop it with its settings, so that a thousand tenants cost no more than one."""
    _disconnect(alias)
    with _settings_lock:
        if alias not in _kept:
            connections.settings.pop(alias, None)


def _disconnect(alias: str) -> None:
    if alias in connections.settings and hasattr(connections._connections, alias):  # noqa: SLF001 - only what is there
        connections[alias].close()
        del connections[alias]


def settings_for(tenant: models.AbstractTenant, limits: sessions.Limits = sessions.UNLIMITED) -> dict[str, Any]:
    """The settings of the tenant's database, with its schema and the limits in them. Raises TenantDatabaseError."""
    settings = _where(tenant)
    sessions.apply(settings, _schema(tenant), limits)
    if urls.vendor(settings["ENGINE"]) == "sqlite" and not _in_memory(str(settings["NAME"])):
        settings["NAME"] = _uri(_sqlite_file(settings["NAME"]))
    return settings


def place(tenant: models.AbstractTenant) -> model.Place:
    """Where the tenant's data lives. Raises TenantDatabaseError."""
    settings = _where(tenant)
    return _place(settings, _schema(tenant))


def is_masters_own(tenant: models.AbstractTenant) -> bool:
    """Whether its database is one that was, or can be, made on the master's server."""
    return not (tenant.alias or tenant.url_variable)


def schema_in_master(tenant: models.AbstractTenant) -> str:
    """The tenant's schema where it is one of the master database, else "". Raises TenantDatabaseError."""
    if tenant.isolation_type != "schema" or not is_masters_own(tenant):
        return ""
    return str(settings_for(tenant)[sessions.SCHEMA])


def master() -> dict[str, Any]:
    settings: dict[str, Any] = connections.settings[DEFAULT_DB_ALIAS]
    return settings


def vendor() -> str:
    """The kind of the master database: `postgresql`, `mysql`, `sqlite` or another backend's."""
    return urls.vendor(master()["ENGINE"])


def require_master() -> None:
    """Raises TenantDatabaseError where the master is a file that is missing: connecting would create it."""
    name = str(master()["NAME"])
    if vendor() == "sqlite" and not _in_memory(name) and not Path(name).exists():
        raise TenantDatabaseError(f"there is no database {name}")


def file_of(database: str) -> Path:
    """The SQLite file of a tenant's database, beside the master's."""
    name = str(master()["NAME"])
    if _in_memory(name):
        raise ImproperlyConfigured(
            f"a database per tenant needs a master database in a plain file: DATABASES['default']['NAME'] is `{name}`"
        )
    return Path(name).absolute().parent / database


@contextlib.contextmanager
def server(tenant: models.AbstractTenant) -> Iterator[Any]:
    """A connection to where the tenant's database or schema is made. Raises TenantDatabaseError."""
    if is_masters_own(tenant):
        yield connections[DEFAULT_DB_ALIAS]
        return
    alias = f"server of {tenant.tenant_id}"
    connections.settings[alias] = _where(tenant)
    try:
        yield connections[alias]
    finally:
        forget(alias)


def _where(tenant: models.AbstractTenant) -> dict[str, Any]:
    """Settings with the right server and NAME, and with OPTIONS of their own. Raises TenantDatabaseError."""
    settings = _base(tenant)
    if not is_masters_own(tenant) and urls.vendor(settings["ENGINE"]) == "sqlite":
        settings["NAME"] = os.path.abspath(settings["NAME"])  # noqa: PTH100 - as SQLite itself reads it
    settings["OPTIONS"] = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
    if tenant.isolation_type == "schema":
        return settings
    if tenant.database:
        naming.refuse_database(tenant.database, urls.vendor(settings["ENGINE"]))
        settings["NAME"] = tenant.database
    if is_masters_own(tenant) and not tenant.database:
        raise TenantDatabaseError("it has no database: neither a name, nor an alias, nor a variable")
    if _place(settings, "") == _place(master(), ""):
        raise TenantDatabaseError(f"database `{settings['NAME']}` is the master's: it can't be a tenant's")
    return settings


def _base(tenant: models.AbstractTenant) -> dict[str, Any]:
    if tenant.alias:
        if tenant.alias not in connections.settings or is_tenant_alias(tenant.alias):
            raise TenantDatabaseError(f"DATABASES has no `{tenant.alias}`, which it names as its database")
        return {**connections.settings[tenant.alias]}
    if tenant.url_variable:
        url = os.environ.get(tenant.url_variable)
        if not url:
            raise TenantDatabaseError(
                f"the environment variable `{tenant.url_variable}`, which it names for its database, is not set"
            )
        return urls.over(master(), url, tenant.url_variable)
    return {**master()}


def _schema(tenant: models.AbstractTenant) -> str:
    if tenant.isolation_type != "schema":
        return ""
    if not tenant.schema:
        raise TenantDatabaseError("it has no schema")
    return str(tenant.schema)


def _place(settings: dict[str, Any], schema: str) -> model.Place:
    name = str(settings["NAME"])
    if urls.vendor(settings["ENGINE"]) == "sqlite":
        return model.Place(model.FILES, name if _in_memory(name) else str(_sqlite_file(name)), schema)
    host = settings["HOST"] or settings["OPTIONS"].get("host") or "localhost"
    return model.Place(f"{host}:{settings['PORT'] or 'usual port'}", name, schema)


def _open(alias: str, tenant: models.AbstractTenant) -> None:
    try:
        connections[alias].ensure_connection()
    except Error as error:
        name = tenant.database or tenant.alias or tenant.url_variable or master()["NAME"]
        raise TenantDatabaseError(f"database `{name}` can't be opened: {' '.join(str(error).split())}") from error


def _in_memory(name: str) -> bool:
    return name.startswith(("file:", ":memory:"))


def _sqlite_file(name: str) -> Path:
    path = Path(name)
    return path if path.is_absolute() else file_of(name)


def _uri(file: Path) -> str:
    # mode=rw, because SQLite would otherwise create a missing file and call it an empty database
    return f"{file.as_uri()}?mode=rw"
