"""The question of `remote/undo.py`: how tenants get back to where they were before a run, and how the answer reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opskit import errors, model
from opskit.frameworks import django, listing, survey
from opskit.frameworks.framework import Framework

_ASKED = "asking how to take it back"
_FEW = 5  # migrations that a reason names


def can_be_asked(framework: Framework) -> bool:
    """Whether the project can say what can be reversed: not through commands of its own."""
    return framework.survey is not None and framework.survey.question == survey.COMMAND


def command(framework: Framework, sets: Sequence[Sequence[str]]) -> model.Command:
    """`sets` are what a run applied, each to some tenants, oldest first."""
    assert framework.survey is not None  # noqa: S101 - see `can_be_asked`
    name, params = framework.survey.args
    asked = {**json.loads(params), "sets": [list(each) for each in sets]}
    return model.Command(args=(name, json.dumps(asked)), question="undo")


def read(reply: model.Reply) -> Mapping[str, tuple[model.WayBack, ...]]:
    """{tenant_id: a way back for each set}; of one that can't be asked, one for all. Raises ListingError."""
    content = listing.parse(listing.answer(reply, _ASKED), dict)
    ways, tenants = (content.get(name) for name in ("ways", "tenants")) if isinstance(content, dict) else (None, None)
    if not isinstance(ways, list) or not isinstance(tenants, dict):
        raise errors.ListingError(f"{_ASKED} gave no `ways`")
    try:
        read_ = [_way(each) for each in ways]
        return {name: _of(row, read_) for name, row in tenants.items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise errors.ListingError(f"{_ASKED} gave an answer of another shape") from None


def _of(row: Mapping[str, Any], ways: list[model.WayBack]) -> tuple[model.WayBack, ...]:
    if "error" in row:
        return (model.WayBack(refusal=django.one_line(str(row["error"]))),)
    return tuple(ways[number] for number in row["ways"])


def _way(told: Mapping[str, Any]) -> model.WayBack:
    return model.WayBack(
        left=listing.strings(told["left"], "`left`"),
        steps=tuple((str(app), str(name)) for app, name in told["steps"]),
        refusal=_refusal(told),
        loses=listing.strings(told["loses"], "`loses`"),
    )


def _refusal(told: Mapping[str, Any]) -> str:
    if told["gone"]:
        return f"the code does not have {_some(told['gone'])} any more"
    if told["later"]:
        return f"{_some(told['later'])} came later and depends on it"
    if told["irreversible"]:
        return f"it can't be reversed: {_some(told['irreversible'])}"
    if told["tangled"]:
        return f"no target of `{told['tangled']}` takes back exactly this"
    return ""


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
