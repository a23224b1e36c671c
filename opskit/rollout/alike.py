"""A fleet at a glance: which tenants have the same to do, and who lacks a migration."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from opskit import errors, model

Said = TypeVar("Said")


@dataclass(frozen=True)
class Group:
    """Tenants of which the same is to be said. `newest` is what most of them applied last."""

    tenants: tuple[str, ...]
    pending: tuple[str, ...] = ()  # oldest first
    newest: str = ""
    error: str = ""  # why they could not be asked, or must not be migrated


def groups(states: Mapping[str, model.TenantState]) -> tuple[Group, ...]:
    """What drifted stands on top: those that could not be asked, then small groups before large ones."""
    made = []
    for (error, pending), names in together((name, _said(state)) for name, state in states.items()):
        last = [states[name].latest[-1] for name in names if states[name].latest and not error]
        newest = collections.Counter(last).most_common(1)
        made.append(Group(names, pending, newest[0][0] if newest else "", error))
    return tuple(sorted(made, key=lambda each: (not each.error, len(each.tenants), not each.pending)))


def _said(state: model.TenantState) -> tuple[str, tuple[str, ...]]:
    return state.error, () if state.error else state.pending


def together(told: Iterable[tuple[str, Said]]) -> list[tuple[Said, tuple[str, ...]]]:
    """[(what is said, the tenants of whom it is said)], in the order of first mention."""
    alike: dict[Said, list[str]] = {}
    for name, said in told:
        alike.setdefault(said, []).append(name)
    return [(said, tuple(names)) for said, names in alike.items()]


def whose(pending: Mapping[str, tuple[str, ...] | None]) -> dict[str, tuple[str, ...]]:
    """{migration: who has it pending} of {tenant: pending}, in the order in which they come up."""
    return dict(together((name, each) for name, names in pending.items() for each in names or ()))


def span(pending: tuple[str, ...]) -> str:
    """Many migrations in a few words: `products.0002_x to users.0005_y (4)`."""
    if len(pending) < 2:  # noqa: PLR2004 - one is no span
        return "".join(pending) or "nothing"
    return f"{pending[0]} to {pending[-1]} ({len(pending)})"


# ---------------------------------------------------------------- one migration


def named(wanted: str, code: Collection[str]) -> str:
    """The migration `app.name` that is meant: the beginning of a name is enough, as for Django. Raises UsageError."""
    app, _, name = wanted.partition(".")
    if not app or not name:
        raise errors.UsageError(f"expected an app's migration such as `users.0005`, found `{wanted}`")
    found = [wanted] if wanted in code else sorted(each for each in code if each.startswith(wanted))
    if len(found) == 1:
        return found[0]
    if found:
        raise errors.UsageError(f"`{wanted}` may be {_either(found)}")
    known = sorted(each for each in code if each.startswith(f"{app}."))
    there = f"the newest of `{app}` is `{known[-1]}`" if known else f"it has no migrations of `{app}` at all"
    raise errors.UsageError(f"the code has no migration `{wanted}`: {there}")


def _either(found: list[str]) -> str:
    shown = [f"`{each}`" for each in found[:3]]
    return " or ".join(shown) + (" or another" if len(found) > len(shown) else "")


def lacking(migration: str, survey: model.Survey) -> tuple[str, ...]:
    """Who has not applied it, and whom nobody could ask; the shared database first, where it belongs there.

    A squashed migration is what it replaces, and the other way round: one of them is pending where it is lacking.
    Where the shared database's own migrations keep the tenants from being listed, nobody is known to have it.
    """
    it = same(migration, survey.replaces)
    shared = survey.shared or ()
    behind = bool(it.intersection(shared)) or (bool(shared) and not survey.tenants)
    tenants = (name for name, state in survey.tenants.items() if state.error or it.intersection(state.pending))
    return (*((model.SHARED.id,) if behind else ()), *tenants)


def same(migration: str, replaces: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The migration, those that it replaces, and those that replace it."""
    replacing = (squash for squash, replaced in replaces.items() if migration in replaced)
    return frozenset({migration, *replaces.get(migration, ()), *replacing})
