"""Asks the databases once more what is pending, and holds every outcome against it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import replace

from opskit import errors, model
from opskit.reporters.text import plural, some
from opskit.rollout import resume, verify
from opskit.tasks import worker


def verify_all(first: worker.Worker, listed: Collection[str]) -> None:
    """Verify who was started, after the last command. `listed` are the tenants there were when the run began."""
    if first.asked.framework.survey is None:
        return
    record = first.record
    outcomes = record.run.outcomes
    attempted = [outcomes[name] for name in record.started if name in outcomes and name != model.SHARED.id]
    survey = _ask_again(first, attempted)
    first.interrupted.over = True
    for stands in _held_against(first, attempted, survey):
        with contextlib.suppress(errors.JournalError):  # said once already; what is known must still be shown
            record.emit(model.TenantVerified(first.clock.now(), stands))
    appeared = tuple(name for name in survey.tenants if name not in listed) if survey and listed else ()
    if appeared:
        first.late_notice(f"{plural(len(appeared), 'tenant')} appeared meanwhile: {some(appeared)}")


def look(first: worker.Worker, tenants: tuple[model.Tenant, ...]) -> list[model.Outcome]:
    """The outcomes of tenants that stand while the run goes on; none where their databases can't be asked."""
    survey = first.asked.survey()
    if survey is None:
        return []
    outcomes = first.record.run.outcomes
    return _held_against(first, [outcomes[tenant.id] for tenant in tenants], survey)


def _held_against(
    first: worker.Worker, outcomes: list[model.Outcome], survey: model.Survey | None
) -> list[model.Outcome]:
    """What stands of outcomes, after the databases were asked."""
    before = resume.before(first.record.run, survey.code if survey else {})
    options, found = first.options, []
    for outcome in outcomes:
        after = survey.tenants.get(outcome.tenant) if survey else None
        was = before.get(outcome.tenant)
        if outcome.tenant in first.ways:
            stands = verify.taken_back(outcome, first.ways[outcome.tenant].left, after)
        else:
            stands = verify.verify(outcome, was, after, options.app_label, options.migration_name)
        busy = survey is not None and first.asked.fleet.application_name(outcome.tenant) in survey.busy
        told = outcome if outcome.status is model.Status.UNKNOWN else stands
        found.append(verify.still_at_work(told) if busy else stands)
    return found


def _ask_again(first: worker.Worker, attempted: list[model.Outcome]) -> model.Survey | None:
    """The survey after the last command; where the line is dead, over a new one that needs no lock."""
    watched = [each.tenant for each in attempted if each.status is not model.Status.MIGRATED]
    try:
        if first.asked.fleet.serving:
            return first.asked.survey(watched)
        with contextlib.closing(first.asked.fleet.without_lock()) as hosts:
            return replace(first.asked, fleet=hosts).survey(watched)
    except errors.OpskitError as error:
        first.late_notice(f"the databases could not be asked what is pending now: {error}")
        return None
