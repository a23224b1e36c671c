"""Make a tenant, whole or not at all."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections

from opskit import model
from opskit.tenants import databases, history, interrupting, locks, making, migrating, models, naming, registry, telling
from opskit.tenants.errors import TenantDatabaseError, TenantLockedError

INTERRUPTED = 130


def create(
    tenant_id: str,
    name: str,
    hear: telling.Hear | None = None,
    interrupts: interrupting.Undoing | None = None,
    **where: str,
) -> models.AbstractTenant:
    """Create a tenant's row and its database or schema, and migrate it where there is somebody to hear of it.

    `where` are fields of the tenant: `isolation_type`, `database`, `schema`, `alias`, `url_variable`. A database that
    an alias or a variable names is used as it is. What was created is undone when a later step fails or is
    interrupted. The tenant's lock is held meanwhile. Raises CommandError.
    """
    tenant: models.AbstractTenant = registry.tenant_model()(tenant_id=tenant_id, name=name, **where)
    interrupts = interrupts or interrupting.Undoing()
    _name(tenant)
    with _locked(tenant), _row(tenant, interrupts), _place(tenant, interrupts):
        if hear is not None:
            _migrate(tenant, hear)
        interrupts.look()  # a migration may catch whatever is raised in it
    return tenant


def _name(tenant: models.AbstractTenant) -> None:
    if tenant.isolation_type == models.Isolation.SCHEMA:
        tenant.schema = tenant.schema or naming.schema_for(tenant.tenant_id)
    elif databases.is_masters_own(tenant):
        sqlite = databases.vendor() == "sqlite"
        tenant.database = tenant.database or naming.database_for(tenant.tenant_id, sqlite=sqlite)


@contextlib.contextmanager
def _locked(tenant: models.AbstractTenant) -> Iterator[None]:
    """Who finds a row, or a place, knows that nobody is at work on it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.held(tenant.tenant_id))
        except (TenantLockedError, TenantDatabaseError) as error:
            raise CommandError(f"{error}. nothing was created") from error
        yield


@contextlib.contextmanager
def _row(tenant: models.AbstractTenant, interrupts: interrupting.Undoing) -> Iterator[None]:
    with interrupts.whole():
        _save(tenant)
    with _undone(interrupts, lambda _: tenant.delete()):
        yield


@contextlib.contextmanager
def _undone(interrupts: interrupting.Undoing, undo: Callable[[BaseException], object]) -> Iterator[None]:
    """Undo what was made before, where the rest fails or is interrupted; not where the operator left it as it is."""
    try:
        interrupts.look()
        yield
    except interrupting.LeftError:
        raise
    except BaseException as failure:
        with interrupts.whole():
            _reconnect_after(failure)
            undo(failure)
        raise


def _save(tenant: models.AbstractTenant) -> None:
    try:
        tenant.clean_fields()
        tenant.save()
    except ValidationError as error:
        raise CommandError(_said(error)) from error
    except IntegrityError as error:
        raise CommandError(_found(tenant.tenant_id)) from error


@contextlib.contextmanager
def _place(tenant: models.AbstractTenant, interrupts: interrupting.Undoing) -> Iterator[None]:
    made = tenant.isolation_type == models.Isolation.SCHEMA or databases.is_masters_own(tenant)
    registry.refuse_company(tenant)
    with interrupts.whole():
        if made:
            _make(tenant)
    with _undone(interrupts, lambda failure: _remove(tenant, failure) if made else None):
        yield


def _reconnect_after(failure: BaseException) -> None:
    """A connection that was interrupted in the middle of a statement may take no other one (psycopg 3.2)."""
    if isinstance(failure, KeyboardInterrupt):
        with contextlib.suppress(Exception):
            connections[DEFAULT_DB_ALIAS].close()


def _make(tenant: models.AbstractTenant) -> None:
    try:
        making.create(tenant)
    except TenantDatabaseError as error:
        there = error.__cause__ is not None and databases.is_masters_own(tenant) and making.is_there(tenant)
        hint = f". what is there is no tenant's: remove it, or give another --{tenant.isolation_type}" if there else ""
        raise CommandError(f"{error}. nothing was created{hint}") from error


def _remove(tenant: models.AbstractTenant, failure: BaseException) -> None:
    try:
        making.drop(tenant)
    except TenantDatabaseError as error:
        interrupted = isinstance(failure, KeyboardInterrupt)
        why = "interrupted" if interrupted else history.reason(failure)
        raise CommandError(
            f"{why}. but this could not be removed: {error}", returncode=INTERRUPTED if interrupted else 1
        ) from failure


def _migrate(tenant: models.AbstractTenant, hear: telling.Hear) -> None:
    outcome = migrating.migrate(tenant, history.Target(), hear, locked=True)
    if outcome.status is model.Status.FAILED:
        raise CommandError(
            f"tenant `{tenant.tenant_id}` could not be migrated, and what was created is removed: {outcome.error}"
        )


def _said(error: ValidationError) -> str:
    return "; ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())


# ---------------------------------------------------------------- what is there already


def _found(tenant_id: str) -> str:
    """What there is of a tenant at whom nobody is at work, and what to type: its createtenant may have been killed."""
    tenant = registry.find(tenant_id)
    exists = f"tenant `{tenant_id}` exists already"
    if databases.is_masters_own(tenant) and not making.is_there(tenant):
        kind = tenant.isolation_type
        name = tenant.schema if kind == models.Isolation.SCHEMA else tenant.database
        anew = f"to begin anew, delete its row: {_delete(tenant_id)}"
        return f"{exists}, and there is no {kind} `{name}`. nothing was created. {anew}"
    ((_, found),) = history.of_tenants([tenant])
    if found.error:
        return f"{exists}, and can't be asked what is pending: {found.error}. nothing was created"
    if found.pending:
        pending = f"{len(found.pending)} migration{'' if len(found.pending) == 1 else 's'} pending"
        word = f"`manage.py migratetenant --tenant-id={shlex.quote(tenant_id)}` goes on"
        return f"{exists}, with {pending}. nothing was created. {word}"
    return f"{exists}. nothing was created"


def _delete(tenant_id: str) -> str:
    code = f"from opskit.tenants import registry; registry.find({tenant_id!r}).delete()"
    return f"`manage.py shell -c {shlex.quote(code)}`"
