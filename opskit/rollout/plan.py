"""Selects tenants and lays out what the run will do."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from opskit import errors, model
from opskit.rollout import controls, ids, places

_USUAL = model.Controls()
_FEW = 3  # of those that share a place, a message names
_GLOB = frozenset("*?[")
_LONGEST = 100  # characters of a pattern that a message repeats
_NO_HISTORY: Mapping[str, float] = MappingProxyType({})


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


def matching(
    tenants: tuple[model.Tenant, ...], only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[model.Tenant, ...]:
    """As `select`, without a word where a pattern matches nothing."""
    wanted = _match(tenants, only)[0] if only else {tenant.id for tenant in tenants}
    unwanted = _match(tenants, exclude)[0]
    return tuple(tenant for tenant in tenants if tenant.id in wanted and tenant.id not in unwanted)


def _matching(tenants: tuple[model.Tenant, ...], patterns: Sequence[str], flag: str) -> set[str]:
    found, missed = _match(tenants, patterns)
    if missed:
        raise errors.UsageError(
            f"{flag}: nothing matches {_some(missed)} among {len(tenants)} tenants",
            hint="`invoke show-tenants` lists them.",
        )
    return found


def _match(tenants: tuple[model.Tenant, ...], patterns: Sequence[str]) -> tuple[set[str], list[str]]:
    """The ids that match, and the patterns that match none."""
    ids = [tenant.id for tenant in tenants]
    known = set(ids)
    found: set[str] = set()
    missed: list[str] = []
    for pattern in patterns:
        matched = {pattern} & known
        if not matched and set(pattern) & _GLOB:  # others match nobody else: a file may name thousands
            matched = set(fnmatch.filter(ids, pattern))
        found |= matched
        if not matched:
            missed.append(pattern)
    return found, missed


def _some(patterns: Sequence[str], most: int = 5) -> str:
    """The first few of many: a file may name a thousand tenants of another environment."""
    more = f" and {len(patterns) - most} more" if len(patterns) > most else ""
    shown = (each if len(each) <= _LONGEST else f"{each[:_LONGEST]}…" for each in patterns[:most])
    return ", ".join(f"`{each}`" for each in shown) + more


def make_plan(
    tenants: tuple[model.Tenant, ...],
    survey: model.Survey | None,
    how: model.Controls = _USUAL,
    *,
    everything: bool = False,
    expected: Mapping[str, float] = _NO_HISTORY,
    listed: tuple[model.Tenant, ...] = (),
) -> model.Plan:
    """The tenants that need a command: the canary as a batch that allows no failure, then the others.

    A tenant with nothing pending, and nothing unrecorded, is current and gets none, unless `everything`. One
    whose state could not be asked, or was not told, is refused; so are those that share a place, and those whose id
    no command can be given. Without a survey (a framework that can't be asked) everyone else gets one. The canary's
    patterns are held against all that are `listed`, the selected ones or more. Raises UsageError for a canary
    that matches nobody, CannotStart for one that must not be migrated.
    """
    states = {tenant.id: survey.tenants.get(tenant.id) if survey else None for tenant in tenants}
    current = tuple(tenant for tenant in tenants if not everything and _is_current(states[tenant.id]))
    refused = _refusals(set(states) - {tenant.id for tenant in current}, states, survey)
    refused |= _sharing(set(states) - {tenant.id for tenant in current} - set(refused), states)
    done = {tenant.id for tenant in current} | set(refused)
    todo = controls.ordered(tuple(tenant for tenant in tenants if tenant.id not in done), how.order, expected)
    in_batches, canaries = batches(todo, listed or tenants, refused, how)
    return model.Plan(
        batches=in_batches,
        pending={name: state.pending if state else None for name, state in states.items()},
        current=current,
        refused=refused,
        stagger=how.stagger,
        canaries=canaries,
        retries=how.retries,
        stop_after_same=how.stop_after_same,
        deadline=how.deadline,
        expected={tenant.id: expected[tenant.id] for tenant in todo if tenant.id in expected},
        gate=how.gate,
        pause_after_canary=how.pause_after_canary,
        go_on=how.go_on,
        forks=how.forks,
        code=_code_of(todo, states, survey),
    )


def batches(
    todo: tuple[model.Tenant, ...],
    listed: tuple[model.Tenant, ...],
    refused: Mapping[str, str],
    how: model.Controls,
) -> tuple[tuple[model.Batch, ...], int]:
    """Those who get a command in their batches, and how many of these are canaries. Raises what `make_plan` raises."""
    first = _canaries(listed, todo, how.canary)
    _refuse_canaries(first, refused)
    found = _batches(todo, first, how)
    return found, sum(tenant.id in first for batch in found for tenant in batch.tenants[:1])


def _code_of(
    todo: tuple[model.Tenant, ...], states: Mapping[str, model.TenantState | None], survey: model.Survey | None
) -> dict[str, str]:
    """The digests of those migrations that somebody is to apply: what a resumed run holds the code against."""
    if survey is None:
        return {}
    names = {name for tenant in todo for state in [states[tenant.id]] if state for name in state.pending}
    return {name: survey.code[name] for name in sorted(names) if name in survey.code}


def _canaries(listed: tuple[model.Tenant, ...], todo: tuple[model.Tenant, ...], canary: model.Canary) -> set[str]:
    """The ids that go first. Those that match and have nothing pending tell nothing: no batch will have them."""
    if canary.patterns:
        return _matching(listed, canary.patterns, "--canary")
    return {tenant.id for tenant in todo[: canary.count]}


def _refuse_canaries(first: set[str], refused: Mapping[str, str]) -> None:
    """A canary that can't be migrated has failed already."""
    for name in refused:
        if name in first:
            raise errors.CannotStart(f"the canary `{places.short(name)}` can't be migrated: {refused[name]}")


def _batches(todo: tuple[model.Tenant, ...], first: set[str], how: model.Controls) -> tuple[model.Batch, ...]:
    canary = model.Batch(tuple(tenant for tenant in todo if tenant.id in first), max_failures=0)
    others = tuple(tenant for tenant in todo if tenant.id not in first)
    rest = model.Batch(others, max_failures=controls.limit(how.max_failures, len(todo)))
    return tuple(batch for batch in (canary, rest) if batch.tenants)


def _refusals(
    names: set[str], states: Mapping[str, model.TenantState | None], survey: model.Survey | None
) -> dict[str, str]:
    """Why each of those of `names` that get no command gets none, in listed order."""
    whys = {name: _refusal(name, state, survey) for name, state in states.items() if name in names}
    return {name: why for name, why in whys.items() if why}


def _refusal(name: str, state: model.TenantState | None, survey: model.Survey | None) -> str:
    trouble = ids.trouble(name)
    if trouble or survey is None:
        return trouble
    return state.error if state else "asking what is pending did not mention it: it may be new"


def _sharing(names: set[str], states: Mapping[str, model.TenantState | None]) -> dict[str, str]:
    """Why those of `names` that share a place are refused: one's migrations would run on the other's data."""
    shared = places.shared({name: state for name, state in states.items() if state and name in names})
    return {name: _also(place, tenants, name) for place, tenants in shared.items() for name in tenants}


def _also(place: model.Place, tenants: tuple[str, ...], name: str) -> str:
    others = [f"`{places.short(other)}`" for other in tenants[: _FEW + 1] if other != name][:_FEW]
    more = f" and {len(tenants) - 1 - len(others)} more" if len(tenants) - 1 > len(others) else ""
    return f"{place} is also that of {', '.join(others)}{more}"


def _is_current(state: model.TenantState | None) -> bool:
    return state is not None and not (state.error or state.pending or state.unrecorded)


def make_shared_plan(pending: tuple[str, ...] | None) -> model.Plan:
    """The shared database as a batch of its own, which allows no failure."""
    return model.Plan(
        batches=(model.Batch((model.SHARED,), max_failures=0),),
        pending={model.SHARED.id: pending},
    )
