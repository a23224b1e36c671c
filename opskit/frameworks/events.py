"""The tenants app's events in a command's output (`--format=jsonl`), and what they say to people."""

from __future__ import annotations

import json
import math
from typing import Any

from opskit.durations import show

_BEGINNING = '{"v":'


def read(line: str) -> dict[str, Any]:
    """The event of a line, {} of any other line."""
    if not line.startswith(_BEGINNING):
        return {}
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if {"v", "seq", "event"} <= event.keys() else {}


def told(line: str) -> str:
    """What a line says to people: of an event its sentence, any other line as it is."""
    event = read(line)
    outcome = event.get("outcome")
    if event.get("event") == "TenantStarted":
        return f"migrating{_number(event.get('pending'), 'pending')}"
    if event.get("event") == "TenantFinished" and isinstance(outcome, dict):
        return _finished(outcome)
    return line


def in_words(text: str) -> str:
    """Whole lines, each event's sentence in the place of its JSON."""
    if _BEGINNING not in text:
        return text
    return "".join(f"{told(line)}\n" if read(line) else line for line in text.splitlines(keepends=True))


def _finished(outcome: dict[str, Any]) -> str:
    seconds = outcome.get("seconds")
    after = f" after {show(seconds)}" if isinstance(seconds, float) and math.isfinite(seconds) else ""
    error = f": {outcome['error']}" if outcome.get("error") else ""
    return f"{outcome.get('status')}{after}{_number(outcome.get('applied'), 'applied')}{error}"


def _number(names: object, what: str) -> str:
    return f" ({len(names)} {what})" if isinstance(names, list) else ""
