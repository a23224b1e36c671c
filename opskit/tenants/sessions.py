"""What holds for every connection to a tenant: its schema, and how long a statement may wait or run."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from opskit.tenants import naming, urls
from opskit.tenants.errors import TenantDatabaseError

# In a connection's settings, beside Django's own keys:
SCHEMA = "OPSKIT_SCHEMA"  # where it must be
PATH = "OPSKIT_PATH"  # its search_path
FIRST = "OPSKIT_FIRST"  # a statement to begin with


_SECOND = """
SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'django_migrations' AND n.nspname = ANY (current_schemas(false)) AND n.nspname <> current_schema()
"""


def extension_schemas() -> tuple[str, ...]:
    """The schemas that come after a tenant's on its search_path: for types and functions, never for tables."""
    return tuple(getattr(settings, "OPSKIT_TENANTS", {}).get("EXTENSION_SCHEMAS", ()))


@dataclass(frozen=True)
class Limits:
    """Seconds that a statement may wait for a lock, and may run. None leaves it to the database's settings."""

    lock: float | None = None
    statement: float | None = None


UNLIMITED = Limits()


def apply(database: dict[str, Any], schema: str, limits: Limits) -> None:
    """Write schema and limits into a database's settings, in place. Raises TenantDatabaseError."""
    vendor = urls.vendor(database["ENGINE"])
    if schema and vendor != "postgresql":
        raise TenantDatabaseError(f"schema `{schema}`: a schema per tenant needs PostgreSQL, and this is {vendor}")
    if vendor == "postgresql":
        _postgresql(database, schema, limits)
    elif limits != UNLIMITED:
        _others(database, vendor, limits)


def _postgresql(database: dict[str, Any], schema: str, limits: Limits) -> None:
    wanted = []
    if schema:
        naming.refuse_schema(schema)
        database[SCHEMA] = schema
        database[PATH] = ", ".join(map(quoted, (schema, *extension_schemas())))
        wanted.append(f"search_path={database[PATH]}")
    if limits.lock is not None:
        wanted.append(f"lock_timeout={_milliseconds(limits.lock)}")
    if limits.statement is not None:
        wanted.append(f"statement_timeout={_milliseconds(limits.statement)}")
    own = database["OPTIONS"].get("options", "")
    if wanted or own:
        database["OPTIONS"]["options"] = _merged(own, wanted)


def _merged(own: str, wanted: list[str]) -> str:
    """Start-up options, of which the last one counts. Beside others libpq (18) leaves PGOPTIONS out: here it is not."""
    ours = (re.sub(r"([\\\s])", r"\\\1", each) for each in wanted)
    return " ".join(part for part in (os.environ.get("PGOPTIONS", ""), own, *(f"-c {each}" for each in ours)) if part)


def quoted(name: str) -> str:
    """A name as PostgreSQL takes it literally."""
    return '"' + name.replace('"', '""') + '"'


def _milliseconds(seconds: float) -> int:
    # PostgreSQL takes 0 for no limit
    return max(1, math.ceil(seconds * 1000))


def _others(database: dict[str, Any], vendor: str, limits: Limits) -> None:
    if vendor == "mysql":
        database[FIRST] = _mysql(limits)
        return
    if vendor != "sqlite" or limits.statement is not None:
        raise TenantDatabaseError(f"a time limit for a statement is not known for {vendor}")
    database["OPTIONS"]["timeout"] = limits.lock


def _mysql(limits: Limits) -> str:
    """MariaDB and MySQL name a statement's limit differently, and each reads comments of its own (MariaDB 11)."""
    parts = []
    if limits.lock is not None:
        seconds = max(1, math.ceil(limits.lock))
        parts += [f"lock_wait_timeout={seconds}", f"innodb_lock_wait_timeout={seconds}"]
    if limits.statement is not None:
        milliseconds = _milliseconds(limits.statement)
        parts.append(f"/*M! max_statement_time={milliseconds / 1000} */ /*!50704 max_execution_time={milliseconds} */")
    return f"SET SESSION {', '.join(parts)}"


def begin(connection: Any, **_: Any) -> None:
    """Make a new connection what its settings say: a receiver of Django's connection_created.

    Raises TenantDatabaseError where it is not in its tenant's schema, and closes it.
    """
    first, schema = connection.settings_dict.get(FIRST), connection.settings_dict.get(SCHEMA)
    if first:
        _ask(connection, first)
    if schema is not None and (found := _ask(connection, "SELECT current_schema()")) != schema:
        connection.close()
        raise TenantDatabaseError(_elsewhere(schema, found))
    if schema is not None and extension_schemas() and (other := _ask(connection, _SECOND)):
        connection.close()
        raise TenantDatabaseError(
            f"schema `{other}` holds a django_migrations: as one of EXTENSION_SCHEMAS it could pass for `{schema}`'s"
        )


def _ask(connection: Any, statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def _elsewhere(schema: str, found: str | None) -> str:
    if found is None:
        return f"schema `{schema}` does not exist, or its user may not use it"
    return (
        f"schema `{schema}` was asked for, and the connection is in `{found}`: something on the way (PgBouncer?) "
        "dropped the start-up options"
    )


def go_home(connection: Any) -> None:
    """Bring a connection back to its tenant's schema: a migration may have left it with SET search_path."""
    schema = connection.settings_dict.get(SCHEMA)
    if schema is not None:
        _ask(connection, f"SET search_path TO {connection.settings_dict[PATH]}")
