"""A tenant's lock in the master database: whoever migrates it holds it, and the others leave it alone.

PostgreSQL: an advisory lock of a transaction, which a pooler such as PgBouncer keeps on one connection, too.
MySQL and MariaDB: GET_LOCK. SQLite: a locked file beside the master's. Each is freed by the kernel or the server when
its process ends, however it ends. Other databases have none.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connections

from opskit.tenants import databases, naming
from opskit.tenants.errors import TenantDatabaseError, TenantLockedError

ALIAS = "opskit locks"  # a connection of its own to the master: the project may close the other one

_HOLDER = """
SELECT a.application_name, a.client_addr, a.pid, a.xact_start
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.classid::bigint = (%s::bigint >> 32) & 4294967295 AND l.objid::bigint = %s::bigint & 4294967295
"""
_PATIENCE = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""


@contextlib.contextmanager
def held(tenant_id: str) -> Iterator[None]:
    """The tenant's lock, until the block ends.

    Raises TenantLockedError at once where somebody has it, TenantDatabaseError where it can't be asked for.
    """
    with _KINDS.get(databases.vendor(), _none)(tenant_id):
        yield


@contextlib.contextmanager
def _none(_tenant_id: str) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _advisory(tenant_id: str) -> Iterator[None]:
    key = int.from_bytes(_digest(tenant_id)[:8], "big", signed=True)
    connection = _session()
    connection.set_autocommit(False)
    try:
        _ask(connection, _PATIENCE)
        if not _ask(connection, "SELECT pg_try_advisory_xact_lock(%s)", key)[0][0]:
            raise TenantLockedError(_taken(tenant_id, *_advisory_holder(connection, key)))
        yield
    finally:
        _end(connection)


def _end(connection: Any) -> None:
    """Give the lock back. Where the connection is lost, it is free already."""
    with contextlib.suppress(Exception):
        connection.rollback()
    with contextlib.suppress(Exception):
        connection.set_autocommit(True)
        return
    connection.close()


def _advisory_holder(connection: Any, key: int) -> tuple[str, str]:
    rows = _ask(connection, _HOLDER, key, key)
    if not rows:
        return "somebody who is done by now", ""
    name, address, pid, since = rows[0]
    where = f" from {address}" if address else ""
    return f"`{name}`{where} (PostgreSQL process {pid})", f"{since:%Y-%m-%d %H:%M:%S %Z}" if since else ""


@contextlib.contextmanager
def _named(tenant_id: str) -> Iterator[None]:
    name = f"opskit-{hashlib.sha256(_digest(tenant_id) + _digest(str(databases.master()['NAME']))).hexdigest()[:40]}"
    connection = _session()
    _ask(connection, "SET SESSION wait_timeout = 31536000")
    if _ask(connection, "SELECT GET_LOCK(%s, 0)", name)[0][0] != 1:
        raise TenantLockedError(_taken(tenant_id, *_named_holder(connection, name)))
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # where the connection is lost, the lock is free already
            _ask(connection, "SELECT RELEASE_LOCK(%s)", name)


def _named_holder(connection: Any, name: str) -> tuple[str, str]:
    ((number,),) = _ask(connection, "SELECT IS_USED_LOCK(%s)", name)
    rows = _ask(connection, "SELECT user, host FROM information_schema.processlist WHERE id = %s", number)
    if not rows:
        return "somebody who is done by now", ""
    user, host = rows[0]
    return f"`{user}` from {host} (connection {number})", ""


@contextlib.contextmanager
def _file(tenant_id: str) -> Iterator[None]:
    master = Path(str(databases.master()["NAME"]))
    if str(master).startswith(("file:", ":memory:")):  # this process is the only one that has it
        yield
        return
    path = master.absolute().with_name(f"{master.name}-locks") / naming.file_for(tenant_id)
    try:
        path.parent.mkdir(exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise TenantDatabaseError(f"its lock can't be taken: {error.strerror}: {path}") from error
    with file:  # closing it frees the lock; the file stays, since who removes it may remove another one's
        _flock(tenant_id, file)
        yield


def _flock(tenant_id: str, file: Any) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        who, _, since = file.read().strip().partition("\n")
        raise TenantLockedError(_taken(tenant_id, who or "somebody", since)) from None
    file.truncate(0)
    file.write(f"{_me()}\n{datetime.now(UTC):%Y-%m-%d %H:%M:%S %Z}\n")
    file.flush()


_KINDS: dict[str, Callable[[str], contextlib.AbstractContextManager[None]]] = {
    "postgresql": _advisory,
    "mysql": _named,
    "sqlite": _file,
}


def _session() -> Any:
    """The connection that holds locks. Django closes it with the others when the command ends."""
    if ALIAS not in connections.settings:
        master = databases.master()
        options = {name: value for name, value in master["OPTIONS"].items() if name != "pool"}
        if databases.vendor() == "postgresql" and not os.environ.get("PGAPPNAME"):
            options["application_name"] = _me()[:63]
        connections.settings[ALIAS] = {**master, "OPTIONS": options, "CONN_MAX_AGE": None}
    connection = connections[ALIAS]
    connection.close_if_unusable_or_obsolete()
    return connection


def _ask(connection: Any, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall()) if cursor.description else []


def _digest(text: str) -> bytes:
    return hashlib.sha256(f"opskit:{text}".encode("utf-8", "surrogatepass")).digest()


def _me() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = str(os.getuid())
    return f"{user}@{platform.node()} process {os.getpid()}"


def _taken(tenant_id: str, who: str, since: str) -> str:
    when = f" since {since}" if since else ""
    return f"tenant `{tenant_id}` is being migrated by {who}{when}. it was left alone"
