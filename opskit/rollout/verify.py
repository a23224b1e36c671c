"""Compares what was said with what was done: both must agree before the word is `migrated`."""

from __future__ import annotations

from dataclasses import replace

from opskit import model

AT_WORK = "its connection is still at work in PostgreSQL, and may yet commit"
NOT_ASKED = " (what is pending could not be asked)"
_SHOWN = 3  # migrations that an error names


def verify(
    outcome: model.Outcome,
    before: tuple[str, ...] | None,
    after: model.TenantState | None,
    app_label: str = "",
    migration_name: str = "",
) -> model.Outcome:
    """The outcome that stands, given what was pending before and what the database says now.

    `after` is None where it could not be asked. Only what was to be applied is held against the
    tenant: everything, one app, or up to one of its migrations.
    """
    if outcome.status in (model.Status.SKIPPED, model.Status.CURRENT):
        return outcome
    if after is None or after.error:
        return _unasked(outcome, after.error if after else "it was not asked")
    if outcome.status is model.Status.UNKNOWN:
        return replace(outcome, error=f"{outcome.error} ({_evidence(after)})")
    return _held_against(outcome, before, after, app_label, migration_name)


def _held_against(
    outcome: model.Outcome,
    before: tuple[str, ...] | None,
    after: model.TenantState,
    app_label: str,
    migration_name: str,
) -> model.Outcome:
    """A success or a failure, corrected by what the database says."""
    was = None if before is None else tuple(name for name in before if _meant(name, app_label, ""))
    still = set(after.pending)
    applied = outcome.applied if before is None else tuple(name for name in before if name not in still)
    known = replace(outcome, applied=applied, verified=True)
    left = tuple(name for name in after.pending if _meant(name, app_label, migration_name))
    if outcome.status is model.Status.MIGRATED and left:
        return replace(known, status=model.Status.FAILED, error=_still(left))
    if outcome.status is model.Status.FAILED and was and not left:
        return replace(known, error=f"{outcome.error} (nothing is pending any more)")
    if outcome.status is model.Status.MIGRATED and was == () and not migration_name:
        return replace(known, status=model.Status.CURRENT)
    return known


def taken_back(outcome: model.Outcome, back: tuple[str, ...], after: model.TenantState | None) -> model.Outcome:
    """The outcome that stands where `back` was to be taken back: all of it must be pending now."""
    if outcome.status in (model.Status.SKIPPED, model.Status.CURRENT):
        return outcome
    if after is None or after.error:
        return _unasked(outcome, after.error if after else "it was not asked")
    if outcome.status is model.Status.UNKNOWN:
        return replace(outcome, error=f"{outcome.error} ({_evidence(after)})")
    known = replace(outcome, taken_back=tuple(name for name in back if name in after.pending), verified=True)
    left = tuple(name for name in back if name not in after.pending)
    if outcome.status is model.Status.MIGRATED and left:
        said = f"it said OK, and {_are(left)} still applied: {_some(left)}"
        return replace(known, status=model.Status.FAILED, error=said)
    if outcome.status is model.Status.FAILED and not left:
        return replace(known, error=f"{outcome.error} (all of it is taken back)")
    return known


def still_at_work(outcome: model.Outcome) -> model.Outcome:
    """The outcome of a tenant whose connection is still at work in the database, whatever became of its command."""
    said = outcome.error.removesuffix(AT_WORK).removesuffix("; ")  # a run that is resumed may find it so again
    return replace(outcome, status=model.Status.UNKNOWN, error=f"{said}; {AT_WORK}" if said else AT_WORK)


def _evidence(after: model.TenantState) -> str:
    """What the database said of a tenant whose command may still be running: no verdict."""
    left = after.pending
    return f"asked just now, {_are(left)} pending there" if left else "nothing is pending there now"


def _unasked(outcome: model.Outcome, why: str) -> model.Outcome:
    """Said is not done: without the database's word, a success is not known to be one, nor how far a failure came."""
    if outcome.status is model.Status.FAILED and outcome.attempt:
        return replace(outcome, error=f"{outcome.error.removesuffix(NOT_ASKED)}{NOT_ASKED}")
    if outcome.status is not model.Status.MIGRATED:
        return outcome
    return replace(
        outcome, status=model.Status.UNKNOWN, error=f"it said that it migrated; its database could not be asked: {why}"
    )


def _meant(name: str, app_label: str, migration_name: str) -> bool:
    app, _, migration = name.partition(".")
    if migration_name:
        return app == app_label and migration.startswith(migration_name)
    return not app_label or app == app_label


def _are(left: tuple[str, ...]) -> str:
    return "1 migration is" if len(left) == 1 else f"{len(left)} migrations are"


def _still(left: tuple[str, ...]) -> str:
    return f"it said OK, and {_are(left)} still pending: {_some(left)}"


def _some(left: tuple[str, ...]) -> str:
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return ", ".join(left[:_SHOWN]) + more
