"""Which migrations a database has applied, and which are pending. Only reads: no file, no table is created."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.loader import AmbiguityError

from opskit import redaction
from opskit.tenants import code, databases, models, routers, sessions
from opskit.tenants.errors import TenantDatabaseError

TABLE = "django_migrations"  # Django 5.2, db/migrations/recorder.py
Node = tuple[str, str | None]  # (app label, migration name); None is before the first


@dataclass(frozen=True)
class History:
    """`app.name` of what is applied, oldest first, and pending, in the order in which they would run.

    `unrecorded` are squashed migrations whose parts are all applied: nothing of them is pending, and Django records
    them at the next `migrate`. `error` is why the database could not be asked, or must not be migrated.
    """

    applied: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Target:
    """How far to migrate: all the way, one app, or to one of its migrations; `fake` and `fake_initial` as Django's."""

    app_label: str = ""
    migration_name: str = ""
    fake: bool = False
    fake_initial: bool = False


def of_tenants(tenants: Iterable[models.AbstractTenant]) -> Iterator[tuple[models.AbstractTenant, History]]:
    """Ask every tenant's database; the code's migrations are read once."""
    shared = code.current()
    for tenant in tenants:
        yield tenant, _of_tenant(tenant, shared)
    shared.looked()


def shared_pending() -> tuple[str, ...]:
    """What the master database has yet to apply. The tenants' apps don't count: they are not there."""
    loader = code.Loader(connections[DEFAULT_DB_ALIAS], code.current())
    return names(_forwards(loader, _leaves(loader, routers.master_apps()), loader.applied_migrations))


def names(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(named(label, name) for label, name in nodes)


def named(label: str, name: str | None) -> str:
    """`app.name`, the same object each time: a thousand tenants have the same migrations."""
    return sys.intern(f"{label}.{name}")


def reason(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(redaction.redact(str(error)).split())
    if isinstance(error, (CommandError, TenantDatabaseError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def refuse_conflicts(loader: Any) -> None:
    """Raises CommandError where an app of the code has two newest migrations."""
    conflicts = loader.detect_conflicts()
    if conflicts:
        said = "; ".join(f"{label}: {', '.join(sorted(found))}" for label, found in sorted(conflicts.items()))
        raise CommandError(f"conflicting migrations in the code ({said}). `makemigrations --merge` joins them")


def resolve(loader: Any, target: Target) -> list[Node]:
    """The graph's nodes to migrate a tenant to. Raises CommandError for a name that means nothing, or two things."""
    if not target.app_label:
        return _leaves(loader, loader.migrated_apps & routers.tenant_apps())
    _check_label(loader, target.app_label)
    if not target.migration_name:
        return _leaves(loader, {target.app_label})
    if target.migration_name == "zero":
        return [(target.app_label, None)]
    return [_by_prefix(loader, target)]


def _of_tenant(tenant: models.AbstractTenant, shared: code.Code) -> History:
    try:
        schema = databases.schema_in_master(tenant)
        # the master's connection stands, and a new one takes ten times as long as the question
        found = _known(connections[DEFAULT_DB_ALIAS], f"{sessions.quoted(schema)}.{TABLE}", shared) if schema else None
        if found is not None:
            return found
        with databases.connected(tenant) as alias:
            connection = connections[alias]
            return _known(connection, TABLE, shared) or _ask(code.Loader(connection, shared))
    except Exception as error:  # noqa: BLE001 - whatever a tenant's database does is that tenant's state
        return History(error=reason(error))


def _known(connection: Any, table: str, shared: code.Code) -> History | None:
    """What an earlier tenant with the same rows was told; None where there was none, or the table can't be read."""
    found: History | None
    if connection.in_atomic_block:
        return None  # a table that is missing would break the caller's transaction
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT app, name FROM {table} ORDER BY id")  # noqa: S608 - names of ours, quoted
            rows = cursor.fetchall()
    except Error:
        return None
    start, found = shared.answers.get(names(rows), (frozenset(), None))
    if found is not None and found.pending:
        shared.waiting[start] += 1
    return found


def _ask(loader: code.Loader) -> History:
    refuse_conflicts(loader)
    loader.check_consistent_history(loader.connection)
    pending = _forwards(loader, resolve(loader, Target()), loader.applied_migrations)
    if pending:
        loader.code.waiting[loader.start] += 1
    recorded = loader.recorded or {}
    oldest_first = sorted(recorded, key=lambda node: recorded[node].pk)
    found = History(names(oldest_first), names(pending), names(loader.unrecorded()))
    loader.code.answers[found.applied] = loader.start, found
    return found


def _forwards(loader: Any, targets: Sequence[Node], applied: Collection[Node]) -> list[Node]:
    steps: dict[Node, None] = {}
    for target in targets:
        steps.update(dict.fromkeys(loader.graph.forwards_plan(target)))
    return [node for node in steps if node not in applied]


def _leaves(loader: Any, labels: Collection[str]) -> list[Node]:
    return [node for node in loader.graph.leaf_nodes() if node[0] in labels]


def _check_label(loader: Any, label: str) -> None:
    try:
        apps.get_app_config(label)
    except LookupError as error:
        raise CommandError(str(error)) from error
    if label not in routers.tenant_apps():
        raise CommandError(f"app `{label}` lives in the master database. `manage.py migrate {label}` migrates it")
    if label not in loader.migrated_apps:
        raise CommandError(f"app `{label}` has no migrations")


def _by_prefix(loader: Any, target: Target) -> Node:
    label, prefix = target.app_label, target.migration_name
    try:
        node = (label, loader.get_migration_by_prefix(label, prefix).name)
    except AmbiguityError as error:
        raise CommandError(f"more than one migration of app `{label}` starts with `{prefix}`") from error
    except KeyError as error:
        raise CommandError(f"app `{label}` has no migration that starts with `{prefix}`") from error
    if node not in loader.graph.nodes and node in loader.replacements:
        # a squashed migration that is applied in part is not in the graph: its last part stands for it
        last: Node = loader.replacements[node].replaces[-1]
        return last
    return node
