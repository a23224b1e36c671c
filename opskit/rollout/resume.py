"""What a run left open, and what becomes of it when the run is resumed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from opskit import model
from opskit.rollout import run as runs

_OPEN = (model.Status.FAILED, model.Status.SKIPPED, model.Status.UNKNOWN)


def left(run: runs.Run, *, asked: bool = True) -> dict[str, model.Outcome]:
    """{tenant_id: outcome} of the tenants that are not home, the shared database apart.

    Where the databases can be `asked`, who only said that it migrated is not home either: the run ended
    before it was verified.
    """
    outcomes = [each for each in run.settled() if each.tenant != model.SHARED.id]
    return {each.tenant: each for each in outcomes if each.status in _OPEN or (asked and _only_said(each))}


def _only_said(outcome: model.Outcome) -> bool:
    return outcome.status is model.Status.MIGRATED and not outcome.verified


def planned(run: runs.Run) -> bool:
    """Whether the run came as far as a plan for its tenants: before that, nobody knows whom it was about."""
    return any(tenant != model.SHARED for plan in run.plans for tenant in _all(plan))


def _all(plan: model.Plan) -> list[model.Tenant]:
    return [*plan.current, *(tenant for batch in plan.batches for tenant in batch.tenants)]


def before(run: runs.Run, code: Mapping[str, str]) -> dict[str, tuple[str, ...] | None]:
    """{tenant_id: all that was pending when the run looked}: what it applied is held against that.

    Who was refused could not be asked. `code` is {migration: digest} of the code as it is now: what is not in it any
    more was not applied. Where it is empty, nobody can say.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    for plan in run.plans:
        for name, pending in plan.pending.items():
            if pending is None or name in plan.refused:
                found.setdefault(name, None)
                continue
            known = found.get(name) or ()
            found[name] = (*known, *(each for each in pending if each not in known and (not code or each in code)))
    return found


def still_open(outcome: model.Outcome, host: str, serving: Collection[str]) -> str:
    """Why a tenant whose end nobody knows may still be at work, "" where the lock proves that it is not.

    The host's lock is held for as long as a command of the run lives there: who has it now knows that no such
    command does. It says nothing about another host.
    """
    if outcome.status is not model.Status.UNKNOWN or not host or host in serving:
        return ""
    now = f"{' and '.join(serving)} serve{'s' if len(serving) == 1 else ''} now"
    return f"it was at work on {host}, and {now}: nobody can say that it is over there"


def settled(outcome: model.Outcome, was: tuple[str, ...] | None, now: model.TenantState | None) -> model.Outcome | None:
    """The outcome that the database alone proves, None for a tenant that needs a command, or can't be asked."""
    if now is None or now.error or now.pending:
        return None
    if outcome.status in (model.Status.MIGRATED, model.Status.UNKNOWN):
        return replace(outcome, status=model.Status.MIGRATED, applied=was or (), verified=True, error="")
    if now.unrecorded:
        return None
    return replace(outcome, status=model.Status.CURRENT, verified=True, error="")


def changes(plans: list[model.Plan], code: Mapping[str, str]) -> list[str]:
    """How the code's migrations differ from those that the run was going to apply: `app.name (edited)`, sorted.

    `code` is {migration: digest} of the code as it is now; where either side knows nothing, nothing differs.
    """
    recorded = {name: digest for plan in plans for name, digest in plan.code.items()}
    if not recorded or not code:
        return []
    gone = [f"{name} (gone)" for name in recorded if name not in code]
    edited = [f"{name} (edited)" for name, digest in recorded.items() if name in code and code[name] != digest]
    return sorted(gone + edited)


def added(plans: list[model.Plan], states: Mapping[str, model.TenantState], names: Mapping[str, object]) -> list[str]:
    """Migrations that are pending now for one of the tenants in `names`, and were not: `app.name (new)`, sorted."""
    found: set[str] = set()
    for name in names:
        known = [
            plan.pending[name] for plan in plans if plan.pending.get(name) is not None and name not in plan.refused
        ]
        if known and name in states:
            was = {migration for pending in known for migration in pending or ()}
            found.update(set(states[name].pending) - was)
    return sorted(f"{migration} (new)" for migration in found)
