"""Takes back what a run applied."""

from __future__ import annotations

from opskit.rollout import undo as undo_plan
from opskit.tasks import driving, project, timeouts, undoing


def take_back(rollout: driving.Rollout, undo: project.Undo) -> str:
    """Take the run's tenants back to where they were. Returns why it ended."""
    first = rollout.first
    asked = first.asked
    tenants = asked.tenants(None, least=0)
    rollout.listed.update(tenant.id for tenant in tenants)
    first.ways.update(undoing.ways(asked, undo))
    held = undoing.held(asked, undo, first.record.journal.run_id)
    unsure = dict.fromkeys(undo.uncertain, undoing.UNSURE)
    made = undo_plan.make_plan(tenants, first.ways, held, asked.environment.rollout, unsure)
    if unsure:
        first.notice(undoing.told(undo.uncertain, asked.environment.name, undo.run_id))
    left = made.batches or made.refused
    doing = f"taking back what run {undo.run_id} applied"
    first.notice(doing if left else f"nothing is left to take back of run {undo.run_id}")
    timeouts.refuse_for(asked, made)
    return rollout.drive(made)
