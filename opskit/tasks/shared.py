"""The shared database, which is migrated before the tenants."""

from __future__ import annotations

from opskit import errors, model
from opskit.rollout import plan, verify
from opskit.tasks import confirming, driving, project, timeouts, watchfulness


def migrate_first(rollout: driving.Rollout, survey: model.Survey | None) -> bool:
    """Migrate the shared database where that was asked. True when it was, and the operator has been asked.

    Where nobody can say what is pending there, it is migrated when that was asked, and not missed when not.
    So it is where only a squashed migration is to be recorded. Raises SharedPending.
    """
    first = rollout.first
    asked, options = first.asked, first.options
    pending = survey.shared if survey else None
    wanted = options.shared and (pending is None or bool(survey and survey.shared_unrecorded))
    if not pending and not wanted:
        return False
    if not options.shared:
        again = f" --resume={first.record.folder.name}" if options.resume else ""
        raise project.shared_refusal(asked.environment, pending or (), again)
    timeouts.refuse(asked, None)
    confirming.confirm("migrate the shared database and the tenants of", asked.environment, options)
    watchfulness.switch_on(asked, tenants=False)
    rollout.drive(plan.make_shared_plan(pending))
    watchfulness.switch_off(asked)
    outcome = first.record.run.outcomes.get(model.SHARED.id)
    if outcome is None or outcome.status is not model.Status.MIGRATED:
        why = outcome.error if outcome else "interrupted"
        raise errors.SharedPending(f"the shared database was not migrated: {why}")
    if pending is not None:
        _verify(rollout, outcome, pending)
    return True


def _verify(rollout: driving.Rollout, outcome: model.Outcome, pending: tuple[str, ...]) -> None:
    first = rollout.first
    after = first.asked.survey()
    state = model.TenantState(pending=after.shared or ()) if after else None
    verified = verify.verify(outcome, pending, state)
    first.record.emit(model.TenantVerified(first.clock.now(), verified))
    if verified.status not in (model.Status.MIGRATED, model.Status.CURRENT):
        raise errors.SharedPending(f"the shared database: {verified.error}")
