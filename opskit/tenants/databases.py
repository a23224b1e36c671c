"""A tenant's own database: the master's settings with another NAME, known to Django while it is at work."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections

if TYPE_CHECKING:  # the router needs this module before the models are ready
    from opskit.tenants import models

_PREFIX = "tenant:"
_PLAIN = re.compile(r"[a-z0-9_-]{1,40}")


class TenantDatabaseError(Exception):
    """A tenant's database can't be made, reached or removed."""


def is_tenant_alias(alias: str) -> bool:
    return alias.startswith(_PREFIX)


@contextlib.contextmanager
def connected(tenant: models.Tenant) -> Iterator[str]:
    """The alias of the tenant's database, registered with Django and connected until the block ends.

    Nothing is created. Raises TenantDatabaseError where there is no such database.
    """
    alias = register(tenant)
    try:
        _open(alias, tenant.database)
        yield alias
    finally:
        forget(alias)


def register(tenant: models.Tenant) -> str:
    """Make the tenant's database known to Django, and give its alias."""
    alias = f"{_PREFIX}{tenant.tenant_id}"
    wanted = settings_for(tenant.database)
    if connections.settings.get(alias) != wanted:
        forget(alias)
        connections.settings[alias] = wanted
    return alias


def forget(alias: str) -> None:
    """Close the connection and drop it with its settings, so that a thousand tenants cost no more than one."""
    if alias not in connections.settings:
        return
    connections[alias].close()
    del connections[alias]
    del connections.settings[alias]


def settings_for(database: str) -> dict[str, Any]:
    settings = copy.deepcopy(connections.settings[DEFAULT_DB_ALIAS])
    settings["NAME"] = _uri(_sqlite_file(database)) if _is_sqlite() else database
    return dict(settings)


def name_for(tenant_id: str) -> str:
    """The NAME of a new tenant's database: `acme_db`, whatever characters the id holds."""
    stem = tenant_id
    if not _PLAIN.fullmatch(tenant_id):
        digest = hashlib.sha256(tenant_id.encode()).hexdigest()[:8]
        stem = f"{re.sub(r'[^a-z0-9_-]', '_', tenant_id.lower())[:40]}_{digest}"
    return f"{stem}_db.sqlite3" if _is_sqlite() else f"{stem}_db"


def create(database: str) -> None:
    """Make an empty database. Raises TenantDatabaseError, also when there is one of this name."""
    if not _is_sqlite():
        _on_master("CREATE DATABASE", database)
        return
    file = _sqlite_file(database)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(exist_ok=False)
    except OSError as error:
        raise TenantDatabaseError(f"database `{database}` can't be created: {error.strerror}: {file}") from error


def drop(database: str) -> None:
    if not _is_sqlite():
        _on_master("DROP DATABASE", database)
        return
    file = _sqlite_file(database)
    for suffix in ("", "-journal", "-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)


def require_master() -> None:
    """Raises TenantDatabaseError where the master is a file that is missing: connecting would create it."""
    if _is_sqlite():
        master = str(connections.settings[DEFAULT_DB_ALIAS]["NAME"])
        if not master.startswith(("file:", ":memory:")) and not Path(master).exists():
            raise TenantDatabaseError(f"there is no database {master}")


def _open(alias: str, database: str) -> None:
    try:
        connections[alias].ensure_connection()
    except Error as error:
        raise TenantDatabaseError(f"database `{database}` can't be opened: {' '.join(str(error).split())}") from error


def _is_sqlite() -> bool:
    return str(connections[DEFAULT_DB_ALIAS].vendor) == "sqlite"


def _sqlite_file(database: str) -> Path:
    master = str(connections.settings[DEFAULT_DB_ALIAS]["NAME"])
    if master.startswith(("file:", ":memory:")):
        raise ImproperlyConfigured(
            f"a database per tenant needs a master database in a plain file: DATABASES['default']['NAME'] is `{master}`"
        )
    return Path(master).absolute().parent / database


def _uri(file: Path) -> str:
    # mode=rw, because SQLite would otherwise create a missing file and call it an empty database
    return f"{file.as_uri()}?mode=rw"


def _on_master(statement: str, database: str) -> None:
    master = connections[DEFAULT_DB_ALIAS]
    try:
        with master.cursor() as cursor:
            cursor.execute(f"{statement} {master.ops.quote_name(database)}")
    except Error as error:
        raise TenantDatabaseError(f"{statement.lower()} `{database}`: {' '.join(str(error).split())}") from error
