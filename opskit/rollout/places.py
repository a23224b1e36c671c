"""Which tenants live in one place, though each should have one of its own."""

from __future__ import annotations

import collections
from collections.abc import Mapping

from opskit import model

LONGEST = 60  # characters of an id that a message shows


def short(name: str) -> str:
    """An id as a sentence bears it."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def shared(states: Mapping[str, model.TenantState]) -> dict[model.Place, tuple[str, ...]]:
    """{place: ids} of the places that more than one tenant has, in the order of `states`."""
    tenants = collections.defaultdict(list)
    for name, state in states.items():
        if state.place is not None:
            tenants[state.place].append(name)
    return {place: tuple(names) for place, names in tenants.items() if len(names) > 1}
