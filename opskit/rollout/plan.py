"""Selects tenants and lays out what the run will do."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from opskit import errors, model


def select(
    tenants: tuple[model.Tenant, ...], only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[model.Tenant, ...]:
    """The tenants that `only` names (all, where it is empty) and `exclude` does not, in listed order.

    Patterns are globs, and case matters; an id that is written out is that tenant, whatever its letters
    mean in a glob. Raises UsageError for every pattern that matches nothing, and for an empty selection.
    """
    wanted = _matching(tenants, only, "--tenants") if only else {tenant.id for tenant in tenants}
    unwanted = _matching(tenants, exclude, "--exclude")
    chosen = tuple(tenant for tenant in tenants if tenant.id in wanted and tenant.id not in unwanted)
    if tenants and not chosen:
        raise errors.UsageError(f"--exclude leaves none of the {len(wanted)} selected tenants")
    return chosen


def _matching(tenants: tuple[model.Tenant, ...], patterns: Sequence[str], flag: str) -> set[str]:
    ids = [tenant.id for tenant in tenants]
    known = set(ids)
    found: set[str] = set()
    missed: list[str] = []
    for pattern in patterns:
        matched = {pattern} if pattern in known else set(fnmatch.filter(ids, pattern))
        found |= matched
        if not matched:
            missed.append(pattern)
    if missed:
        raise errors.UsageError(
            f"{flag}: nothing matches {', '.join(f'`{each}`' for each in missed)} among {len(ids)} tenants. "
            "`invoke show-tenants` lists them."
        )
    return found


def make_plan(
    tenants: tuple[model.Tenant, ...],
    survey: model.Survey | None,
    *,
    stagger: float = 0.0,
    everything: bool = False,
) -> model.Plan:
    """One batch of the tenants that need a command, in listed order.

    A tenant with nothing pending is current and gets none, unless `everything`. One whose state could not
    be asked, or was not told, is refused. Without a survey (a framework that can't be asked) everyone gets a command.
    """
    if survey is None:
        pending: dict[str, tuple[str, ...] | None] = {tenant.id: None for tenant in tenants}
        return model.Plan(batches=_batches(tenants), pending=pending, stagger=stagger)
    states = {tenant.id: survey.tenants.get(tenant.id) for tenant in tenants}
    refused = {name: _refusal(state) for name, state in states.items() if state is None or state.error}
    current = tuple(tenant for tenant in tenants if not everything and _is_current(states[tenant.id]))
    done = {tenant.id for tenant in current} | set(refused)
    return model.Plan(
        batches=_batches(tuple(tenant for tenant in tenants if tenant.id not in done)),
        pending={name: state.pending if state else None for name, state in states.items()},
        current=current,
        refused=refused,
        stagger=stagger,
    )


def _refusal(state: model.TenantState | None) -> str:
    return state.error if state else "asking what is pending did not mention it: it may be new"


def _is_current(state: model.TenantState | None) -> bool:
    return state is not None and not state.error and not state.pending


def _batches(tenants: tuple[model.Tenant, ...]) -> tuple[model.Batch, ...]:
    return (model.Batch(tenants),) if tenants else ()


def make_shared_plan(pending: tuple[str, ...]) -> model.Plan:
    """The shared database as a batch of its own, which allows no failure."""
    return model.Plan(
        batches=(model.Batch((model.SHARED,), max_failures=0),),
        pending={model.SHARED.id: pending},
    )
