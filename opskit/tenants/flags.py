"""Flags that several commands have, in the words of opskit's tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from opskit import durations, errors, model, selections
from opskit.rollout import controls
from opskit.tenants import sessions

WRONG = 2  # argparse's exit code for a flag that can't be meant


def add_selection(parser: CommandParser) -> None:
    parser.add_argument("--tenants", help="only these: ids, globs or @files of them, with commas between them")
    parser.add_argument("--exclude", help="not these: ids, globs or @files of them, with commas between them")


def add_limits(parser: CommandParser) -> None:
    parser.add_argument("--lock-timeout", help="how long a statement may wait for a lock: `5s`")
    parser.add_argument("--statement-timeout", help="how long a statement may run: `10m`")


def selection(options: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The patterns of those to take and of those to leave out. Raises UsageError."""
    return selections.patterns("tenants", options["tenants"]), selections.patterns("exclude", options["exclude"])


def limits(options: dict[str, Any]) -> sessions.Limits:
    return sessions.Limits(
        lock=_parsed("lock-timeout", options["lock_timeout"], durations.parse),
        statement=_parsed("statement-timeout", options["statement_timeout"], durations.parse),
    )


def pacing(options: dict[str, Any]) -> model.Controls:
    """Raises UsageError."""
    if options["fail_fast"] and options["max_failures"] is not None:
        raise errors.UsageError("--fail-fast and --max-failures contradict each other")
    allowed = "0" if options["fail_fast"] else options["max_failures"]
    return model.Controls(
        stagger=_parsed("stagger", options["stagger"], durations.parse) or 0.0,
        max_failures=_parsed("max-failures", allowed, controls.parse_allowance),
    )


def refusal(error: errors.UsageError) -> CommandError:
    """What Django shows of it."""
    hint = error.hint.replace("`invoke show-tenants`", "`manage.py showtenants`")
    return CommandError(f"{error}. {hint}" if hint else str(error), returncode=WRONG)


def _parsed(flag: str, text: str | None, parse: Callable[[str], Any]) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except errors.UsageError as error:
        raise errors.UsageError(f"--{flag}: {error}") from None
