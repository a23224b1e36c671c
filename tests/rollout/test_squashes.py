"""A squashed migration of which nothing is pending, and which nobody has recorded."""

from opskit import model
from opskit.rollout import plan, resume, squashes

SQUASH = "a.0001_squashed"
UNRECORDED = model.TenantState(unrecorded=(SQUASH,))
STATES = {
    "whole": UNRECORDED,
    "more": model.TenantState(pending=("a.0003",), unrecorded=(SQUASH,)),
    "home": model.TenantState(),
}
TENANTS = tuple(map(model.Tenant, STATES))
WHY = "all that a squashed migration replaces is applied, and `migrate` records it: "


def survey(shared=(), unrecorded=()) -> model.Survey:
    return model.Survey(shared, STATES, shared_unrecorded=unrecorded)


def test_its_tenant_gets_a_command_though_nothing_is_pending():
    made = plan.make_plan(TENANTS, survey())
    assert [["whole", "more"]] == [[tenant.id for tenant in batch.tenants] for batch in made.batches]
    assert ((), ("home",)) == (made.pending["whole"], tuple(tenant.id for tenant in made.current))


def test_it_is_told_for_those_that_have_nothing_else_to_do():
    assert f"{WHY}{SQUASH} (1 tenant)" == squashes.told(TENANTS, survey())
    assert "" == squashes.told(TENANTS[1:], survey())
    assert "" == squashes.told(TENANTS, None)


def test_of_the_shared_database_it_is_told_where_that_may_be_migrated():
    both = survey(unrecorded=(SQUASH,))
    assert f"{WHY}{SQUASH} (the shared database and 1 tenant)" == squashes.told(TENANTS, both, shared=True)
    assert f"{WHY}{SQUASH} (1 tenant)" == squashes.told(TENANTS, both)
    behind = survey(shared=("a.0003",), unrecorded=(SQUASH,))
    assert f"{WHY}{SQUASH} (1 tenant)" == squashes.told(TENANTS, behind, shared=True)


def test_a_resumed_run_starts_who_was_not_started_and_nobody_who_was():
    skipped, unknown = (model.Outcome("whole", status) for status in (model.Status.SKIPPED, model.Status.UNKNOWN))
    assert None is resume.settled(skipped, (), UNRECORDED)
    assert model.Status.MIGRATED is resume.settled(unknown, ("a.0001",), UNRECORDED).status
