"""The SQL of pending migrations and what a linter says of it, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from opskit import model
from opskit.reporters.text import plural, printable


def as_data(found: Mapping[str, model.Sql], lint: Mapping[str, Sequence[model.Lint]]) -> dict[str, Any]:
    """{migration: its SQL}; the `lint` of what no linter read is None."""
    return {
        name: {
            "statements": sql.statements,
            "missing": sql.missing,
            "lint": [dataclasses.asdict(each) for each in lint[name]] if name in lint else None,
        }
        for name, sql in found.items()
    }


def as_lines(
    found: Mapping[str, model.Sql], lint: Mapping[str, Sequence[model.Lint]], whose: Mapping[str, Collection[str]]
) -> list[str]:
    """Each migration with its statements, and what the linter says of a statement beneath it."""
    return [line for name, sql in found.items() for line in _lines(name, sql, lint.get(name, ()), whose.get(name, ()))]


def _lines(name: str, sql: model.Sql, lint: Sequence[model.Lint], whose: Collection[str]) -> Iterator[str]:
    yield f"SQL of {printable(name)} ({_where(whose)}):"
    for number, statement in enumerate(sql.statements):
        yield from (f"  {printable(line)}" for line in statement.splitlines())
        yield from (f"    {_said(each)}" for each in lint if each.statement == number)
    if sql.missing:
        how = "not all of it can" if sql.statements else "it can't"
        yield f"  {how} be had: {printable(sql.missing)}"
    elif not sql.statements:
        yield "  nothing: it changes no table"


def _where(whose: Collection[str]) -> str:
    tenants = [name for name in whose if name != model.SHARED.id]
    places = [plural(len(tenants), "tenant")] if tenants else []
    return " and ".join([*places, *(["the shared database"] if len(tenants) < len(whose) else [])])


def _said(lint: model.Lint) -> str:
    return printable(f"squawk, {lint.level}: {lint.rule}: {lint.message} {lint.help}".strip())
