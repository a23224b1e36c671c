"""Makes and removes tenants' databases and schemas, on the master's server."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, Error, connections

from opskit.tenants import databases, models
from opskit.tenants.errors import TenantDatabaseError


def create(tenant: models.AbstractTenant) -> None:
    """Make an empty database or schema. Raises TenantDatabaseError, also when there is one of this name."""
    databases.settings_for(tenant)  # a name that can't be used has its own sentence
    if tenant.isolation_type == "schema":
        _on(tenant, "CREATE SCHEMA", tenant.schema)
    elif databases.vendor() == "sqlite":
        _touch(tenant.database)
    else:
        _on(tenant, "CREATE DATABASE", tenant.database)


def drop(tenant: models.AbstractTenant) -> None:
    """Remove what `create` made, and all that is in it."""
    if tenant.isolation_type == "schema":
        _on(tenant, "DROP SCHEMA", tenant.schema, " CASCADE")
    elif databases.vendor() == "sqlite":
        file = databases.file_of(tenant.database)
        for suffix in ("", "-journal", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    else:
        _on(tenant, "DROP DATABASE", tenant.database)


def is_there(tenant: models.AbstractTenant, there: tuple[frozenset[str], frozenset[str]] | None = None) -> bool:
    """Whether the master's server has the tenant's database or schema. `there` is what `existing` gave."""
    databases_, schemas = existing() if there is None else there
    if tenant.isolation_type == "schema":
        return tenant.schema in schemas
    if databases.vendor() == "sqlite":
        return databases.file_of(tenant.database).exists()
    return not databases_ or tenant.database in databases_


def existing() -> tuple[frozenset[str], frozenset[str]]:
    """The databases, and the schemas of the master's database, that there are on the master's server."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql":
        return _names("SELECT datname FROM pg_database"), _names("SELECT nspname FROM pg_namespace")
    if connection.vendor == "mysql":
        return _names("SELECT schema_name FROM information_schema.schemata"), frozenset()
    return frozenset(), frozenset()


def _names(query: str) -> frozenset[str]:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(query)
        return frozenset(name for (name,) in cursor.fetchall())


def _touch(database: str) -> None:
    file = databases.file_of(database)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(exist_ok=False)
    except OSError as error:
        raise TenantDatabaseError(f"database `{database}` can't be created: {error.strerror}: {file}") from error


def _on(tenant: models.AbstractTenant, statement: str, name: str, rest: str = "") -> None:
    try:
        with databases.server(tenant) as connection, connection.cursor() as cursor:
            quote = "`" if connection.vendor == "mysql" else '"'
            quoted = quote + name.replace(quote, quote * 2) + quote  # Django's quote_name leaves one inside as it is
            cursor.execute(f"{statement} {quoted}{rest}")
    except Error as error:
        raise TenantDatabaseError(f"{statement.lower()} `{name}`: {' '.join(str(error).split())}") from error
