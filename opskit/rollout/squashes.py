"""Squashed migrations that are applied in all their parts, and not recorded themselves.

Nothing of them is pending. But Django records them at the next `migrate` (5.2, MigrationExecutor.check_replacements),
and where nobody does, a tenant knows nothing of them on the day that their parts and `replaces` leave the code.
"""

from __future__ import annotations

from collections.abc import Iterable

from opskit import model
from opskit.rollout import alike


def told(tenants: Iterable[model.Tenant], survey: model.Survey | None, *, shared: bool = False) -> str:
    """Why those that have nothing pending get a command all the same; "" where none does.

    `shared`: the shared database may get one, too.
    """
    if survey is None:
        return ""
    states = {each.id: survey.tenants[each.id] for each in tenants if each.id in survey.tenants}
    found = {name: state.unrecorded for name, state in states.items() if not state.pending}
    if shared and not survey.shared:
        found = {model.SHARED.id: survey.shared_unrecorded, **found}
    named = ", ".join(f"{name} ({_where(ids)})" for name, ids in alike.whose(found).items())
    return f"all that a squashed migration replaces is applied, and `migrate` records it: {named}" if named else ""


def _where(ids: tuple[str, ...]) -> str:
    number = len(ids) - (model.SHARED.id in ids)
    tenants = [f"{number} tenant{'' if number == 1 else 's'}"] if number else []
    return " and ".join([*(["the shared database"] if model.SHARED.id in ids else []), *tenants])
