"""The question of `remote/sql.py`: the SQL of migrations, and how the answer reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opskit import errors, model
from opskit.frameworks import django, listing, survey
from opskit.frameworks.framework import Framework

_ASKED = "asking for the SQL"


def can_be_asked(framework: Framework) -> bool:
    """Whether the project can be asked: not through commands of its own."""
    return framework.survey is not None and framework.survey.question == survey.COMMAND


def command(framework: Framework, migrations: Mapping[str, str]) -> model.Command:
    """`migrations` are {app.name: a tenant on which it is pending, "" for the shared database}."""
    assert framework.survey is not None  # noqa: S101 - see `can_be_asked`
    return model.Command(args=(framework.survey.args[0], json.dumps({"migrations": dict(migrations)})), question="sql")


def read(reply: model.Reply) -> dict[str, model.Sql]:
    """{migration: its SQL}. Raises ListingError."""
    content = listing.parse(listing.answer(reply, _ASKED), dict)
    rows = content.get("migrations") if isinstance(content, dict) else None
    if not isinstance(rows, dict):
        raise errors.ListingError(f"{_ASKED} gave no `migrations`")
    return {name: _sql(name, row) for name, row in rows.items()}


def _sql(name: str, row: Any) -> model.Sql:
    if not isinstance(row, dict):
        raise errors.ListingError(f"{_ASKED} gave nothing of `{name}`")
    return model.Sql(
        statements=listing.strings(row.get("statements"), f"`{name}`.statements"),
        missing=django.one_line(str(row.get("missing") or "")),
        vendor=str(row.get("vendor") or ""),
        atomic=row.get("atomic") is not False,
    )
