"""Migrate every tenant, one after the other: rollout's plan and loop, with Django in the place of SSH."""

from __future__ import annotations

import getpass
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.core.management.base import CommandError

import opskit
from opskit import model
from opskit.rollout import drive, places, plan, run, step
from opskit.tenants import code, history, migrating, models, registry, sessions

NAME = "tenants"  # of the environment, in the events
_USUAL = model.Controls()

Emit = Callable[[model.Event | migrating.Heard], None]


@dataclass(frozen=True)
class Options:
    """What the flags say."""

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    controls: model.Controls = _USUAL
    everything: bool = False  # tenants with nothing pending, too
    limits: sessions.Limits = sessions.UNLIMITED


@dataclass(frozen=True)
class Rollout:
    """Who is to be migrated, and what is pending there."""

    tenants: tuple[model.Tenant, ...]  # the selected ones, by id
    rows: dict[str, models.AbstractTenant]
    plan: model.Plan


class Clock:
    """The system's."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def prepare(options: Options) -> Rollout:
    """Look at the master database, the code and every selected tenant, and plan. Changes nothing.

    Raises CommandError where nobody may be migrated, UsageError for a selection that can't be meant.
    """
    refuse_master()
    rows = {row.tenant_id: row for row in registry.every()}
    history.refuse_conflicts(code.current().loader())
    listed = tuple(model.Tenant(row.tenant_id, row.name, row.isolation_type) for row in rows.values())
    chosen = plan.select(listed, options.only, options.exclude)
    survey = model.Survey(None, _states(rows, [rows[tenant.id] for tenant in chosen]))
    made = plan.make_plan(chosen, survey, options.controls, everything=options.everything)
    return Rollout(chosen, rows, made)


def refuse_master() -> None:
    """Raises CommandError where the master database has pending migrations: the tenant table may be one of them."""
    registry.require_master()
    pending = history.shared_pending()
    if pending:
        more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""  # noqa: PLR2004 - that a line bears
        raise CommandError(
            f"the master database has pending migrations ({', '.join(pending[:3])}{more}), and comes first. "
            "no tenant was migrated. `manage.py migrate` migrates it"
        )


def _states(
    rows: dict[str, models.AbstractTenant], chosen: list[models.AbstractTenant]
) -> dict[str, model.TenantState]:
    everywhere = {name: model.TenantState(place=registry.place(row)) for name, row in rows.items()}
    crowded = {name: place for place, names in places.shared(everywhere).items() for name in names}
    found = {}
    for row, asked in history.of_tenants(chosen):
        name = row.tenant_id
        error = asked.error
        if name in crowded:
            error = f"it shares its place with another tenant: {crowded[name]}"
        found[name] = model.TenantState(
            applied=None if error else len(asked.applied), pending=asked.pending + asked.unrecorded, error=error
        )
    return found


def roll_out(
    rollout: Rollout,
    options: Options,
    emit: Emit,
    word: Callable[[], step.Word] = lambda: step.NOTHING_SAID,
    clock: drive.Clock | None = None,
) -> run.Run:
    """Migrate them, tell what happens, and give the run as its events tell it."""
    clock = clock or Clock()
    folded = run.Run()

    def tell(event: model.Event) -> None:
        folded.apply(event)
        emit(event)

    def migrate(tenant: model.Tenant, attempt: int) -> model.Outcome:
        outcome = migrating.migrate(rollout.rows[tenant.id], history.Target(), _steps_only(emit), options.limits)
        return replace(outcome, attempt=attempt, host=platform.node())

    tell(_started(clock.now(), options))
    tell(model.PlanMade(clock.now(), rollout.plan))
    watch = drive.Watch(host=platform.node, word=word)
    reason = drive.drive(rollout.plan, migrate, tell, clock, watch)
    tell(model.RunFinished(clock.now(), reason, folded.counts()))
    return folded


def _steps_only(emit: Emit) -> Callable[[migrating.Heard], None]:
    """The loop tells of starts and ends itself."""

    def hear(heard: migrating.Heard) -> None:
        if isinstance(heard, migrating.Progress):
            emit(heard)

    return hear


def _started(at: datetime, options: Options) -> model.RunStarted:
    return model.RunStarted(
        at=at,
        run_id=f"{at:%Y%m%dT%H%M%S}-{NAME}",
        environment=NAME,
        opskit=opskit.__version__,
        operator=_user(),
        machine=platform.node(),
        args=("migratealltenants",),
        host=platform.node(),
        rollout=options.controls,
        timeout=None,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return ""
