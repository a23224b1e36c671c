"""Migrate one tenant's database, and look again before calling it done.

What `manage.py migrate` does (Django 5.2, core/management/commands/migrate.py), with other targets:
the leaves of the tenants' apps only, so that a tenant's history names what the tenant's database holds.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.db import connections
from django.utils.module_loading import module_has_submodule

from opskit import model
from opskit.tenants import code, context, databases, history, locks, models, sessions, signals
from opskit.tenants.errors import TenantLockedError
from opskit.tenants.executor import MigrationExecutor

Step = tuple[Any, bool]  # (migration, backwards)


@dataclass(frozen=True)
class Progress:
    """A step of a migration: what Django's executor tells while it works, and how a step ended."""

    migration: str  # app.name
    backwards: bool
    ended: str  # "" when it begins, else "OK", "FAKED" or "FAILED"


Heard = model.TenantStarted | model.TenantFinished | Progress


@dataclass
class _Work:
    """What is known so far about one tenant's migration."""

    tenant: models.AbstractTenant
    target: history.Target
    hear: Callable[[Heard], None]
    limits: sessions.Limits = sessions.UNLIMITED
    locked: bool = False
    announced: bool = False
    steps: int = 0
    applied: list[str] = field(default_factory=list)
    current: Progress | None = None

    def announce(self, pending: tuple[str, ...] | None) -> None:
        self.announced = True
        self.hear(model.TenantStarted(datetime.now(UTC), self.tenant.tenant_id, 1, "", pending))

    def told(self, action: str, migration: Any = None, fake: bool = False) -> None:
        """Take what Django's executor tells its progress_callback."""
        kind, _, moment = action.partition("_")
        if kind == "render":
            return
        ended = "" if moment == "start" else "FAKED" if fake else "OK"
        self.step(Progress(history.named(migration.app_label, migration.name), kind == "unapply", ended))

    def step(self, progress: Progress) -> None:
        self.current = None if progress.ended else progress
        if progress.ended in ("OK", "FAKED") and not progress.backwards:
            self.applied.append(progress.migration)
        self.hear(progress)


def migrate(
    tenant: models.AbstractTenant,
    target: history.Target,
    hear: Callable[[Heard], None],
    limits: sessions.Limits = sessions.UNLIMITED,
    *,
    locked: bool = False,
) -> model.Outcome:
    """Bring a tenant to the target, and tell how that went. Whatever a migration raises is the Outcome's error.

    The tenant's lock is held meanwhile; where somebody else has it, the outcome says who. `locked`: the caller has it.
    """
    began = time.monotonic()
    work = _Work(tenant, target, hear, limits, locked)
    with code.shared():
        attempted = _attempt(work)
    outcome = replace(attempted, seconds=round(time.monotonic() - began, 3))
    hear(model.TenantFinished(datetime.now(UTC), outcome))
    return outcome


@contextlib.contextmanager
def planned(tenant: models.AbstractTenant, target: history.Target) -> Iterator[list[Step]]:
    """The steps that would run, without running or creating anything. Raises what the database raises."""
    with _at_work(tenant) as alias:
        yield _plan(MigrationExecutor(connections[alias]), target)[1]


def _attempt(work: _Work) -> model.Outcome:
    try:
        lock = contextlib.nullcontext() if work.locked else locks.held(work.tenant.tenant_id)
        with lock, _at_work(work.tenant, work.limits) as alias:
            return _announced(work, alias)
    except TenantLockedError as taken:
        return replace(_failed(work, str(taken)), retryable=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever keeps a tenant from being migrated is its failure
        return _failed(work, history.reason(error))


def _announced(work: _Work, alias: str) -> model.Outcome:
    """The outcome, of which the project's receivers hear before and after."""
    heard = {"sender": type(work.tenant), "tenant": work.tenant, "using": alias}
    signals.pre_tenant_migrate.send(**heard)
    outcome = _migrated(work, alias)
    signals.post_tenant_migrate.send_robust(**heard, outcome=outcome)
    return outcome


def _migrated(work: _Work, alias: str) -> model.Outcome:
    try:
        _bring_to_target(work, alias)
        left = _left(alias, work.target)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a migration may raise anything, and that is its failure
        connections[alias].close()
        return _failed(work, history.reason(error))
    if left:
        return _failed(work, f"it ran without an error, and these are still pending: {', '.join(left)}")
    status = model.Status.MIGRATED if work.steps else model.Status.CURRENT
    return _outcome(work, status)


def _bring_to_target(work: _Work, alias: str) -> None:
    _import_signal_handlers()
    connections[alias].prepare_database()
    executor = MigrationExecutor(connections[alias], work.told)
    targets, plan = _plan(executor, work.target)
    work.steps = len(plan)
    work.announce(_names(step for step in plan if not step[1]))
    executor.run(targets, plan, fake=work.target.fake, fake_initial=work.target.fake_initial)


def _plan(executor: Any, target: history.Target) -> tuple[list[history.Node], list[Step]]:
    loader = executor.loader
    loader.check_consistent_history(executor.connection)
    history.refuse_conflicts(loader)
    targets = history.resolve(loader, target)
    return targets, executor.migration_plan(targets)


def _left(alias: str, target: history.Target) -> tuple[str, ...]:
    """What is still to be done in the database, asked on a new connection."""
    connections[alias].close()
    return _names(_plan(MigrationExecutor(connections[alias]), target)[1])


def _names(plan: Iterable[Step]) -> tuple[str, ...]:
    return history.names((migration.app_label, migration.name) for migration, _ in plan)


def _failed(work: _Work, error: str) -> model.Outcome:
    if not work.announced:
        work.announce(None)
    if work.current is not None:
        work.step(replace(work.current, ended="FAILED"))
    return _outcome(work, model.Status.FAILED, error)


def _outcome(work: _Work, status: model.Status, error: str = "") -> model.Outcome:
    return model.Outcome(
        tenant=work.tenant.tenant_id,
        status=status,
        applied=tuple(work.applied),
        verified=status is not model.Status.FAILED,
        error=error,
        attempt=1,
    )


@contextlib.contextmanager
def _at_work(tenant: models.AbstractTenant, limits: sessions.Limits = sessions.UNLIMITED) -> Iterator[str]:
    # stdout carries results: what a migration prints is a message
    with databases.connected(tenant, limits) as alias, context.using(alias), contextlib.redirect_stdout(sys.stderr):
        yield alias


def _import_signal_handlers() -> None:
    for config in apps.get_app_configs():
        if module_has_submodule(config.module, "management"):
            importlib.import_module(".management", config.name)
