"""What a run changed, and the plan that takes it back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opskit import model
from opskit.rollout import controls, plan
from opskit.rollout import run as runs

_UNTOLD = "the project does not list it any more"


def changed(run: runs.Run) -> dict[str, tuple[str, ...]]:
    """{tenant_id: what the run applied, oldest first}, as the databases confirmed it; the shared database apart."""
    return {each.tenant: each.applied for each in _tenants(run) if each.verified and each.applied}


def uncertain(run: runs.Run) -> tuple[str, ...]:
    """The tenants of which nobody knows what the run changed: lost, or never asked afterwards."""
    unsure = (each for each in _tenants(run) if each.attempt and not each.verified)
    return tuple(each.tenant for each in unsure)


def shared(run: runs.Run) -> tuple[str, ...]:
    """What the run applied to the shared database."""
    return next((each.applied for each in run.settled() if each.tenant == model.SHARED.id), ())


def _tenants(run: runs.Run) -> list[model.Outcome]:
    return [each for each in run.settled() if each.tenant != model.SHARED.id]


def make_plan(
    tenants: tuple[model.Tenant, ...],
    ways: Mapping[str, model.WayBack],
    held: Mapping[str, str],
    how: model.Controls,
    uncertain: Mapping[str, str] = MappingProxyType({}),
) -> model.Plan:
    """Who is taken back, who has nothing left to take back (current), and who is refused: not touched at all.

    `tenants` are all that there are; `held` is {tenant_id: why it must not be started now}, which says nothing where
    nothing is left; `uncertain` is the same for those of which nobody knows what the run changed. Raises UsageError and
    CannotStart for a canary, as a plan forwards does.
    """
    there = {tenant.id for tenant in tenants}
    refused = {name: _refusal(name, ways, held) for name in ways if name in there}
    refused = {name: why for name, why in refused.items() if why}
    refused |= {name: _UNTOLD for name in ways if name not in there} | dict(uncertain)
    mine = tuple(tenant for tenant in tenants if tenant.id in ways and tenant.id not in refused)
    todo = controls.ordered(tuple(tenant for tenant in mine if ways[tenant.id].left), how.order, {})
    batches, canaries = plan.batches(todo, tenants, refused, how)
    return model.Plan(
        batches=batches,
        pending={},
        current=tuple(tenant for tenant in mine if not ways[tenant.id].left),
        refused=refused,
        stagger=how.stagger,
        canaries=canaries,
        retries=how.retries,
        stop_after_same=how.stop_after_same,
        deadline=how.deadline,
        back={tenant.id: ways[tenant.id].left for tenant in todo},
    )


def _refusal(name: str, ways: Mapping[str, model.WayBack], held: Mapping[str, str]) -> str:
    return (held.get(name, "") if ways[name].left else "") or ways[name].refusal
