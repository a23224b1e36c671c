"""How a tenant's migration is told: to a person as it happens, or to a program as the journal's events."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

from opskit import model
from opskit.tenants import migrating, printing

SCHEMA = 1  # of a journal line

Hear = Callable[[migrating.Heard], None]


def as_text(stdout: Any) -> Hear:
    """Whole sentences; a failure's own sentence is left to whoever raises it."""

    def hear(heard: migrating.Heard) -> None:
        if isinstance(heard, model.TenantStarted):
            printing.write(stdout, f"Migrating tenant: {printing.shown(heard.tenant)}")
        elif isinstance(heard, migrating.Progress):
            file = f"{heard.migration.replace('.', '/', 1)}.py"
            _write_step(stdout, heard, f"{'undoing ' if heard.backwards else ''}{file} ...")
        elif heard.outcome.status is not model.Status.FAILED:
            _write_success(stdout, heard.outcome)

    return hear


def as_events(stdout: Any, stderr: Any) -> Hear:
    """Events on stdout, one a line; on stderr what Django's migrate prints."""
    count = itertools.count(1)

    def hear(heard: migrating.Heard) -> None:
        if isinstance(heard, migrating.Progress):
            verb = "Unapplying" if heard.backwards else "Applying"
            _write_step(stderr, heard, f"  {verb} {heard.migration}...")
        else:
            printing.write(stdout, _line(next(count), heard))

    return hear


def _line(seq: int, event: model.TenantStarted | model.TenantFinished) -> str:
    fields = dataclasses.asdict(event)
    at = fields.pop("at").isoformat()
    return json.dumps({"v": SCHEMA, "seq": seq, "at": at, "event": type(event).__name__, **fields})


def _write_step(stream: Any, step: migrating.Progress, text: str) -> None:
    if step.ended:
        printing.write(stream, f" {step.ended}")
    else:
        printing.write(stream, text, ending="")


def _write_success(stdout: Any, outcome: model.Outcome) -> None:
    if outcome.status is model.Status.CURRENT:
        printing.write(stdout, "No migrations to apply.")
    printing.write(stdout, f"✓ Tenant '{printing.shown(outcome.tenant)}' migrated successfully.")
