"""Migrates what is pending: asks, plans, has the operator confirm, and drives."""

from __future__ import annotations

from opskit import model
from opskit.reporters.text import plural
from opskit.rollout import plan, squashes, step
from opskit.tasks import (
    confirming,
    driving,
    project,
    requiring,
    resuming,
    reviewing,
    shared,
    timeouts,
    watchfulness,
    worker,
)


def migrate(rollout: driving.Rollout) -> str:
    """Migrate the tenants that the flags mean, or that a run left behind. Returns why it ended."""
    first = rollout.first
    asked, options = first.asked, first.options
    survey = _look_first(first)
    if options.resume:
        resuming.refuse_changes(options, survey)
    reviewed = reviewing.reviewed_plan(options, asked, survey)
    required = requiring.Required(asked.environment, options, first.notice)
    required.refuse_missing(survey, reviewed)
    confirmed = shared.migrate_first(rollout, survey)
    if confirmed:
        survey = _look_first(first)
        reviewed = reviewing.reviewed_plan(options, asked, survey, shared_done=True)
        required.refuse_missing(survey, reviewed)  # the first time, nobody could list the tenants perhaps
    tenants = asked.tenants(survey, least=0 if confirmed else 1)
    if not tenants:
        first.notice(f"`{asked.environment.name}` has no tenants yet")
        return step.DONE
    rollout.listed.update(tenant.id for tenant in tenants)
    made = reviewed or _plan(rollout, tenants, survey)
    todo = [tenant for batch in made.batches for tenant in batch.tenants]
    squashed = squashes.told(todo, survey)
    if squashed:
        first.notice(squashed)
    if made.batches:
        watchfulness.switch_on(asked)
    timeouts.refuse_for(asked, made)
    rollout.staff.fill(made)
    if made.batches and not confirmed:
        confirming.confirm(f"migrate {plural(len(todo), 'tenant')} of", asked.environment, options)
    return rollout.drive(made)


def _look_first(first: worker.Worker) -> model.Survey | None:
    """What is pending, and who may still be at work: of a resumed run those that it lost, else those of all."""
    tries = watchfulness.SETTING
    again = first.options.resume
    survey = first.asked.survey(resuming.doubtful(again.run), tries=tries) if again else first.asked.first_survey(tries)
    watchfulness.told(first.asked, survey)
    return survey


def _plan(rollout: driving.Rollout, tenants: tuple[model.Tenant, ...], survey: model.Survey | None) -> model.Plan:
    asked, options = rollout.first.asked, rollout.first.options
    chosen = _left(rollout, tenants, survey) if options.resume else project.select(tenants, options)
    return plan.make_plan(
        chosen,
        survey,
        asked.environment.rollout,
        everything=options.everything,
        expected=project.history(asked.environment, chosen),
        listed=tenants,
    )


def _left(
    rollout: driving.Rollout, tenants: tuple[model.Tenant, ...], survey: model.Survey | None
) -> tuple[model.Tenant, ...]:
    """The tenants that are to be tried again; what the evidence says of the others is told."""
    first = rollout.first
    left = resuming.left(first.options, tenants, survey, rollout.staff.hosts, first.asked.fleet.application_name)
    for outcome in left.known:
        first.record.emit(model.TenantVerified(first.clock.now(), outcome))
    for text in left.notices:
        first.notice(text)
    return left.tenants
