"""What squawk says of the SQL of migrations, where it is installed on this machine (squawk 2.70)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from opskit import errors, model
from opskit.frameworks import listing
from opskit.reporters.text import printable, shortened
from opskit.tasks import child

_READS = "postgresql"
_PATIENCE = 60.0  # seconds for one migration: it takes hundredths
_LONGEST = 200  # characters of why it can't be used
_INSTALL = "`pip install squawk-cli` installs it"


def look(
    found: Mapping[str, model.Sql], limits: Mapping[str, str], folder: str, say: Callable[[str], None]
) -> dict[str, tuple[model.Lint, ...]]:
    """{migration: what squawk says}, without those that it has not read; `say` is told why, in a line.

    `limits` are the settings with which the run starts its commands. A `.squawk.toml` in `folder` is heard.
    """
    others = sorted({sql.vendor for sql in found.values() if sql.vendor not in ("", _READS)})
    if others:
        say(f"no linter looked at SQL for {' and '.join(others)}: squawk reads PostgreSQL's.")
    readable = {name: sql for name, sql in found.items() if sql.vendor == _READS and sql.statements}
    squawk = shutil.which("squawk")
    if readable and squawk is None:
        say(f"no linter looked at the SQL: squawk is not on the PATH of this machine. {_INSTALL}.")
    if not readable or squawk is None:
        return {}
    before = [f"SET {name} = {value};" for name, value in limits.items()]
    told: dict[str, tuple[model.Lint, ...]] = {}
    try:
        for name, sql in readable.items():
            told[name] = _asked(squawk, sql, before, folder)
    except errors.ListingError as error:
        say(f"no linter looked at the SQL: `{squawk}` can't be used: {error}. {_INSTALL}, version 2.")
        return {}
    return told


def _asked(squawk: str, sql: model.Sql, before: list[str], folder: str) -> tuple[model.Lint, ...]:
    transaction = "--assume-in-transaction" if sql.atomic else "--no-assume-in-transaction"
    text = "".join(f"{each}\n" for each in (*before, *sql.statements))
    ended = child.run((squawk, "--reporter=json", transaction), text, os.environ, folder, _PATIENCE)
    try:
        rows = listing.parse(ended.output, list)
        return tuple(lint for row in rows for lint in _read(row, [len(before), *_sizes(sql)]))
    except (errors.ListingError, KeyError, TypeError, ValueError, AttributeError):
        said = ended.output.strip().partition("\n")[0]
        why = ": ".join(each for each in (ended.why or "its answer is of another shape", said) if each)
        raise errors.ListingError(printable(shortened(why, _LONGEST))) from None


def _sizes(sql: model.Sql) -> list[int]:
    return [statement.count("\n") + 1 for statement in sql.statements]


def _read(row: Mapping[str, Any], sizes: list[int]) -> list[model.Lint]:
    """One finding; of the lines that stand before the statements there is nothing to say."""
    number = _statement(int(row["line"]), sizes)
    if number < 0:
        return []
    lint = model.Lint(
        statement=number,
        rule=str(row["rule_name"]),
        level=str(row["level"]).lower(),
        message=" ".join(str(row["message"]).split()),
        help=" ".join(str(row.get("help") or "").split()),
    )
    return [lint]


def _statement(line: int, sizes: list[int]) -> int:
    """The number of the statement that a line, counted from 0, is in; -1 is before the first."""
    passed = 0
    for number, size in enumerate(sizes):
        passed += size
        if line < passed:
            return number - 1
    return len(sizes) - 2  # what is said of the end of the text
